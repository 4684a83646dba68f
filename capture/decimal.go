package capture

import (
	"math/bits"
	"strconv"

	"cdcd/capture/binlog"
)

// DECIMAL is stored as groups of nine digits in four bytes each, big endian, on both sides
// of the point, with shorter groups at the two ends. The first bit is inverted; negative
// numbers have all bits inverted.

const (
	groupDigits    = 9
	maxDecimalText = 70 // 65 digits, sign, point, leading zero
)

// maxJSONPrecision is the most digits of a DECIMAL in JSON: up to 65, of which those before the
// point are rounded up to whole groups.
const maxJSONPrecision = 81

// groupBytes gives the bytes that n digits of a group take.
func groupBytes(n int) int { return [...]int{0, 1, 1, 2, 2, 3, 3, 4, 4, 4}[n] }

// decimalBytes gives the size of a stored DECIMAL(precision, scale).
func decimalBytes(precision, scale int) int {
	whole := precision - scale
	return whole/groupDigits*4 + groupBytes(whole%groupDigits) + scale/groupDigits*4 + groupBytes(scale%groupDigits)
}

func decimalDecoder(c Column) (decoder, span, error) {
	size := decimalBytes(c.Precision, c.Scale)
	s := span{fixed: size}
	precision, scale := c.Precision, c.Scale
	if precision > maxDecimal {
		return func(v *vector, b []byte) (int, error) {
			if len(b) < size {
				return 0, binlog.ErrTruncated
			}
			v.data.appendBytes(appendDecimal(make([]byte, 0, maxDecimalText), b[:size], precision, scale))
			return size, nil
		}, s, nil
	}
	return func(v *vector, b []byte) (int, error) {
		if len(b) < size {
			return 0, binlog.ErrTruncated
		}
		hi, lo := decimal128(b[:size], precision, scale)
		v.appendInt128(hi, lo)
		return size, nil
	}, s, nil
}

// digitGroups walks the digit groups of a stored DECIMAL.
type digitGroups struct {
	b     []byte
	mask  byte // inverts the bytes of a negative number
	first bool
}

func newDigitGroups(b []byte) (g digitGroups, negative bool) {
	if b[0]&0x80 == 0 {
		return digitGroups{b: b, mask: 0xff, first: true}, true
	}
	return digitGroups{b: b, first: true}, false
}

// next reads the group of n digits.
func (g *digitGroups) next(n int) uint32 {
	var x uint32
	for _, c := range g.b[:groupBytes(n)] {
		c ^= g.mask
		if g.first {
			c ^= 0x80
			g.first = false
		}
		x = x<<8 | uint32(c)
	}
	g.b = g.b[groupBytes(n):]
	return x
}

// decimal128 decodes a stored DECIMAL of at most 38 digits to its unscaled value.
func decimal128(b []byte, precision, scale int) (hi int64, lo uint64) {
	g, negative := newDigitGroups(b)
	var high, low uint64
	push := func(digits int) {
		h, l := bits.Mul64(low, pow10(digits))
		var carry uint64
		low, carry = bits.Add64(l, uint64(g.next(digits)), 0)
		high = high*pow10(digits) + h + carry
	}
	whole := precision - scale
	if n := whole % groupDigits; n > 0 {
		push(n)
	}
	for range whole/groupDigits + scale/groupDigits {
		push(groupDigits)
	}
	if n := scale % groupDigits; n > 0 {
		push(n)
	}
	if negative {
		var carry uint64
		low, carry = bits.Add64(^low, 1, 0)
		high = ^high + carry
	}
	return int64(high), low
}

// pow10 gives 10^n for n up to 9.
func pow10(n int) uint64 {
	return [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}[n]
}

// appendDecimal renders a stored DECIMAL of any precision as MySQL prints it.
func appendDecimal(dst, b []byte, precision, scale int) []byte {
	g, negative := newDigitGroups(b)
	if negative {
		dst = append(dst, '-')
	}
	whole := precision - scale
	leading := true
	put := func(digits int) {
		x := uint64(g.next(digits))
		if !leading {
			dst = appendPadded(dst, x, digits)
			return
		}
		if x != 0 {
			leading = false
			dst = strconv.AppendUint(dst, x, 10)
		}
	}
	if n := whole % groupDigits; n > 0 {
		put(n)
	}
	for range whole / groupDigits {
		put(groupDigits)
	}
	if leading {
		dst = append(dst, '0')
		leading = false
	}
	if scale == 0 {
		return dst
	}
	dst = append(dst, '.')
	for range scale / groupDigits {
		put(groupDigits)
	}
	if n := scale % groupDigits; n > 0 {
		put(n)
	}
	return dst
}

// appendPadded renders x with at least digits digits.
func appendPadded(dst []byte, x uint64, digits int) []byte {
	for n := digits - 1; n > 0 && x < pow10(n); n-- {
		dst = append(dst, '0')
	}
	return strconv.AppendUint(dst, x, 10)
}
