//go:build integration && soak

package integration

import (
	"cmp"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// TestSoak is what make soak runs: all faults at random for MINUTES, drawn from SEED, on the
// server RELEASE and in the catalog CATALOG.
func TestSoak(t *testing.T) {
	cfg := soakConfig{
		release: cmp.Or(os.Getenv("RELEASE"), mysql97), catalog: cmp.Or(os.Getenv("CATALOG"), "embedded"),
		faults: slices.Sorted(maps.Keys(soakFaults())),
	}
	if cfg.catalog != "rest" {
		cfg.faults = slices.DeleteFunc(cfg.faults, func(name string) bool { return name == "catalog answers" })
	}
	minutes, err := strconv.ParseFloat(cmp.Or(os.Getenv("MINUTES"), "20"), 64)
	if err != nil {
		t.Fatalf("MINUTES: %v", err)
	}
	cfg.atLeast = time.Duration(minutes * float64(time.Minute))
	cfg.seed = uint64(time.Now().UnixNano())
	if given := os.Getenv("SEED"); given != "" {
		if cfg.seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("SEED: %v", err)
		}
	}
	runSoak(t, cfg)
}
