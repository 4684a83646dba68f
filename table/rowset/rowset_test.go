package rowset

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"pgregory.net/rapid"
)

// column builds a source column and its Arrow type.
func column(name string, c capture.Column) capture.Column { c.Name = name; return c }

func tableOf(key []int, columns ...capture.Column) *capture.Table {
	return &capture.Table{Name: capture.Name{Schema: "s", Table: "t"}, Columns: columns, Key: key}
}

func schemaOf(t *capture.Table) *arrow.Schema {
	s, err := capture.ArrowSchema(t, capture.TypeOptions{}, false)
	if err != nil {
		panic(err)
	}
	return s
}

func intTable() *capture.Table {
	return tableOf([]int{0}, column("id", capture.Column{Type: capture.TypeBigInt}),
		column("val", capture.Column{Type: capture.TypeVarchar, Charset: "utf8mb4", Nullable: true}),
		column("flag", capture.Column{Type: capture.TypeBit, Size: 1, Nullable: true}),
		column("n", capture.Column{Type: capture.TypeInt, Nullable: true}),
		column("d", capture.Column{Type: capture.TypeDecimal, Precision: 20, Scale: 2, Nullable: true}))
}

// change is a row of the model.
type change struct {
	id   int64
	text string
	null bool
	op   capture.Op
}

// batchOf builds a batch of intTable.
func batchOf(t *capture.Table, mem memory.Allocator, changes []change) *capture.Batch {
	b := array.NewRecordBuilder(mem, schemaOf(t))
	defer b.Release()
	ops := make([]capture.Op, 0, len(changes))
	for _, c := range changes {
		b.Field(0).(*array.Int64Builder).Append(c.id)
		ops = append(ops, c.op)
		if c.null {
			for i := 1; i < 5; i++ {
				b.Field(i).AppendNull()
			}
			continue
		}
		b.Field(1).(*array.StringBuilder).Append(c.text)
		b.Field(2).(*array.BooleanBuilder).Append(len(c.text)%2 == 0)
		b.Field(3).(*array.Int32Builder).Append(int32(len(c.text)))
		if err := b.Field(4).AppendValueFromString(fmt.Sprintf("%d.25", len(c.text))); err != nil {
			panic(err)
		}
	}
	return &capture.Batch{Table: t, Record: b.NewRecordBatch(), Ops: ops}
}

// TestFoldAgainstModel compares Fold and Take with a map that replays the changes.
func TestFoldAgainstModel(t *testing.T) {
	table := intTable()
	rapid.Check(t, func(t *rapid.T) {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer mem.AssertSize(t, 0)
		model := map[int64]change{}
		var batches []*capture.Batch
		for range rapid.IntRange(1, 4).Draw(t, "batches") {
			changes := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) change {
				return change{
					id: rapid.Int64Range(-6, 6).Draw(t, "id"), text: rapid.StringN(0, 5, 8).Draw(t, "text"),
					null: rapid.Bool().Draw(t, "null"), op: capture.Op(rapid.IntRange(0, 3).Draw(t, "op")),
				}
			}), 1, 12).Draw(t, "changes")
			for _, c := range changes {
				model[c.id] = c
			}
			b := batchOf(table, mem, changes)
			defer b.Release()
			batches = append(batches, b)
		}
		f, err := Fold(batches, NewEncoder(table, Secret{}))
		if err != nil {
			t.Fatal(err)
		}
		if f.Len() != len(model) || !ascending(f.Keys) {
			t.Fatalf("%d keys, want %d; ascending %v", f.Len(), len(model), ascending(f.Keys))
		}
		columns, err := Take(batches, f.Refs, mem)
		if err != nil {
			t.Fatal(err)
		}
		for i := range f.Keys {
			id := columns[0].(*array.Int64).Value(i)
			want := model[id]
			if f.Present[i] != (want.op != capture.OpDelete) {
				t.Fatalf("key %d: present %v after %v", id, f.Present[i], want.op)
			}
			for _, c := range columns[1:] {
				if c.IsNull(i) != want.null {
					t.Fatalf("key %d: null %v", id, c.IsNull(i))
				}
			}
			if !want.null {
				checkRow(t, columns, i, want)
			}
		}
		for _, c := range columns {
			c.Release()
		}
	})
}

func checkRow(t *rapid.T, columns []arrow.Array, i int, want change) {
	got := []string{columns[1].ValueStr(i), columns[2].ValueStr(i), columns[3].ValueStr(i), columns[4].ValueStr(i)}
	n := len(want.text)
	if expect := []string{want.text, fmt.Sprint(n%2 == 0), fmt.Sprint(n), fmt.Sprintf("%d.25", n)}; !slices.Equal(got, expect) {
		t.Fatalf("row %d: %q, want %q", want.id, got, expect)
	}
}

