package capture

import "testing"

func BenchmarkJSON(b *testing.B) {
	doc := storeJSON([]jsonMember{{"size", int16(41)}, {"tags", []any{"a", int32(123456)}}, {"colour", "green"}}, false)
	var out []byte
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if out, err = appendJSON(out[:0], doc); err != nil {
			b.Fatal(err)
		}
	}
}
