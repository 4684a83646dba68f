//go:build integration && bench

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cdcd/capture"
	"cdcd/table/datafile"
	"cdcd/table/fileio"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

const (
	benchRows    = 1_000_000
	benchUpdates = 300_000
	benchDeletes = 30_000
	benchEpoch   = 20_000 // source changes, at most
	benchFile    = "../bench/latest.json"
)

// figures are the results, by their keys.
type figures map[string]float64

// TestBench measures the decoder by itself and the whole process end to end, with compaction
// on as it is by default. CPU seconds are those of the process from its start to its end, user
// and system together, so what is rewritten meanwhile is in them.
func TestBench(t *testing.T) {
	s := benchServer(t)
	out := figures{}
	p := newPipeline(t, s, "bench.orders", benchSettings())
	p.catchUp() // an empty table, loaded
	begin := s.executed(t)
	progress(t, "inserting %d rows", benchRows)
	benchInsert(t, s)
	inserts := phase(t, p, out, "insert", benchRows)
	inserted := s.executed(t)
	progress(t, "updating %d rows", benchUpdates)
	benchPick(t, s)
	benchUpdate(t, s)
	updates := phase(t, p, out, "update", benchUpdates)
	updated := s.executed(t)
	progress(t, "updating %d rows, some of them often, and deleting %d", benchUpdates, benchDeletes)
	benchHot(t, s)
	hot := phase(t, p, out, "hot", benchUpdates+benchDeletes)
	minimal := benchMinimal(t, s, p, out)
	fresh := newPipeline(t, s, "bench.orders", benchSettings())
	loads := phase(t, fresh, out, "load", benchRows-benchDeletes)
	commits := slices.Concat(inserts.commits, updates.commits, hot.commits)
	slices.Sort(commits)
	out["commits"] = float64(len(commits))
	out["commit_p50_ms"], out["commit_p99_ms"] = quantile(commits, 0.5), quantile(commits, 0.99)
	benchDecode(t, s, out, begin, inserted, updated)
	p.must("verify", "--patience", "5m", "bench.orders") // before others write to the source: nothing follows it any more
	keylessLoad, keyless := benchKeyless(t, s, out)
	out["peak_rss_mib"] = max(inserts.rss, updates.rss, hot.rss, minimal.rss, loads.rss, keylessLoad.rss, keyless.rss)
	benchCommits(t, s, out)
	report(t, out, benchFile, marks, mostMarks)
}