// TestKeys checks equality and, for exact keys, order over key shapes and values.
func TestKeys(t *testing.T) {
	text := capture.Column{Type: capture.TypeVarchar, Charset: "utf8mb4"}
	shapes := map[string]struct {
		columns []capture.Column
		exact   bool
	}{
		"int":         {[]capture.Column{{Type: capture.TypeInt}}, true},
		"unsigned":    {[]capture.Column{{Type: capture.TypeBigInt, Unsigned: true}}, true},
		"two numbers": {[]capture.Column{{Type: capture.TypeBigInt}, {Type: capture.TypeDatetime}}, true},
		"three":       {[]capture.Column{{Type: capture.TypeInt}, {Type: capture.TypeInt}, {Type: capture.TypeInt}}, false},
		"uuid":        {[]capture.Column{{Type: capture.TypeBinary, Size: 16}}, true},
		"long binary": {[]capture.Column{{Type: capture.TypeBinary, Size: 17}}, false},
		"text":        {[]capture.Column{text}, false},
		"text, int":   {[]capture.Column{text, {Type: capture.TypeInt}}, false},
		"decimal":     {[]capture.Column{{Type: capture.TypeDecimal, Precision: 20, Scale: 2}}, false},
		"date, bool":  {[]capture.Column{{Type: capture.TypeDate}, {Type: capture.TypeBit, Size: 1}}, true},
	}
	for name, shape := range shapes {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			table := tableOf(nil, shape.columns...)
			for i := range shape.columns {
				table.Key = append(table.Key, i)
				table.Columns[i].Name = fmt.Sprint("c", i)
			}
			e := NewEncoder(table, Secret{1, 2, 3})
			if e.Exact() != shape.exact {
				t.Fatalf("exact %v", e.Exact())
			}
			rec := drawKeys(t, table)
			defer rec.Release()
			keys, err := e.Append(nil, rec)
			if err != nil {
				t.Fatal(err)
			}
			a, b := ordered(t, e, rec, 0), ordered(t, e, rec, 1)
			if (keys[0] == keys[1]) != bytes.Equal(a, b) {
				t.Fatalf("keys %v, values %x %x", keys, a, b)
			}
			if shape.exact && keys[0].Compare(keys[1]) != bytes.Compare(a, b) {
				t.Fatalf("keys %v order other than values %x %x", keys, a, b)
			}
		}))
	}
}

func ordered(t *rapid.T, e *Encoder, rec arrow.RecordBatch, row int) []byte {
	b, err := e.AppendOrdered(nil, rec, row)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// drawKeys builds two rows of key values, close to each other so that they often are equal.
func drawKeys(t *rapid.T, table *capture.Table) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schemaOf(table))
	defer b.Release()
	number := rapid.SampledFrom([]int64{-1 << 31, -2, -1, 0, 1, 2, 1<<31 - 1})
	letters := rapid.StringOfN(rapid.SampledFrom([]rune{0, 1, 'a', 'b', 0xff}), 0, 3, -1)
	for range 2 {
		for i, c := range table.Columns {
			switch f := b.Field(i).(type) {
			case *array.Int32Builder:
				f.Append(int32(number.Draw(t, "int")))
			case *array.Date32Builder:
				f.Append(arrow.Date32(number.Draw(t, "date")))
			case *array.Int64Builder:
				f.Append(number.Draw(t, "long"))
			case *array.TimestampBuilder:
				f.Append(arrow.Timestamp(number.Draw(t, "time")))
			case *array.BooleanBuilder:
				f.Append(rapid.Bool().Draw(t, "bool"))
			case *array.StringBuilder:
				f.Append(letters.Draw(t, "text"))
			case *array.BinaryBuilder:
				f.Append(append([]byte(letters.Draw(t, "bytes")), make([]byte, c.Size)...)[:c.Size])
			default:
				n := number.Draw(t, "decimal")
				if c.Unsigned {
					n = max(n, -n)
				}
				if err := f.AppendValueFromString(fmt.Sprint(n)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return b.NewRecordBatch()
}

func TestSortByValue(t *testing.T) {
	table := tableOf([]int{0}, column("k", capture.Column{Type: capture.TypeVarchar, Charset: "utf8mb4"}))
	b := array.NewRecordBuilder(memory.DefaultAllocator, schemaOf(table))
	defer b.Release()
	words := []string{"pear", "apple", "fig", "app", "", "figs"}
	for _, w := range words {
		b.Field(0).(*array.StringBuilder).Append(w)
	}
	batch := &capture.Batch{Table: table, Record: b.NewRecordBatch(), Ops: make([]capture.Op, len(words))}
	defer batch.Release()
	e := NewEncoder(table, Secret{})
	f, err := Fold([]*capture.Batch{batch}, e)
	if err != nil {
		t.Fatal(err)
	}
	places := make([]int, f.Len())
	for i := range places {
		places[i] = i
	}
	if err := SortByValue(places, f.Refs, []*capture.Batch{batch}, e); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range places {
		got = append(got, words[f.Refs[p].Row])
	}
	if want := slices.Sorted(slices.Values(words)); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func BenchmarkFold(b *testing.B) {
	table := intTable()
	for _, shape := range []string{"ascending", "random"} {
		b.Run(shape, func(b *testing.B) {
			changes := make([]change, 20_000)
			for i := range changes {
				changes[i] = change{id: int64(i), text: "some text", op: capture.OpUpdate}
				if shape == "random" {
					changes[i].id = int64(i) * 7919 % 1_000_003
				}
			}
			batch := batchOf(table, memory.DefaultAllocator, changes)
			e := NewEncoder(table, Secret{})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Fold([]*capture.Batch{batch}, e); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/20_000, "ns/row")
		})
	}
}
