package capture

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"cdcd/capture/binlog"
	"github.com/apache/arrow-go/v18/arrow/array"
	"pgregory.net/rapid"
)

// bigEndian renders the lowest n bytes of x.
func bigEndian(x int64, n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[n-1-i] = byte(x >> (8 * i))
	}
	return out
}

// storeFraction is the fraction of a second as it is stored with that many digits.
func storeFraction(micros int64, digits int) []byte {
	switch (digits + 1) / 2 {
	case 1:
		return bigEndian(micros/10_000, 1)
	case 2:
		return bigEndian(micros/100, 2)
	case 3:
		return bigEndian(micros, 3)
	}
	return nil
}

func storeDatetime(year, month, day, hour, minute, second int, micros int64, digits int) []byte {
	x := int64(year*13+month)<<22 | int64(day)<<17 | int64(hour)<<12 | int64(minute)<<6 | int64(second)
	return append(bigEndian(x+1<<39, 5), storeFraction(micros, digits)...)
}

func storeDate(year, month, day int) []byte {
	x := year<<9 | month<<5 | day
	return []byte{byte(x), byte(x >> 8), byte(x >> 16)}
}

// storeTime stores as the server does: the whole seconds rounded down, and what is left.
func storeTime(negative bool, hours, minutes, seconds, micros int64, digits int) []byte {
	packed := (hours<<12|minutes<<6|seconds)<<24 | micros
	if negative {
		packed = -packed
	}
	whole, part := packed>>24, packed%(1<<24)
	switch (digits + 1) / 2 {
	case 0:
		return bigEndian(0x800000+whole, 3)
	case 1:
		return append(bigEndian(0x800000+whole, 3), byte(int8(part/10_000)))
	case 2:
		return append(bigEndian(0x800000+whole, 3), bigEndian(part/100, 2)...)
	}
	return bigEndian(packed+0x800000_000000, 6)
}

// cutMicros drops what digits digits do not hold.
func cutMicros(micros int64, digits int) int64 {
	for n := digits; n < 6; n++ {
		micros /= 10
	}
	for n := digits; n < 6; n++ {
		micros *= 10
	}
	return micros
}

func drawMicros(r *rapid.T, digits int) int64 {
	return cutMicros(rapid.Int64Range(0, 999_999).Draw(r, "micros"), digits)
}

func TestDatesAreDays(t *testing.T) {
	for day := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 10_000; day = day.AddDate(0, 0, 1) {
		days, ok := daysOf(day.Year(), int(day.Month()), day.Day())
		if !ok || days != day.Unix()/secondsPerDay && day.Unix()%secondsPerDay == 0 {
			t.Fatalf("%v is day %d, %v", day, days, ok)
		}
	}
}

func TestWhatIsNoDate(t *testing.T) {
	for _, year := range []int{0, 1, 1900, 2000, 2023, 2024, 9999} {
		for monthAndDay := range 16 * 32 {
			checkDate(t, year, monthAndDay/32, monthAndDay%32)
		}
	}
}

// checkDate decodes a date that may be none in both forms.
func checkDate(t *testing.T, year, month, day int) {
	t.Helper()
	at := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	valid := int(at.Month()) == month && at.Day() == day
	values, n, err := decodeOne(t, Column{Type: TypeDate}, binlog.TableMapColumn{}, storeDate(year, month, day))
	if valid != (err == nil) || err != nil && !errors.Is(err, errNoDate) || n != 3 {
		t.Errorf("%d-%d-%d: took %d, %v", year, month, day, n, err)
	}
	if valid && int64(values.(*array.Date32).Value(0))*secondsPerDay != at.Unix() {
		t.Errorf("%v is %v", at, values)
	}
	if month > 12 {
		return // a DATETIME has no room for such months
	}
	stored := storeDatetime(year, month, day, 23, 59, 59, 0, 0)
	values, n, err = decodeOne(t, Column{Type: TypeDatetime}, binlog.TableMapColumn{}, stored)
	if valid != (err == nil) || err != nil && !errors.Is(err, errNoDate) || n != 5 {
		t.Errorf("%d-%d-%d as DATETIME: took %d, %v", year, month, day, n, err)
	}
	if valid && int64(values.(*array.Timestamp).Value(0)) != (at.Unix()+secondsPerDay-1)*microsPerSec {
		t.Errorf("%v is %v", at, values)
	}
}

