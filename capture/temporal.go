package capture

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"cdcd/capture/binlog"
)

const (
	secondsPerDay = 24 * 60 * 60
	microsPerSec  = 1_000_000
	maxTimeText   = 24 // -838:59:59.999999 and room
)

// fractionBytes gives the bytes that n digits of a second's fraction take.
func fractionBytes(n int) int { return (n + 1) / 2 }

// fraction reads the microseconds stored in fractionBytes(digits) bytes, big endian.
func fraction(b []byte, digits int) int64 {
	switch fractionBytes(digits) {
	case 1:
		return int64(b[0]) * 10_000
	case 2:
		return int64(binary.BigEndian.Uint16(b)) * 100
	case 3:
		return bigEndian24(b)
	}
	return 0
}

func bigEndian24(b []byte) int64 { return int64(b[0])<<16 | int64(b[1])<<8 | int64(b[2]) }

func temporalDecoder(c Column) (decoder, span, error) {
	digits := c.Fraction
	if digits < 0 || digits > 6 {
		return nil, span{}, fmt.Errorf("%w: %s", ErrUnsupportedType, c.SQLType())
	}
	switch c.Type {
	case TypeDate:
		return decodeDate, span{fixed: 3}, nil
	case TypeDatetime:
		size := 5 + fractionBytes(digits)
		return func(v *vector, b []byte) (int, error) { return decodeDatetime(v, b, size, digits) }, span{fixed: size}, nil
	case TypeTimestamp:
		size := 4 + fractionBytes(digits)
		return func(v *vector, b []byte) (int, error) { return decodeTimestamp(v, b, size, digits) }, span{fixed: size}, nil
	default:
		size := 3 + fractionBytes(digits)
		return func(v *vector, b []byte) (int, error) { return decodeTime(v, b, size, digits) }, span{fixed: size}, nil
	}
}

func decodeDate(v *vector, b []byte) (int, error) {
	if len(b) < 3 {
		return 0, binlog.ErrTruncated
	}
	x := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
	days, ok := daysOf(x>>9, x>>5&15, x&31)
	if !ok {
		return 3, errNoDate
	}
	v.appendInt32(int32(days))
	return 3, nil
}

// decodeDatetime reads 40 bits, big endian: sign, year*13+month (17), day (5), hour (5),
// minute (6), second (6); then the fraction.
func decodeDatetime(v *vector, b []byte, size, digits int) (int, error) {
	if len(b) < size {
		return 0, binlog.ErrTruncated
	}
	x := int64(b[0])<<32 | int64(binary.BigEndian.Uint32(b[1:])) - 0x80_0000_0000
	yearMonth, day := x>>22, int(x>>17&31)
	days, ok := daysOf(int(yearMonth/13), int(yearMonth%13), day)
	if !ok {
		return size, errNoDate
	}
	seconds := days*secondsPerDay + (x>>12&31)*3600 + (x>>6&63)*60 + x&63
	v.appendInt64(seconds*microsPerSec + fraction(b[5:], digits))
	return size, nil
}

// decodeTimestamp reads seconds since the epoch, big endian (unsigned: MariaDB reaches
// 2106), then the fraction. Zero stands for '0000-00-00 00:00:00'; with a fraction it is a
// moment of 1970, which MariaDB lets in.
func decodeTimestamp(v *vector, b []byte, size, digits int) (int, error) {
	if len(b) < size {
		return 0, binlog.ErrTruncated
	}
	micros := int64(binary.BigEndian.Uint32(b))*microsPerSec + fraction(b[4:], digits)
	if micros == 0 {
		return size, errNoDate
	}
	v.appendInt64(micros)
	return size, nil
}

// decodeTime reads a TIME as the text MySQL prints. It is stored as one number of 24 bits
// plus the fraction's, with the highest bit inverted: sign, hours (10 bits after an unused
// one), minutes (6), seconds (6), fraction; negative times as two's complement of it all.
func decodeTime(v *vector, b []byte, size, digits int) (int, error) {
	if len(b) < size {
		return 0, binlog.ErrTruncated
	}
	var x int64
	for _, c := range b[:size] {
		x = x<<8 | int64(c)
	}
	shift := 8 * fractionBytes(digits)
	x -= 0x80_0000 << shift
	negative := x < 0
	if negative {
		x = -x
	}
	whole, part := x>>shift, x&(1<<shift-1)
	switch fractionBytes(digits) {
	case 1:
		part *= 10_000
	case 2:
		part *= 100
	}
	v.data.appendBytes(appendTime(make([]byte, 0, maxTimeText), negative, whole>>12&0x3ff, whole>>6&63, whole&63, part, digits))
	return size, nil
}

// appendTime renders a time of day or duration: -838:59:59.000000.
func appendTime(dst []byte, negative bool, hours, minutes, seconds, micros int64, digits int) []byte {
	if negative {
		dst = append(dst, '-')
	}
	dst = appendPadded(dst, uint64(hours), 2)
	dst = append(dst, ':')
	dst = appendPadded(dst, uint64(minutes), 2)
	dst = append(dst, ':')
	dst = appendPadded(dst, uint64(seconds), 2)
	return appendFraction(dst, micros, digits)
}

// appendFraction renders digits digits of a second's fraction, with the point.
func appendFraction(dst []byte, micros int64, digits int) []byte {
	if digits == 0 {
		return dst
	}
	dst = append(dst, '.')
	for n := 6; n > digits; n-- {
		micros /= 10
	}
	return appendPadded(dst, uint64(micros), digits)
}

// daysOf counts the days since 1970-01-01 in the proleptic Gregorian calendar. ok is false
// for what is no day: month or day zero, or past the month's end.
func daysOf(year, month, day int) (days int64, ok bool) {
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, false
	}
	if month <= 2 { // the year begins in March, so that the leap day is its last
		year--
		month += 12
	}
	era := year / 400
	if year < 0 {
		era = (year - 399) / 400
	}
	yearOfEra := year - era*400
	dayOfYear := (153*(month-3)+2)/5 + day - 1
	dayOfEra := yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear
	return int64(era)*146097 + int64(dayOfEra) - 719468, true
}

func daysIn(year, month int) int {
	if month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0) {
		return 29
	}
	return [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month-1]
}

// number parses a run of decimal digits.
func number(b []byte) (int64, error) {
	if len(b) == 0 || len(b) > 18 {
		return 0, strconv.ErrSyntax
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, strconv.ErrSyntax
		}
		n = n*10 + int64(c-'0')
	}
	return n, nil
}
