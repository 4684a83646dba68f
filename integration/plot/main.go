// Command plot draws what make soak-tables measured: plot FROM TO reads commits.csv and samples.csv
// in one directory and writes SVG files to another.
package main

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: plot FROM TO")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

// run draws all charts.
func run(from, to string) error {
	commits, err := readTable(filepath.Join(from, "commits.csv"))
	if err != nil {
		return err
	}
	samples, err := readTable(filepath.Join(from, "samples.csv"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for name, c := range charts(commits, samples) {
		if err := os.WriteFile(filepath.Join(to, name), c.svg(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// perPoint is how many commits a point of the chart of commits stands for.
const perPoint = 50

// charts are all that are drawn, by the names of their files.
func charts(commits, samples table) map[string]chart {
	at := samples["epochs"]
	const mib = 1 << 20
	return map[string]chart{
		"commit-time.svg": {"Time of a commit, of 50 each", "commits", "ms", []line{
			{"p90", spaced(commits["took_ms"]), quantiles(commits["took_ms"], 0.9)},
			{"p50", spaced(commits["took_ms"]), quantiles(commits["took_ms"], 0.5)},
		}},
		"files.svg": {"Files of the newest snapshot", "commits", "files", []line{
			{"data files", at, samples["data_files"]},
			{"deletion vectors", at, samples["delete_files"]},
			{"manifests", at, sum(samples["data_manifests"], samples["delete_manifests"])},
		}},
		"debt.svg": {"Data, deleted rows in it, and what is to be rewritten", "commits", "MiB", []line{
			{"data files", at, scaled(samples["data_bytes"], 1.0/mib)},
			{"deleted rows", at, scaled(samples["reclaimable_bytes"], 1.0/mib)},
			{"debt", at, scaled(samples["debt_bytes"], 1.0/mib)},
		}},
		"write-amplification.svg": {"Bytes of data files written since the start", "commits", "MiB", []line{
			{"commits and compaction", at, scaled(sum(samples["written_bytes"], samples["compaction_written_bytes"]), 1.0/mib)},
			{"commits", at, scaled(samples["written_bytes"], 1.0/mib)},
		}},
		"memory.svg": {"Memory of the process", "commits", "MiB", []line{
			{"resident", at, scaled(samples["rss_bytes"], 1.0/mib)},
			{"Go heap", at, scaled(samples["heap_bytes"], 1.0/mib)},
			{"key index on disk", at, scaled(samples["index_disk_bytes"], 1.0/mib)},
		}},
	}
}

// table is the columns of a CSV file, by their names.
type table map[string][]float64

func readTable(path string) (table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(rows) < 2 {
		return nil, fmt.Errorf("%s: no rows", path)
	}
	out := table{}
	for _, row := range rows[1:] {
		for i, cell := range row {
			v, err := strconv.ParseFloat(cell, 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			out[rows[0][i]] = append(out[rows[0][i]], v)
		}
	}
	return out, nil
}

// quantiles gives a quantile of each part of perPoint values; spaced, where each part ends.
func quantiles(v []float64, q float64) (out []float64) {
	for part := range slices.Chunk(v, perPoint) {
		sorted := slices.Sorted(slices.Values(part))
		out = append(out, sorted[min(len(sorted)-1, int(math.Floor(q*float64(len(sorted)))))])
	}
	return out
}

func spaced(v []float64) (out []float64) {
	end := 0
	for part := range slices.Chunk(v, perPoint) {
		end += len(part)
		out = append(out, float64(end))
	}
	return out
}

func scaled(v []float64, by float64) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		out[i] = v[i] * by
	}
	return out
}

func sum(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] + b[i]
	}
	return out
}