func TestDatetimes(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		digits := rapid.IntRange(0, 6).Draw(r, "digits")
		first, last := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
		at := time.Unix(rapid.Int64Range(first.Unix(), last.Unix()).Draw(r, "seconds"), 0).UTC()
		micros := drawMicros(r, digits)
		stored := storeDatetime(at.Year(), int(at.Month()), at.Day(), at.Hour(), at.Minute(), at.Second(), micros, digits)
		values, n, err := decodeOne(t, Column{Type: TypeDatetime, Fraction: digits}, binlog.TableMapColumn{}, stored)
		if err != nil || n != len(stored) {
			r.Fatalf("%v: took %d, %v", at, n, err)
		}
		if got, want := int64(values.(*array.Timestamp).Value(0)), at.Unix()*microsPerSec+micros; got != want {
			r.Fatalf("%v is %d, want %d", at, got, want)
		}
	})
}

func TestTimestamps(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		digits := rapid.IntRange(0, 6).Draw(r, "digits")
		seconds, micros := rapid.Int64Range(0, 1<<32-1).Draw(r, "seconds"), drawMicros(r, digits)
		stored := append(bigEndian(seconds, 4), storeFraction(micros, digits)...)
		values, n, err := decodeOne(t, Column{Type: TypeTimestamp, Fraction: digits}, binlog.TableMapColumn{}, stored)
		if n != len(stored) {
			r.Fatalf("took %d of %d, %v", n, len(stored), err)
		}
		if seconds == 0 && micros == 0 {
			if !errors.Is(err, errNoDate) {
				r.Fatalf("the zero timestamp: %v", err)
			}
			return
		}
		if got := int64(values.(*array.Timestamp).Value(0)); got != seconds*microsPerSec+micros {
			r.Fatalf("%d.%06d is %d", seconds, micros, got)
		}
	})
}

func TestTimestampsAtTheEdges(t *testing.T) {
	for name, c := range map[string]struct {
		digits int
		stored []byte
		want   int64
		none   bool
	}{
		"zero":                  {0, []byte{0, 0, 0, 0}, 0, true},
		"zero with fraction":    {6, []byte{0, 0, 0, 0, 0, 0, 0}, 0, true},
		"first":                 {0, []byte{0, 0, 0, 1}, 1_000_000, false},
		"MariaDB's half second": {1, []byte{0, 0, 0, 0, 50}, 500_000, false},
		"MariaDB's microsecond": {6, []byte{0, 0, 0, 0, 0, 0, 1}, 1, false},
		"2038":                  {0, []byte{0x7f, 0xff, 0xff, 0xff}, (1<<31 - 1) * 1_000_000, false},
		"2106":                  {0, []byte{0xff, 0xff, 0xff, 0xff}, (1<<32 - 1) * 1_000_000, false},
	} {
		t.Run(name, func(t *testing.T) {
			values, n, err := decodeOne(t, Column{Type: TypeTimestamp, Fraction: c.digits}, binlog.TableMapColumn{}, c.stored)
			if n != len(c.stored) || errors.Is(err, errNoDate) != c.none {
				t.Fatalf("took %d, %v", n, err)
			}
			if !c.none && int64(values.(*array.Timestamp).Value(0)) != c.want {
				t.Errorf("got %v, want %d", values, c.want)
			}
		})
	}
}

