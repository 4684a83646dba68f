package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Duration is a time.Duration that is written as in 10s, 200ms or 1h30m.
type Duration time.Duration

// String returns the shortest form that reads back as d.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText returns d as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a number with its unit.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return errors.New("want a duration such as 200ms, 10s or 1h30m")
	}
	*d = Duration(v)
	return nil
}

// maxExactSize is the largest size that is written with a unit: humanize reads sizes with a
// unit as floating point, which is exact up to here.
const maxExactSize = 1 << 53

// Size is a number of bytes that is written as in 128MiB (binary), 128MB (decimal) or plain.
type Size int64

// String returns the shortest form that is exact, binary units first.
func (s Size) String() string {
	text := strconv.FormatInt(int64(s), 10)
	if s == 0 || s > maxExactSize {
		return text
	}
	for _, unit := range []struct {
		name string
		size Size
	}{{"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}} {
		short := strconv.FormatInt(int64(s/unit.size), 10) + unit.name
		if s%unit.size == 0 && len(short) <= len(text) {
			text = short
		}
	}
	return text
}

// MarshalText returns s as String does.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a number of bytes with or without a unit.
func (s *Size) UnmarshalText(text []byte) error {
	// Plain numbers are exact here whatever their size.
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil && n >= 0 {
		*s = Size(n)
		return nil
	}
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > math.MaxInt64 {
		return errors.New("want a size such as 128MiB, 128MB or a number of bytes")
	}
	*s = Size(n)
	return nil
}

// Secret is a text that shows itself only to Reveal: printed, logged or marshalled it is
// ***, or empty when it is empty.
type Secret string

// Reveal returns the text.
func (s Secret) Reveal() string { return string(s) }

// String returns *** or nothing.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// GoString returns what String does.
func (s Secret) GoString() string { return s.String() }

// Format writes what String returns, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, s.String()) // a fmt.State has no error to hand on to
}

// MarshalText returns what String does.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON returns what String does.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(strconv.Quote(s.String())), nil }

// MarshalYAML returns what String does.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// LogValue returns what String does.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
