package commit

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"cdcd/table"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

// setMain sets main of a table to a snapshot, as another program would.
func (l *lab) setMain(name string, snapshot int64) {
	l.t.Helper()
	l.foreign(name, icetable.NewSetSnapshotRefUpdate(icetable.MainBranch, snapshot, icetable.BranchRef, 0, 0, 0))
}

// rewritten puts a snapshot of another program on main that changes no row.
func (l *lab) rewritten(name string, op icetable.Operation) { l.rewrittenFrom(name, op, 0) }

// rewrittenFrom puts a snapshot of another program on main, with the content of another one.
func (l *lab) rewrittenFrom(name string, op icetable.Operation, content int64) {
	l.t.Helper()
	loaded, err := l.cat.LoadTable(context.Background(), icetable.Identifier{"shop", name})
	if err != nil {
		l.t.Fatal(err)
	}
	meta := loaded.Metadata()
	source := meta.CurrentSnapshot()
	if content != 0 {
		source = meta.SnapshotByID(content)
	}
	parent, schema, first, rows := meta.CurrentSnapshot(), meta.CurrentSchema().ID, meta.NextRowID(), int64(0)
	id := parent.SnapshotID ^ (meta.LastSequenceNumber() + 1)
	l.foreign(name, icetable.NewAddSnapshotUpdate(&icetable.Snapshot{
		SnapshotID: id, ParentSnapshotID: &parent.SnapshotID, SequenceNumber: meta.LastSequenceNumber() + 1, TimestampMs: time.Now().UnixMilli(),
		ManifestList: source.ManifestList, SchemaID: &schema, FirstRowID: &first, AddedRows: &rows,
		Summary: &icetable.Summary{Operation: op, Properties: iceberg.Properties{}},
	}), icetable.NewSetSnapshotRefUpdate(icetable.MainBranch, id, icetable.BranchRef, 0, 0, 0))
}

// expireBefore drops all of a table's snapshots but those with a ref.
func (l *lab) expireBefore(name string) {
	l.t.Helper()
	loaded, err := l.cat.LoadTable(context.Background(), icetable.Identifier{"shop", name})
	if err != nil {
		l.t.Fatal(err)
	}
	held, gone := map[int64]bool{}, []int64(nil)
	for _, ref := range loaded.Metadata().Refs() {
		held[ref.SnapshotID] = true
	}
	for _, s := range loaded.Metadata().Snapshots() {
		if !held[s.SnapshotID] {
			gone = append(gone, s.SnapshotID)
		}
	}
	l.foreign(name, icetable.NewRemoveSnapshotsUpdate(gone, false))
}

// TestForeignRewriteIsFollowed: after another program's rewrite a start puts a Mark behind it,
// so that its expiry cannot cut main's history off from the position.
func TestForeignRewriteIsFollowed(t *testing.T) {
	l := newLab(t, 42, "a", "idle")
	l.churn(10)
	l.mustRun()
	before := l.head("idle").Mark.Position
	for range 2 {
		l.rewritten("idle", icetable.OpReplace)
	}
	if l.head("idle").Marked() {
		t.Fatal("the rewrite has no effect")
	}
	l.mustRun() // without a change of the table
	h := l.head("idle")
	if !h.Marked() || !h.Mark.Position.Equal(before) {
		t.Errorf("marked: %v, at %s, want %s", h.Marked(), h.Mark.Position, before)
	}
	l.expireBefore("idle")
	l.churn(5)
	l.mustRun()
	l.check()
}

// TestForeignRewriteWhileRunning: the changes of an epoch cancel out on a table that another
// program rewrote meanwhile; still the Mark moves behind the rewrite.
func TestForeignRewriteWhileRunning(t *testing.T) {
	l := newLab(t, 43, "a")
	l.churn(10)
	l.mustRun()
	p := l.opened()
	m := p.members[l.server.tables["a"].Name]
	l.rewritten("a", icetable.OpReplace)
	h := l.head("a")
	if err := p.committer.rebase(context.Background(), m, h); err != nil {
		t.Fatal(err)
	}
	e := newEpoch(100, h.Mark.Position)
	e.share(m).log = append(e.share(m).log, fakeBatch(l.server.tables["a"], []change{{"a", 1000, nil}}, l.mem))
	if _, err := p.committer.commitShare(context.Background(), e, task{member: m, share: e.shares[m], load: m.load.mark()}); err != nil {
		t.Fatal(err)
	}
	e.release()
	if !l.head("a").Marked() {
		t.Error("the rewrite is not followed by a Mark")
	}
	if err := p.closeTables(false); err != nil {
		t.Fatal(err)
	}
}