func TestTimes(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		digits := rapid.IntRange(0, 6).Draw(r, "digits")
		hours, minutes, seconds := rapid.Int64Range(0, 838).Draw(r, "hours"), rapid.Int64Range(0, 59).Draw(r, "minutes"), rapid.Int64Range(0, 59).Draw(r, "seconds")
		micros := drawMicros(r, digits)
		negative := rapid.Bool().Draw(r, "negative") && hours+minutes+seconds+micros > 0
		stored := storeTime(negative, hours, minutes, seconds, micros, digits)
		values, n, err := decodeOne(t, Column{Type: TypeTime, Fraction: digits}, binlog.TableMapColumn{}, append(stored, 0xaa))
		if err != nil || n != len(stored) {
			r.Fatalf("took %d of %d, %v", n, len(stored), err)
		}
		want := fmt.Sprintf("%02d:%02d:%02d.%06d", hours, minutes, seconds, micros)
		want = want[:len(want)-6+digits]
		if digits == 0 {
			want = want[:len(want)-1]
		}
		if negative {
			want = "-" + want
		}
		if got := values.(*array.String).Value(0); got != want {
			r.Fatalf("%x is %q, want %q", stored, got, want)
		}
	})
}

func TestTimesAtTheEdges(t *testing.T) {
	for digits, c := range map[int]struct{ least, negative, most string }{
		0: {"00:00:01", "-00:00:01", "-838:59:59"},
		2: {"00:00:00.01", "-00:00:00.01", "-838:59:59.99"},
		3: {"00:00:00.001", "-00:00:00.001", "-838:59:59.999"},
		6: {"00:00:00.000001", "-00:00:00.000001", "-838:59:59.999999"},
	} {
		unit := int64(1)
		for range 6 - digits {
			unit *= 10
		}
		for want, stored := range map[string][]byte{
			c.least:    storeTime(false, 0, 0, unit/microsPerSec, unit%microsPerSec, digits),
			c.negative: storeTime(true, 0, 0, unit/microsPerSec, unit%microsPerSec, digits),
			c.most:     storeTime(true, 838, 59, 59, cutMicros(999_999, digits), digits),
		} {
			values, _, err := decodeOne(t, Column{Type: TypeTime, Fraction: digits}, binlog.TableMapColumn{}, stored)
			if err != nil || values.ValueStr(0) != want {
				t.Errorf("%x is %v, %v; want %s", stored, values, err, want)
			}
		}
	}
}

func TestYears(t *testing.T) {
	for stored, want := range map[byte]int32{0: 0, 1: 1901, 70: 1970, 255: 2155} {
		values, n, err := decodeOne(t, Column{Type: TypeYear}, binlog.TableMapColumn{}, []byte{stored})
		if err != nil || n != 1 || values.(*array.Int32).Value(0) != want {
			t.Errorf("%d is %v, took %d, %v", stored, values, n, err)
		}
	}
}

func TestCutOffTemporalsAreErrors(t *testing.T) {
	for digits := range 7 {
		for typ, stored := range map[Type][]byte{
			TypeDate:      storeDate(2024, 2, 29),
			TypeDatetime:  storeDatetime(2024, 2, 29, 1, 2, 3, 123456, digits),
			TypeTimestamp: append(bigEndian(1, 4), storeFraction(123456, digits)...),
			TypeTime:      storeTime(true, 1, 2, 3, 123456, digits),
			TypeYear:      {1},
		} {
			refuseCut(t, Column{Type: typ, Fraction: digits}, binlog.TableMapColumn{}, stored)
		}
	}
}

// refuseCut cuts a stored value at every byte.
func refuseCut(t *testing.T, c Column, wire binlog.TableMapColumn, stored []byte) {
	t.Helper()
	for n := range stored {
		if values, _, err := decodeOne(t, c, wire, stored[:n]); !errors.Is(err, binlog.ErrTruncated) {
			t.Errorf("%s, %d of %d bytes: %v, %v", c.SQLType(), n, len(stored), values, err)
		}
	}
}

func TestFractionsOfMoreDigitsAreRefused(t *testing.T) {
	for _, typ := range []Type{TypeDatetime, TypeTimestamp, TypeTime} {
		if _, _, err := temporalDecoder(Column{Type: typ, Fraction: 7}); !errors.Is(err, ErrUnsupportedType) {
			t.Errorf("%s(7): %v", typ, err)
		}
	}
}
