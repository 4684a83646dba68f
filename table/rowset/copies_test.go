package rowset

import (
	"math/rand/v2"
	"testing"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// TestCount folds random changes of few rows, and compares how many more or fewer there are of each
// with counting.
func TestCount(t *testing.T) {
	table := &capture.Table{Identity: capture.ByRow, Columns: []capture.Column{
		{Name: "a", Type: capture.TypeInt, Nullable: true}, {Name: "b", Type: capture.TypeVarchar, Size: 4, Charset: "utf8mb4", Nullable: true},
	}}
	e := NewEncoder(table, Secret{1})
	schema, err := capture.ArrowSchema(table, capture.TypeOptions{}, true)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 1))
	texts := []string{"", "x", "xx"}
	type value struct{ a, b int }
	want, values := map[value]int{}, [2][]value{}
	var batches []*capture.Batch
	for i := range values {
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		defer b.Release()
		out := &capture.Batch{Table: table}
		for range 200 {
			v := value{random.IntN(3), random.IntN(4)}
			if v.a == 0 {
				b.Field(0).AppendNull()
			} else {
				b.Field(0).(*array.Int32Builder).Append(int32(v.a))
			}
			if v.b == 3 {
				b.Field(1).AppendNull()
			} else {
				b.Field(1).(*array.StringBuilder).Append(texts[v.b])
			}
			b.Field(2).(*array.TimestampBuilder).AppendNull() // is none of the row's values
			b.Field(3).(*array.Int64Builder).Append(0)
			op := []capture.Op{capture.OpInsert, capture.OpLoad, capture.OpDelete}[random.IntN(3)]
			if out.Ops = append(out.Ops, op); op == capture.OpDelete {
				want[v]--
			} else {
				want[v]++
			}
			values[i] = append(values[i], v)
		}
		out.Record = b.NewRecordBatch()
		batches = append(batches, out)
	}
	net, err := Count(batches, e)
	if err != nil {
		t.Fatal(err)
	}
	for i, by := range net.By {
		r := net.Refs[i][0]
		v := values[r.Batch][r.Row]
		if want[v] != by || by > 0 && len(net.Refs[i]) != by {
			t.Errorf("%+v: %d more, want %d; %d rows", v, by, want[v], len(net.Refs[i]))
		}
		delete(want, v)
		if i > 0 && !net.Rows[i-1].Less(net.Rows[i]) {
			t.Error("rows are not in order")
		}
	}
	for v, by := range want {
		if by != 0 {
			t.Errorf("%+v: nothing, want %d more", v, by)
		}
	}
}

// TestCopiesHaveKeysOfTheirOwn reads the keys of numbered rows as the lake has them.
func TestCopiesHaveKeysOfTheirOwn(t *testing.T) {
	table := &capture.Table{Identity: capture.ByRow, Columns: []capture.Column{{Name: "a", Type: capture.TypeInt, Nullable: true}}}
	schema, err := capture.ArrowSchema(table, capture.TypeOptions{}, false)
	if err != nil {
		t.Fatal(err)
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for range 2 {
		for n := range int64(3) {
			b.Field(0).(*array.Int32Builder).Append(7)
			b.Field(1).(*array.Int64Builder).Append(n)
		}
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	e := NewColumnEncoder(table, Secret{1})
	keys, err := e.Append(nil, rec)
	if err != nil {
		t.Fatal(err)
	}
	row, err := e.appendHashed(nil, rec)
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range keys {
		if k != e.Copy(row[0], int64(i%3)) || k != keys[(i+3)%6] || k == keys[(i+1)%6] {
			t.Errorf("row %d has key %v of %v", i, k, keys)
		}
	}
}
