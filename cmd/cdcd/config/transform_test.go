package config

import (
	"testing"

	"pgregory.net/rapid"
)

// TestTransformReadsBack reads every transform as it is printed.
func TestTransformReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Transform{
			Name:   rapid.SampledFrom([]string{"identity", "year", "month", "day", "hour", "bucket", "truncate"}).Draw(t, "name"),
			Column: rapid.StringOfN(rapid.RuneFrom([]rune("aé1_ ,()`-")), 1, 8, -1).Draw(t, "column"),
		}
		if want.Name == "bucket" || want.Name == "truncate" {
			want.Width = rapid.IntRange(1, 1<<31-1).Draw(t, "width")
		}
		var got Transform
		if err := got.UnmarshalText([]byte(want.String())); err != nil || got != want {
			t.Fatalf("%q: %+v, %v, want %+v", want.String(), got, err, want)
		}
	})
}
