package capture

import (
	"slices"
	"testing"

	"cdcd/capture/binlog"
)

// BenchmarkRows decodes events of a thousand rows, by what their images hold.
func BenchmarkRows(b *testing.B) {
	const rows = 1000
	key, val, all := cutImage(hasKey, 1, "", "x"), cutImage(hasB, 1, "some value", ""), image(1, "some value", "x", storeDate(2024, 2, 29))
	for name, r := range map[string]binlog.Rows{
		"insert":  {Kind: binlog.RowInsert, Present: []byte{hasAll}, After: []byte{hasAll}, Images: slices.Repeat(all, rows)},
		"full":    {Kind: binlog.RowUpdate, Present: []byte{hasAll}, After: []byte{hasAll}, Images: slices.Repeat(all, 2*rows)},
		"minimal": {Kind: binlog.RowUpdate, Present: []byte{hasKey}, After: []byte{hasB}, Images: slices.Repeat(slices.Concat(key, val), rows)},
	} {
		b.Run(name, func(b *testing.B) {
			p := testPlan(b, TypeOptions{})
			r.Columns = 4
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.append(r, origin{}); err != nil {
					b.Fatal(err)
				}
				p.buffer.drop()
			}
			b.ReportMetric(float64(b.N*rows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
