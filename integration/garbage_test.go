//go:build integration

package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"cdcd/table"
	"cdcd/table/fileio"
	iceio "github.com/apache/iceberg-go/io"
	icetable "github.com/apache/iceberg-go/table"
)

const testGrace = 25 * time.Second

// TestGarbage kills the daemon with uploads of every stage, and has it commit until snapshots
// expire: what no snapshot names is deleted, a grace after it was seen so. Rows are the source's,
// and a query on a snapshot that has just expired still finds its files.
func TestGarbage(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "garbage")
	churnTables(t, s, "garbage", 500)
	p := newPipeline(t, s, "garbage.*", settings{
		"commit.interval": "100ms", "garbage.grace": testGrace.String(), "garbage.interval": "1s",
	})
	p.start()
	p.reach()
	c := startChurn(t, s, "garbage", 500, uint64(time.Now().UnixNano()))
	random := rand.New(rand.NewPCG(1, 2))
	for i, failpoint := range []string{"data-files-written", "uploaded", "before-swap", "after-swap", "landed", "uploaded"} {
		p.kill()
		p.crash(t, crash{failpoint, 4 + i}, random, map[string]int{})
		if i == 3 { // the journal is lost
			if err := os.RemoveAll(p.path("state")); err != nil {
				t.Fatal(err)
			}
		}
		p.start()
		c.busyFor(t, 20)
	}
	held := p.hold(t, "garbage", "kv")
	eventually(t, 5*time.Minute, "the snapshot expires", func() error {
		if p.retains(t, held.name, held.snapshot) {
			return fmt.Errorf("snapshot %d is there", held.snapshot)
		}
		return nil
	})
	if rows, err := held.rows(t); err != nil || rows != held.was {
		t.Errorf("just expired, snapshot %d shows %d rows, want %d: %v", held.snapshot, rows, held.was, err)
	}
	c.pause()
	p.reach()
	eventually(t, 3*time.Minute, "garbage goes", func() error {
		if left := p.metric("cdcd_garbage_files"); left != "0" {
			return fmt.Errorf("%q files are left", left)
		}
		return nil
	})
	removed, err := strconv.ParseFloat(p.metric("cdcd_garbage_removed_files_total"), 64)
	if err != nil || removed == 0 {
		t.Errorf("%v files were removed: %v", removed, err)
	}
	if rows, err := held.rows(t); err == nil {
		t.Errorf("a snapshot that expired long ago still shows %d rows", rows)
	}
	p.oracle("duckdb").equal(t, "garbage.kv", "garbage.pair")
	p.kill() // a clean end would commit once more, and snapshots expire with each commit
	p.fsck(t)
	p.onlyMetadataLeft(t)
	t.Logf("%d files on record, by reason: %v", p.checkRemovals(t), p.removals(t))
	c.resume()
}

// heldSnapshot is a snapshot as somebody knows it who has read the table's metadata.
type heldSnapshot struct {
	name     table.Name
	snapshot int64
	table    *icetable.Table
	was      int // rows
}

func (p *pipeline) lakeTable(t testing.TB, n table.Name) *icetable.Table {
	t.Helper()
	lake, err := table.OpenEmbedded("file://"+p.path("warehouse"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer lake.Close()
	now, err := lake.LoadTable(context.Background(), icetable.Identifier{n.Namespace, n.Table})
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// hold reads a table's metadata, and its rows.
func (p *pipeline) hold(t testing.TB, namespace, name string) *heldSnapshot {
	t.Helper()
	n := table.Name{Namespace: namespace, Table: name}
	now := p.lakeTable(t, n)
	h := &heldSnapshot{name: n, snapshot: now.Metadata().CurrentSnapshot().SnapshotID, table: now}
	var err error
	if h.was, err = h.rows(t); err != nil || h.was == 0 {
		t.Fatal(h.was, err)
	}
	return h
}

// rows counts the snapshot's rows, by a table that keeps no list of manifests from the time before.
func (h *heldSnapshot) rows(t testing.TB) (n int, err error) {
	t.Helper()
	open := func(ctx context.Context) (iceio.IO, error) { return fileio.Disk{}.IO(ctx), nil }
	fresh := icetable.New(h.table.Identifier(), h.table.Metadata(), h.table.MetadataLocation(), open, nil)
	_, records, err := fresh.Scan(icetable.WithSnapshotID(h.snapshot)).ToArrowRecords(context.Background())
	if err != nil {
		return 0, err
	}
	for r, err := range records {
		if err != nil {
			return n, err
		}
		n += int(r.NumRows())
		r.Release()
	}
	return n, nil
}

func (p *pipeline) retains(t testing.TB, n table.Name, snapshot int64) bool {
	t.Helper()
	return p.lakeTable(t, n).Metadata().SnapshotByID(snapshot) != nil
}

// onlyMetadataLeft asks cdcd fsck for what lies about: of our names, only metadata files that a
// crash left may.
func (p *pipeline) onlyMetadataLeft(t testing.TB) {
	t.Helper()
	var report struct {
		Tables []struct {
			Table  string
			Debris struct{ Names []string }
		}
	}
	if err := json.Unmarshal([]byte(p.must("fsck", "--json").out), &report); err != nil {
		t.Fatal(err)
	}
	for _, x := range report.Tables {
		for _, name := range x.Debris.Names {
			if !strings.HasSuffix(name, ".metadata.json") {
				t.Errorf("%s: %s is left", x.Table, name)
			}
		}
	}
}

// removals counts the files on record by why they went. None went before its time.
func (p *pipeline) removals(t testing.TB) map[string]int {
	t.Helper()
	f, err := os.Open(p.path("state/garbage/removed.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]int{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var line struct {
			File   string
			Reason string
			Waited float64 `json:"waited_s"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line.Waited < testGrace.Seconds() {
			t.Errorf("%s went after %v s", line.File, line.Waited)
		}
		if _, err := os.Stat(strings.TrimPrefix(line.File, "file://")); err == nil {
			t.Errorf("%s is on record, and there", line.File)
		}
		out[line.Reason]++
	}
	return out
}

// checkRemovals checks that files of former owners and of this one are among them.
func (p *pipeline) checkRemovals(t testing.TB) (n int) {
	t.Helper()
	by := p.removals(t)
	for count := range maps.Values(by) {
		n += count
	}
	if by["former owner"] == 0 || by["decided epoch"] == 0 {
		t.Errorf("%v", by)
	}
	return n
}
