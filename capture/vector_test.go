package capture

import (
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"pgregory.net/rapid"
)

// appendText appends a value of the model, which is what Arrow prints for it.
func appendText(v *vector, text string) {
	switch v.layout {
	case layoutBits:
		v.appendBit(text == "true")
	case layoutBytes:
		v.data.appendBytes([]byte(text))
	default:
		var n int32
		_, _ = fmt.Sscan(text, &n)
		v.appendInt32(n)
	}
}

// TestVectorsKeepTheirRows compares a vector with a slice under everything that can happen
// to its rows.
func TestVectorsKeepTheirRows(t *testing.T) {
	for name, c := range map[string]struct {
		dtype  arrow.DataType
		values []string
	}{
		"bits":  {arrow.FixedWidthTypes.Boolean, []string{"true", "false"}},
		"fixed": {arrow.PrimitiveTypes.Int32, []string{"0", "-1", "2147483647"}},
		"bytes": {arrow.BinaryTypes.String, []string{"", "a", "long enough"}},
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(r *rapid.T) {
				mem := memory.NewCheckedAllocator(NewPool())
				defer mem.AssertSize(t, 0)
				v := newVector(c.dtype, mem)
				defer v.free()
				var model []string
				value := func() string { return rapid.SampledFrom(c.values).Draw(r, "value") }
				r.Repeat(map[string]func(*rapid.T){
					"value": func(*rapid.T) {
						text := value()
						appendText(&v, text)
						v.commit()
						model = append(model, text)
					},
					"null": func(*rapid.T) {
						v.appendNull()
						model = append(model, "(null)")
					},
					"value made null": func(*rapid.T) {
						appendText(&v, value())
						v.rewind()
						v.appendNull()
						model = append(model, "(null)")
					},
					"value rewound": func(*rapid.T) {
						appendText(&v, value())
						v.rewind()
					},
					"truncate": func(r *rapid.T) {
						n := rapid.IntRange(0, len(model)).Draw(r, "rows")
						v.truncate(n)
						model = model[:n]
					},
					"take": func(r *rapid.T) {
						compareArray(r, v.take(), model)
						model = nil
					},
					"": func(*rapid.T) {},
				})
				compareArray(r, v.take(), model)
			})
		})
	}
}

func compareArray(r *rapid.T, a arrow.Array, model []string) {
	defer a.Release()
	if a.Len() != len(model) {
		r.Fatalf("%d rows, want %d", a.Len(), len(model))
	}
	nulls := 0
	for i, want := range model {
		if a.ValueStr(i) != want {
			r.Fatalf("row %d is %q, want %q", i, a.ValueStr(i), want)
		}
		if want == "(null)" {
			nulls++
		}
	}
	if a.NullN() != nulls {
		r.Fatalf("%d nulls, want %d", a.NullN(), nulls)
	}
}