// benchServer starts a server that does not wait for its disk, with the tables.
func benchServer(t *testing.T) *server {
	s := ownServer(t, mysql97, "--sync-binlog=0", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=1G")
	s.schema(t, "bench")
	s.exec(t, benchTable)
	return s
}

func benchSettings() settings {
	return settings{"commit.interval": "1h", "commit.max_rows": benchEpoch}
}

const benchTable = `CREATE TABLE bench.orders (
	id BIGINT PRIMARY KEY, customer INT UNSIGNED NOT NULL, sku VARCHAR(20) CHARACTER SET ascii NOT NULL, title VARCHAR(80) NOT NULL,
	quantity SMALLINT NOT NULL, price DECIMAL(12,2) NOT NULL, discount DECIMAL(5,2), state ENUM('new','paid','sent','back') NOT NULL,
	weight DOUBLE, attributes JSON, note VARCHAR(200), created DATETIME(6) NOT NULL, changed TIMESTAMP(3) NOT NULL);
	CREATE TABLE bench.picked (n INT PRIMARY KEY AUTO_INCREMENT, id BIGINT NOT NULL)`

const rowsPerTransaction = 100

// benchInsert inserts rows in transactions of a hundred.
func benchInsert(t *testing.T, s *server) {
	const template = `INSERT INTO bench.orders WITH RECURSIVE n (n) AS (SELECT %d UNION ALL SELECT n + 1 FROM n WHERE n < %d)
		SELECT n, n * 7919 %% 100000, CONCAT('SKU-', n %% 5000), CONCAT('Item number ', n, ' of the spring catalogue'), 1 + n %% 9, 1 + n %% 100000 / 100, IF(n %% 5, NULL, n %% 40),
		ELT(1 + n %% 4, 'new', 'paid', 'sent', 'back'), n / 7, JSON_OBJECT('colour', ELT(1 + n %% 3, 'red', 'green', 'blue'), 'size', n %% 60, 'tags', JSON_ARRAY('a', n)),
		IF(n %% 3, NULL, REPEAT(CONCAT(n, ' '), 6)), '2026-01-01' + INTERVAL n SECOND + INTERVAL n MICROSECOND, '2026-02-01' + INTERVAL n SECOND FROM n`
	for from := 0; from < benchRows; from += rowsPerTransaction {
		s.exec(t, fmt.Sprintf(template, from, from+rowsPerTransaction-1))
	}
}

// benchPick picks random rows to be updated.
func benchPick(t *testing.T, s *server) {
	s.exec(t, fmt.Sprintf("INSERT INTO bench.picked (id) SELECT id FROM bench.orders ORDER BY RAND(1) LIMIT %d", benchUpdates))
}

// benchUpdate updates the rows that were picked, in transactions of a hundred.
func benchUpdate(t *testing.T, s *server) {
	for from := 1; from <= benchUpdates; from += rowsPerTransaction {
		s.exec(t, fmt.Sprintf(`UPDATE bench.picked p JOIN bench.orders o ON o.id = p.id SET o.state = 'sent', o.price = o.price + 1, o.changed = NOW(3), o.attributes = JSON_SET(o.attributes, '$.size', p.n)
			WHERE p.n BETWEEN %d AND %d`, from, from+rowsPerTransaction-1))
	}
}

// benchHot makes updates of which most go to few rows, as those of a live table do, one change a
// row each, and then deletes others.
func benchHot(t *testing.T, s *server) {
	const exponent, flat = 1.1, 10
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 1)), exponent, flat, benchRows-1)
	for from := 0; from < benchUpdates; from += rowsPerTransaction {
		var values []string
		for range rowsPerTransaction {
			id := zipf.Uint64() * 1_000_003 % benchRows // so that those that are often changed are anywhere
			values = append(values, fmt.Sprintf("(%d, 0, '', '', 0, 0, 1, 0, NOW(6), NOW(3))", id))
		}
		s.exec(t, `INSERT INTO bench.orders (id, customer, sku, title, quantity, price, state, weight, created, changed) VALUES `+strings.Join(values, ", ")+
			` ON DUPLICATE KEY UPDATE price = price + 1, state = 'paid', changed = NOW(3)`)
	}
	const every, step = benchRows / benchDeletes, 100 * rowsPerTransaction
	for from := 0; from < benchRows; from += step {
		s.exec(t, fmt.Sprintf("DELETE FROM bench.orders WHERE id BETWEEN %d AND %d AND id %% %d = 0 AND id < %d", from, from+step-1, every, every*benchDeletes))
	}
}

// measured is what a process took.
type measured struct {
	wall, cpu float64 // seconds
	rss       float64 // MiB
	commits   []float64
}

// phase lets the daemon catch up and notes its figures.
func phase(t *testing.T, p *pipeline, out figures, name string, rows float64) measured {
	t.Helper()
	began := time.Now()
	d, err := startProcess(p.command(nil, "run", "--until", "now"))
	if err != nil {
		t.Fatal(err)
	}
	memory := d.memory()
	if code, err := d.exitCode(10 * time.Minute); err != nil || code != 0 {
		t.Fatalf("exit %d, %v: %s", code, err, lastLines(d.output.String(), 10))
	}
	use := d.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	m := measured{wall: time.Since(began).Seconds(), cpu: seconds(use.Utime) + seconds(use.Stime), rss: <-memory}
	for line := range strings.Lines(d.output.String()) {
		var record struct {
			Msg      string
			Duration float64 `json:"dur_ms"`
		}
		if json.Unmarshal([]byte(line), &record) == nil && record.Msg == "committed" {
			m.commits = append(m.commits, record.Duration)
		}
	}
	out[name+"_rows_per_s"], out[name+"_rows_per_cpu_s"] = rows/m.wall, rows/m.cpu
	progress(t, "%s: %.1f s, %.1f CPU seconds, %.0f MiB, %d commits", name, m.wall, m.cpu, m.rss, len(m.commits))
	return m
}

func seconds(v syscall.Timeval) float64 { return float64(v.Sec) + float64(v.Usec)/1e6 }

func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// benchDecode streams the inserts and the updates again, in this process, to nowhere and
// into Parquet.
func benchDecode(t *testing.T, s *server, out figures, begin, inserted, updated capture.Position) {
	t.Helper()
	insertRate, insertAllocs := streamed(t, s, begin, inserted, benchRows, nil)
	updateRate, updateAllocs := streamed(t, s, inserted, updated, benchUpdates, nil)
	out["decode_insert_rows_per_s"], out["decode_update_rows_per_s"] = insertRate, updateRate
	out["decode_allocs_per_row"] = max(insertAllocs, updateAllocs)
	out["parquet_rows_per_s"], _ = streamed(t, s, begin, inserted, benchRows, parquetWriter(t))
}

