package capture

import (
	"math/big"
	"strings"
	"testing"

	"cdcd/capture/binlog"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"pgregory.net/rapid"
)

// decodeOne decodes one stored value as the stream does. The array is released with the
// test.
func decodeOne(t testing.TB, c Column, wire binlog.TableMapColumn, b []byte) (arrow.Array, int, error) {
	t.Helper()
	dt, err := ArrowType(c, TypeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	decode, _, err := columnDecoder(c, wire, dt)
	if err != nil {
		return nil, 0, err
	}
	v := newVector(dt, memory.DefaultAllocator)
	defer v.free()
	n, err := decode(&v, b)
	if err != nil {
		return nil, n, err
	}
	v.commit()
	out := v.take()
	t.Cleanup(out.Release)
	return out, n, nil
}

// storeDecimal is the format's definition, digit by digit: groups of nine digits in four
// bytes on both sides of the point, the odd ones outwards, the sign on top, negative numbers
// inverted.
func storeDecimal(unscaled *big.Int, precision, scale int) []byte {
	digits := new(big.Int).Abs(unscaled).String()
	digits = strings.Repeat("0", precision-len(digits)) + digits
	whole, part := digits[:precision-scale], digits[precision-scale:]
	var out []byte
	group := func(text string) {
		n, _ := new(big.Int).SetString("0"+text, 10)
		out = append(out, n.FillBytes(make([]byte, (len(text)+1)/2-len(text)/9))...)
	}
	if odd := len(whole) % 9; odd > 0 {
		group(whole[:odd])
		whole = whole[odd:]
	}
	for ; len(whole) > 0; whole = whole[9:] {
		group(whole[:9])
	}
	for ; len(part) >= 9; part = part[9:] {
		group(part[:9])
	}
	if len(part) > 0 {
		group(part)
	}
	for i := range out {
		if unscaled.Sign() < 0 {
			out[i] = ^out[i]
		}
	}
	out[0] ^= 0x80
	return out
}

// printDecimal renders a decimal as MySQL does.
func printDecimal(unscaled *big.Int, scale int) string {
	digits := new(big.Int).Abs(unscaled).String()
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale-len(digits)+1) + digits
	}
	if scale > 0 {
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	if unscaled.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

// checkDecimal decodes one number in both forms and compares.
func checkDecimal(t interface {
	Fatalf(string, ...any)
}, tb testing.TB, unscaled *big.Int, precision, scale int,
) {
	stored := storeDecimal(unscaled, precision, scale)
	if len(stored) != decimalBytes(precision, scale) {
		t.Fatalf("DECIMAL(%d,%d) takes %d bytes, not %d", precision, scale, len(stored), decimalBytes(precision, scale))
	}
	text := printDecimal(unscaled, scale)
	if got := string(appendDecimal(nil, stored, precision, scale)); got != text {
		t.Fatalf("DECIMAL(%d,%d) %x prints %s, want %s", precision, scale, stored, got, text)
	}
	values, n, err := decodeOne(tb, Column{Type: TypeDecimal, Precision: precision, Scale: scale}, binlog.TableMapColumn{}, append(stored, 0xaa))
	if err != nil || n != len(stored) {
		t.Fatalf("DECIMAL(%d,%d) %x: took %d, %v", precision, scale, stored, n, err)
	}
	switch a := values.(type) {
	case *array.Decimal128:
		if got := a.Value(0).BigInt(); got.Cmp(unscaled) != 0 {
			t.Fatalf("DECIMAL(%d,%d) %x is %s, want %s", precision, scale, stored, got, unscaled)
		}
	case *array.String:
		if got := a.Value(0); got != text || precision <= maxDecimal {
			t.Fatalf("DECIMAL(%d,%d) %x is %q, want %q", precision, scale, stored, got, text)
		}
	}
}

func TestDecimalsOfEveryShape(t *testing.T) {
	one, ten := big.NewInt(1), big.NewInt(10)
	for precision := 1; precision <= 65; precision++ {
		for scale := 0; scale <= min(precision, 38); scale++ { // MySQL ends at 30, MariaDB at 38
			most := new(big.Int).Sub(new(big.Int).Exp(ten, big.NewInt(int64(precision)), nil), one)
			half := new(big.Int).Exp(ten, big.NewInt(int64(precision/2)), nil)
			for _, n := range []*big.Int{new(big.Int), one, half, most} {
				checkDecimal(t, t, n, precision, scale)
				checkDecimal(t, t, new(big.Int).Neg(n), precision, scale)
			}
		}
	}
}

func TestRandomDecimals(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		precision := rapid.IntRange(1, 65).Draw(r, "precision")
		scale := rapid.IntRange(0, min(precision, 38)).Draw(r, "scale")
		n, _ := new(big.Int).SetString(rapid.StringMatching("-?[0-9]{1,65}").Draw(r, "digits"), 10)
		n.Rem(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(precision)), nil))
		checkDecimal(r, t, n, precision, scale)
	})
}

func TestCutOffDecimalsAreErrors(t *testing.T) {
	for _, c := range []Column{{Type: TypeDecimal, Precision: 38, Scale: 10}, {Type: TypeDecimal, Precision: 65, Scale: 30}} {
		refuseCut(t, c, binlog.TableMapColumn{}, storeDecimal(big.NewInt(-42), c.Precision, c.Scale))
	}
}

// FuzzDecimal checks that whatever bytes a decimal has, both forms tell the same number.
func FuzzDecimal(f *testing.F) {
	f.Add(byte(38), byte(10), storeDecimal(big.NewInt(-1234567890123), 38, 10))
	f.Add(byte(65), byte(30), storeDecimal(big.NewInt(42), 65, 30))
	f.Add(byte(1), byte(1), []byte{0x7f})
	f.Fuzz(func(t *testing.T, p, s byte, b []byte) {
		precision := int(p)%65 + 1
		scale := int(s) % (precision + 1)
		size := decimalBytes(precision, scale)
		if len(b) < size {
			return
		}
		text := string(appendDecimal(nil, b[:size], precision, scale))
		if point := strings.IndexByte(text, '.'); scale > 0 && point < 0 || scale == 0 && point >= 0 {
			t.Errorf("DECIMAL(%d,%d) prints %q", precision, scale, text)
		}
		whole, ok := new(big.Int).SetString(strings.Replace(text, ".", "", 1), 10)
		if !ok {
			t.Fatalf("DECIMAL(%d,%d) prints %q", precision, scale, text)
		}
		if precision > maxDecimal || len(whole.String()) > precision { // a group can hold more than its digits say
			return
		}
		hi, lo := decimal128(b[:size], precision, scale)
		got := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(hi), 64), new(big.Int).SetUint64(lo))
		if inRange(b[:size], precision, scale) && got.Cmp(whole) != 0 {
			t.Errorf("DECIMAL(%d,%d) %x is %s and prints %q", precision, scale, b[:size], got, text)
		}
	})
}

// inRange reports whether every group of a stored decimal is below its power of ten, as
// servers write them.
func inRange(b []byte, precision, scale int) bool {
	text := string(appendDecimal(nil, b, precision, scale))
	n, ok := new(big.Int).SetString(strings.Replace(text, ".", "", 1), 10)
	return ok && len(new(big.Int).Abs(n).String()) <= precision && string(storeDecimal(n, precision, scale)) == string(b)
}
