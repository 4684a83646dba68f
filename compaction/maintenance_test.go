package compaction

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"cdcd/table"
	"cdcd/table/tabletest"
	icetable "github.com/apache/iceberg-go/table"
	"golang.org/x/sync/errgroup"
)

var (
	seedsFlag = flag.Int("seeds", someSeeds(), "how many orders of maintenance to play")
	firstSeed = flag.Uint64("seed", 1, "the first of them")
)

// draws are the things that may happen, each as often as its weight says.
var draws = []struct {
	weight int
	name   string
	do     func(*maintenance)
}{
	{20, "epoch", func(m *maintenance) { m.ingest(lands, m.draw()) }},
	{1, "epoch: crash before the swap", func(m *maintenance) { m.ingest(crashBefore, m.draw()) }},
	{1, "epoch: crash after it", func(m *maintenance) { m.ingest(crashAfter, m.draw()) }},
	{1, "epoch: lost answer", func(m *maintenance) { m.ingest(lostAnswer, m.draw()) }},
	{1, "epoch: another is faster", func(m *maintenance) { m.ingest(overtaken, m.draw()) }},
	{1, "epoch: taken over", func(m *maintenance) { m.ingest(takenOver, m.draw()) }},
	{16, "begin", (*maintenance).begin},
	{12, "land", func(m *maintenance) { m.finish(lands) }},
	{2, "land: crash before the swap", func(m *maintenance) { m.finish(crashBefore) }},
	{2, "land: crash after it", func(m *maintenance) { m.finish(crashAfter) }},
	{2, "land: lost answer", func(m *maintenance) { m.finish(lostAnswer) }},
	{2, "land: another is faster", func(m *maintenance) { m.finish(overtaken) }},
	{2, "land: taken over", func(m *maintenance) { m.finish(takenOver) }},
	{2, "land: garbage is collected", func(m *maintenance) { m.finish(collected) }},
	{4, "another program rewrites", (*maintenance).rewriteByOthers},
	{4, "snapshots expire", (*maintenance).expireByOthers},
	{2, "a tag", (*maintenance).tagByOthers},
	{6, "collect", (*maintenance).tidy},
	{1, "clean restart", func(m *maintenance) { m.restart(m.table.Close) }},
	{1, "crash", func(m *maintenance) { m.restart(m.table.Abandon) }},
	{1, "lost index", (*maintenance).loseIndex},
	{3, "keep the index", (*maintenance).keepIndex},
	{3, "put an index back", (*maintenance).putBackIndex},
	{2, "taken over", (*maintenance).takeOver},
	{4, "a former owner's rewrite", (*maintenance).formerOffers},
	{2, "rewind", (*maintenance).rewind},
}

// step does one thing that is drawn.
func (m *maintenance) step() {
	m.t.Helper()
	total := 0
	for _, d := range draws {
		total += d.weight
	}
	n := m.rng.IntN(total)
	for _, d := range draws {
		if n -= d.weight; n < 0 {
			m.log = append(m.log, d.name)
			d.do(m)
			break
		}
	}
	if m.maybe(8) && !m.unseen {
		m.checkLoaded()
	}
}

// run plays a seed.
func (m *maintenance) run() {
	m.t.Helper()
	for range 2 + m.rng.IntN(8) {
		m.ingest(lands, m.draw())
	}
	for range 10 + m.rng.IntN(16) {
		m.step()
	}
	m.log = append(m.log, "the end")
	for len(m.pending) > 0 {
		m.finish(lands)
	}
	m.see()
	m.checkLoaded()
	m.ingestAll()
	m.check()
	m.restart(m.table.Close)
	m.ingest(lands, []change{{id: 1, val: "last"}}) // takes the intents away
	m.hits["garbage removed"] += m.outlast()
	m.check()
	if left := m.unnamed(); len(left) > 0 {
		m.t.Fatalf("garbage: %v stay", left)
	}
}

// ingestAll updates every row, each of which has to be found.
func (m *maintenance) ingestAll() {
	m.t.Helper()
	var all []change
	for _, key := range slices.Sorted(maps.Keys(m.model)) {
		all = append(all, change{key, "everywhere"})
	}
	m.ingest(lands, all)
}

// rewriteByOthers has another program rewrite all files, some, or manifests alone.
func (m *maintenance) rewriteByOthers() {
	m.t.Helper()
	share, chosen := m.rng.IntN(4), map[string]bool{}
	m.byOthers(func(ctx context.Context) error {
		return m.foreign.Rewrite(ctx, func(path string) bool {
			if _, asked := chosen[path]; !asked {
				chosen[path] = m.rng.IntN(3) < share
			}
			return chosen[path]
		})
	})
	m.foreigns++
	m.unmarked++
}

// expireByOthers has another program expire snapshots, but for those that lead from main to its
// Mark: without them main's position is not to be had.
func (m *maintenance) expireByOthers() {
	m.t.Helper()
	if m.unmarked < 2 {
		m.byOthers(m.foreign.Expire)
		m.hit("expired")
	}
}