// streamed gives rows per CPU second and allocations per row of this process while it reads
// a part of the log.
func streamed(t *testing.T, s *server, from, to capture.Position, rows float64, sink func(*capture.Batch)) (rate, allocs float64) {
	t.Helper()
	var infos []capture.TableInfo
	for _, i := range describe(t, s, "bench") {
		if i.Name.Table == "orders" {
			infos = append(infos, i)
		}
	}
	stream, err := capture.NewStream(capture.StreamConfig{
		Source: s.source("bench"), Start: from, Tables: []capture.Capture{{Table: &infos[0].Table, Applied: from}},
		Wanted: func(capture.Name) bool { return false }, Memory: capture.NewPool(), Logger: slog.New(slog.DiscardHandler),
		Limits: capture.Limits{Rows: benchEpoch, Bytes: 64 << 20, Linger: time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if err := stream.Connect(context.Background()); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began, delivered := ownCPU(t), 0
	for at := from; !at.Covers(to); {
		seg, err := stream.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		at, delivered = seg.End, delivered+seg.Rows
		for _, b := range seg.Batches {
			if sink != nil {
				sink(b)
			}
		}
		seg.Release()
	}
	took := ownCPU(t) - began
	runtime.ReadMemStats(&after)
	if float64(delivered) != rows {
		t.Fatalf("%d rows delivered, want %.0f", delivered, rows)
	}
	return rows / took, float64(after.Mallocs-before.Mallocs) / rows
}

// parquetWriter writes each batch to a data file.
func parquetWriter(t *testing.T) func(*capture.Batch) {
	dir := t.TempDir()
	var layout *datafile.Layout
	n := 0
	return func(b *capture.Batch) {
		if layout == nil {
			schema, err := icetable.ArrowSchemaToIcebergWithFreshIDs(b.Record.Schema(), false)
			if err != nil {
				t.Fatal(err)
			}
			if layout, err = datafile.NewLayout(schema, *iceberg.UnpartitionedSpec, 3, datafile.DefaultCompression()); err != nil {
				t.Fatal(err)
			}
		}
		n++
		var columns []arrow.Array = b.Record.Columns()
		if _, err := layout.Write(fileio.Disk{}.IO(t.Context()), filepath.Join(dir, fmt.Sprintf("%d.parquet", n)), columns, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func ownCPU(t *testing.T) float64 {
	t.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		t.Fatal(err)
	}
	return seconds(use.Utime) + seconds(use.Stime)
}

func progress(t *testing.T, format string, args ...any) {
	t.Helper()
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// marks are what the figures are meant to reach on two shared cores.
var marks = figures{
	"decode_insert_rows_per_s": 1.5e6, "decode_update_rows_per_s": 1.5e6, "load_rows_per_cpu_s": 150e3,
	"insert_rows_per_cpu_s": 200e3, "update_rows_per_cpu_s": 100e3, "hot_rows_per_cpu_s": 150e3,
}

var mostMarks = figures{"peak_rss_mib": 512, "decode_allocs_per_row": 0.05, "commit1_p50_ms": 25, "commit8_p50_ms": 100}

// report prints the figures and writes them down. It gives the keys of those that miss a mark.
func report(t *testing.T, out figures, file string, least, most figures) (missed []string) {
	t.Helper()
	for _, k := range slices.Sorted(maps.Keys(out)) {
		mark, miss := "", false
		if m, ok := least[k]; ok {
			mark, miss = fmt.Sprintf("mark ≥ %.0f", m), !(out[k] >= m)
		}
		if m, ok := most[k]; ok {
			mark, miss = fmt.Sprintf("mark ≤ %g", m), !(out[k] <= m)
		}
		switch {
		case miss:
			mark, missed = mark+"  MISSED", append(missed, k)
		case mark != "":
			mark += "  ok"
		}
		fmt.Printf("%-26s %14.*f  %s\n", k, decimals(out[k]), out[k], mark)
	}
	b, err := json.MarshalIndent(out, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o755)
	}
	if err == nil {
		err = os.WriteFile(file, append(b, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return missed
}

func decimals(v float64) int {
	if v < 10 {
		return 3
	}
	return 0
}
