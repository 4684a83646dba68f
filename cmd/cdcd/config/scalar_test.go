package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"
)

func TestDuration(t *testing.T) {
	tests := []struct{ in, want string }{
		{"10s", "10s"},
		{"200ms", "200ms"},
		{"1h30m", "1h30m"},
		{"60s", "1m"},
		{"3600s", "1h"},
		{"90s", "1m30s"},
		{"3601s", "1h0m1s"},
		{"100m", "1h40m"},
		{"0", "0s"},
		{"10", ""},
		{"", ""},
		{"ten", ""},
	}
	for _, tt := range tests {
		var d Duration
		err := d.UnmarshalText([]byte(tt.in))
		if got := d.String(); (err != nil) != (tt.want == "") || err == nil && got != tt.want {
			t.Errorf("%q: got %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestSize(t *testing.T) {
	tests := []struct {
		in   string
		want Size
		out  string // "" if in is refused
	}{
		{"128MiB", 128 << 20, "128MiB"},
		{"128 mib", 128 << 20, "128MiB"},
		{"128MB", 128_000_000, "128MB"},
		{"1.5tb", 1_500_000_000_000, "1500GB"},
		{"1024000", 1_024_000, "1000KiB"},
		{"1025000", 1_025_000, "1025000"},
		{"3TiB", 3 << 40, "3TiB"},
		{"1GiB", 1 << 30, "1GiB"},
		{"1.5GiB", 3 << 29, "1536MiB"},
		{"1024", 1024, "1KiB"},
		{"1000", 1000, "1000"},
		{"0", 0, "0"},
		{"9007199254740993", 1<<53 + 1, "9007199254740993"},
		{"9223372036854775807", math.MaxInt64, "9223372036854775807"},
		{"9223372036853000000", 9223372036853000000, "9223372036853000000"},
		{"9223372036854775808", 0, ""},
		{"100EiB", 0, ""},
		{"-1", 0, ""},
		{"", 0, ""},
		{"many", 0, ""},
		{"5 bananas", 0, ""},
	}
	for _, tt := range tests {
		var s Size
		err := s.UnmarshalText([]byte(tt.in))
		if (err != nil) != (tt.out == "") || err == nil && (s != tt.want || s.String() != tt.out) {
			t.Errorf("%q: got %d, %s, %v, want %d, %s", tt.in, int64(s), s, err, int64(tt.want), tt.out)
		}
	}
}

func TestScalarsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Min(0).Draw(t, "n") >> rapid.IntRange(0, 62).Draw(t, "shift")
		shift := rapid.IntRange(0, 40).Draw(t, "zeros")
		size := Size(n >> shift << shift)
		var s Size
		if err := s.UnmarshalText([]byte(size.String())); err != nil || s != size {
			t.Fatalf("%d became %d by %s: %v", int64(size), int64(s), size, err)
		}
		duration := Duration(n) / Duration(time.Second) * Duration(time.Second)
		for _, want := range []Duration{Duration(n), duration} {
			var d Duration
			if err := d.UnmarshalText([]byte(want.String())); err != nil || d != want {
				t.Fatalf("%d became %d by %s: %v", int64(want), int64(d), want, err)
			}
		}
	})
}

func TestSecretHidesItself(t *testing.T) {
	type holder struct {
		Password Secret
		Pointer  *Secret
		List     []Secret
		Map      map[string]Secret
	}
	hidden := Secret("hunter2")
	h := holder{hidden, &hidden, []Secret{hidden}, map[string]Secret{"k": hidden}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3s"} {
		fmt.Fprintf(&out, verb+verb+verb, hidden, h, []any{hidden})
	}
	fmt.Fprintln(&out, hidden, h, fmt.Errorf("wrapped: %v", hidden), hidden.GoString())
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "a", hidden, "b", h, "c", []Secret{hidden})
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "a", hidden, "b", h, "c", []Secret{hidden})
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
		for _, v := range []any{hidden, h} {
			data, err := marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(data, []byte("***")) {
				t.Errorf("%s", data)
			}
			out.Write(data)
		}
	}
	hex := fmt.Sprintf("%x", "hunter2")
	if s := out.String(); strings.Contains(s, "hunter2") || strings.Contains(strings.ToLower(s), hex) {
		t.Errorf("shown in %s", s)
	}
	if hidden.Reveal() != "hunter2" {
		t.Error(hidden.Reveal())
	}
}

func TestScalarsMarshal(t *testing.T) {
	v := struct {
		D Duration
		S Size
		L map[Size]Duration
	}{Duration(time.Minute), 1 << 20, map[Size]Duration{1 << 10: Duration(time.Second)}}
	data, err := json.Marshal(v)
	if want := `{"D":"1m","S":"1MiB","L":{"1KiB":"1s"}}`; err != nil || string(data) != want {
		t.Errorf("%s, %v", data, err)
	}
	back := v
	if err := json.Unmarshal(data, &back); err != nil || back.D != v.D || back.S != v.S {
		t.Errorf("%v, %v", back, err)
	}
	data, err = yaml.Marshal(v)
	if want := "d: 1m\ns: 1MiB\nl:\n    1KiB: 1s\n"; err != nil || string(data) != want {
		t.Errorf("%s, %v", data, err)
	}
	if data, err := Secret("hunter2").MarshalText(); err != nil || string(data) != "***" {
		t.Errorf("%s, %v", data, err)
	}
}

func TestSecretShowsThatItIsEmpty(t *testing.T) {
	data, err := json.Marshal(Secret(""))
	if err != nil || string(data) != `""` {
		t.Errorf("%s, %v", data, err)
	}
	if got := fmt.Sprintf("<%s|%v|%#v>", Secret(""), Secret(""), Secret("")); got != "<||>" {
		t.Error(got)
	}
}