func TestTimelineOf(t *testing.T) {
	rewinds := []record{{kind: kindRewind, number: 2, snapshot: 17}, {kind: kindCut, number: 90}, {kind: kindFence, number: 8}}
	for _, x := range []struct {
		records []record
		tables  map[string]int64
		want    int64
		behind  string
	}{
		{nil, nil, 1, ""},
		{nil, map[string]int64{"a": 1, "b": 1}, 1, ""},
		{rewinds, map[string]int64{"a": 2, "b": 2}, 2, ""},
		{rewinds, map[string]int64{"a": 1, "b": 1}, 2, "a"},
		{rewinds, map[string]int64{"a": 2, "b": 1}, 2, "b"},
		{nil, map[string]int64{"a": 3, "b": 3}, 3, ""}, // the control table was lost
		{nil, map[string]int64{"a": 3, "b": 2}, 3, "b"},
	} {
		if got, behind := timelineOf(x.records, x.tables); got != x.want || behind != x.behind {
			t.Errorf("%v, %v: timeline %d, behind %q", x.records, x.tables, got, behind)
		}
	}
	if got := finishCommand(rewinds, 2); got != "cdcd rewind --to-cut 17" {
		t.Error(got)
	}
}

// TestRunRefusesTwoTimelines starts on tables of which a rewind has moved some.
func TestRunRefusesTwoTimelines(t *testing.T) {
	l := newLab(t, 44, "a", "b")
	l.churn(10)
	l.mustRun()
	h := l.head("a")
	mark := h.Mark
	mark.Timeline = 2
	a, err := table.PrepareMark(context.Background(), l.cfg.Tables, h, mark)
	if err == nil {
		_, err = table.Swap(context.Background(), l.cfg.Tables, a)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := l.run(context.Background()); !errors.Is(err, ErrUnfinishedRewind) || !strings.Contains(err.Error(), "shop.b") || !strings.Contains(err.Error(), "cdcd rewind") {
		t.Errorf("%v", err)
	}
}

// TestRewriteIsFollowedAtOnce: a table that nothing changes gets a Mark behind another program's
// rewrite while the pipeline runs, once, where it is told of it. Told of an expiry, the pipeline
// withdraws the cuts that it ended.
func TestRewriteIsFollowedAtOnce(t *testing.T) {
	l := newLab(t, 45, "a", "idle")
	for i := range 4 { // the cut of the first is tagged, and that of the last names what main shows
		l.server.add(change{"idle", int64(i), value("x")})
		l.mustRun()
	}
	touched := make(chan table.Name, 1)
	cfg := l.cfg
	cfg.Members, cfg.Touched = l.members(), touched
	p, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, nil) }()
	before := l.head("idle").Mark.Position
	l.rewritten("idle", icetable.OpReplace)
	touched <- l.head("idle").Name
	for deadline := time.Now().Add(10 * time.Second); !l.head("idle").Marked(); {
		if time.Now().After(deadline) {
			t.Fatal("the rewrite is not followed by a Mark")
		}
		_ = pause(ctx, 5*time.Millisecond)
	}
	if h := l.head("idle"); !h.Mark.Position.Covers(before) {
		t.Errorf("position %s, was %s", h.Mark.Position, before)
	}
	marks := len(l.head("idle").History())
	_ = pause(ctx, 3*tick)
	if now := len(l.head("idle").History()); now != marks {
		t.Errorf("%d more commits while nothing happened", now-marks)
	}
	l.expireBefore("idle")
	if l.danglingCuts("idle") == 0 {
		t.Fatal("the expiry has no effect")
	}
	touched <- l.head("idle").Name
	for deadline := time.Now().Add(10 * time.Second); l.danglingCuts("idle") > 0; {
		if time.Now().After(deadline) {
			t.Fatal("cuts name snapshots that have expired")
		}
		_ = pause(ctx, 5*time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// danglingCuts counts the cuts that name a snapshot of a table that is gone.
func (l *lab) danglingCuts(name string) int {
	l.t.Helper()
	n, h := 0, l.head(name)
	for _, c := range l.cuts() {
		for _, part := range c.Members {
			if part.Table == h.Name.String() && !h.Retains(part.Snapshot) {
				n++
			}
		}
	}
	return n
}