// tagByOthers has another program set or remove a tag, which holds a snapshot.
func (m *maintenance) tagByOthers() {
	m.t.Helper()
	m.byOthers(func(ctx context.Context) error {
		if len(m.tags) > 0 && m.maybe(2) {
			tag := m.tags[0]
			m.tags = m.tags[1:]
			return m.foreign.Untag(ctx, tag)
		}
		all := slices.Sorted(maps.Keys(m.head().Ages()))
		m.names++
		tag := fmt.Sprintf("tag-%d", m.names)
		m.tags = append(m.tags, tag)
		_, _, err := m.cat.CommitTable(ctx, m.foreign.Table, nil, []icetable.Update{
			icetable.NewSetSnapshotRefUpdate(tag, all[m.rng.IntN(len(all))], icetable.TagRef, 0, 0, 0),
		})
		m.hit("tagged")
		return err
	})
}

// byOthers has another program do something, of which the daemon hears at once or later.
func (m *maintenance) byOthers(what func(context.Context) error) {
	m.t.Helper()
	if err := what(context.Background()); err != nil && !errors.Is(err, tabletest.ErrNothingToDo) {
		m.t.Fatal(err)
	}
	if h := m.head(); m.shown[h.Snapshot] == nil {
		m.shown[h.Snapshot] = m.model
	}
	if m.unseen = true; m.maybe(2) {
		m.see()
	}
	m.checkMain()
}

// checkDelta checks that each key was found where there is one, and nowhere else.
func (m *maintenance) checkDelta(d *table.Delta, changes []change, model truth) {
	m.t.Helper()
	var inserted, updated, deleted int64
	touched := map[int64]bool{}
	for _, c := range changes {
		touched[c.id] = true
	}
	for key := range touched {
		was, is := m.model[key] != nil, model[key] != nil
		switch {
		case is && was:
			updated++
		case is:
			inserted++
		case was:
			deleted++
		}
	}
	if d.Inserted != inserted || d.Updated != updated || d.Deleted != deleted {
		m.t.Fatalf("index: %d, %d, %d rows are inserted, updated and deleted, want %d, %d, %d", d.Inserted, d.Updated, d.Deleted, inserted, updated, deleted)
	}
}

// checkMain compares main with the model, and what counts its rows.
func (m *maintenance) checkMain() {
	m.t.Helper()
	h := m.head()
	m.compare(h.Snapshot, m.model)
	if total, deleted := h.Rows(); total-deleted != int64(len(m.model)) {
		m.t.Fatalf("counts: the summary has %d rows of which %d are deleted, there are %d", total, deleted, len(m.model))
	}
}

// checkLoaded compares what the table believes that it is made of with what a load finds.
func (m *maintenance) checkLoaded() {
	m.t.Helper()
	cfg := m.cfg
	cfg.IndexDir = filepath.Join(m.dir, "fresh")
	loaded, err := table.Open(context.Background(), cfg, m.table.Head())
	m.must(err)
	if is, want := m.table.Stats(), loaded.Stats(); is != want {
		m.t.Fatalf("content: the table counts %+v, a load %+v", is, want)
	}
	if is, want := m.table.Survey().Files, loaded.Survey().Files; !slices.Equal(is, want) {
		m.t.Fatalf("content: the table has %v, a load finds %v", is, want)
	}
	m.must(errors.Join(loaded.Abandon(), os.RemoveAll(cfg.IndexDir)))
}

// gcPercent spends memory, of which a seed needs little, on time.
const gcPercent = 800

// enoughForAll is the number of seeds from which each of wanted must be among what happened.
const enoughForAll = 2000

// someSeeds is how many are played where nobody says.
func someSeeds() int {
	const few = 200
	if n, err := strconv.Atoi(os.Getenv("CDCD_SEEDS")); err == nil {
		return n
	}
	return few
}

// wanted must each have happened somewhere.
var wanted = []string{
	"rewrite landed", "late deletes", "outdated", "rows live again", "no row left", "foreign rewrite between", "rebased", "landed behind a rewind", "input collected",
	string(crashBefore), string(crashAfter), string(lostAnswer), string(overtaken), string(takenOver), string(collected),
	"begun: " + string(SmallFiles), "begun: " + string(DeletedRows), "begun: " + string(OnDemand),
	"index lost", "old index refused", "old index used", "abandoned index refused", "garbage removed", "in flight", "expired", "tagged", "rewound", "former owner's rewrite",
}

// TestMaintenance plays orders of maintenance. No row, row id or age may ever differ from the
// model, whatever comes in between.
func TestMaintenance(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	var g errgroup.Group
	var next atomic.Int64
	workers := runtime.GOMAXPROCS(0)
	hits := make([]map[string]int, workers)
	for i := range workers {
		hits[i] = map[string]int{}
		g.Go(func() error {
			for n := next.Add(1); n <= int64(*seedsFlag); n = next.Add(1) {
				seed := *firstSeed + uint64(n) - 1
				found, m := playSeed(t, seed)
				if found != "" {
					return fmt.Errorf("seed %d: %s: %s", seed, strings.Join(m.log, ", "), found)
				}
				for k, n := range m.hits {
					hits[i][k] += n
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	all := map[string]int{}
	for _, h := range hits {
		for k, n := range h {
			all[k] += n
		}
	}
	for _, k := range slices.Sorted(maps.Keys(all)) {
		t.Logf("%6d  %s", all[k], k)
	}
	for _, k := range wanted {
		if all[k] == 0 && *seedsFlag >= enoughForAll {
			t.Errorf("never: %s", k)
		}
	}
}

// playSeed plays a seed and gives what failed.
func playSeed(t *testing.T, seed uint64) (caught, *maintenance) {
	m := newMaintenance(catcher{t}, seed)
	defer m.close()
	return catch(m.run), m
}
