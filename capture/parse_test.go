package capture

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// FuzzParse reads foreign text of every column of a table with every type, as SELECT gives it.
// Whatever it is, nothing panics, and the column has one value more, or is as it was.
func FuzzParse(f *testing.F) {
	table, rows := recordedShape(f, "mysql97", 1, 0)
	for _, row := range rows {
		for i, text := range row {
			if text != nil {
				f.Add(uint(i), text)
			}
		}
	}
	f.Fuzz(func(t *testing.T, column uint, text []byte) {
		b, err := newRowBuffer(table, TypeOptions{}, false, memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		defer b.free()
		i := int(column % uint(len(table.Columns)))
		parse, err := columnParser(table.Columns[i], b.schema.Field(i).Type)
		if err != nil {
			t.Fatal(err)
		}
		v := &b.columns[i]
		v.appendNull()
		want := 2
		if b.closeColumn(i, parse(v, text)) != nil {
			v.rewind()
			want = 1
		}
		values := v.take()
		defer values.Release()
		if values.Len() != want || values.NullN() != 1 {
			t.Errorf("%d values, %d are NULL", values.Len(), values.NullN())
		}
	})
}
