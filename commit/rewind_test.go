package commit

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"cdcd/capture"
	"cdcd/table"
)

// repairing is the configuration of a command that repairs the lab's pipeline.
func (l *lab) repairing() Config {
	cfg := l.cfg
	for _, n := range l.names {
		cfg.Members = append(cfg.Members, Member{Lake: table.Name{Namespace: "shop", Table: n}})
	}
	return cfg
}

// cuts gives the cuts, none before the first run.
func (l *lab) cuts() []CutState {
	l.t.Helper()
	cuts, err := ReadCuts(context.Background(), l.cfg.Tables, controlName)
	if err != nil {
		l.t.Fatal(err)
	}
	return cuts
}

func (l *lab) rewind(cut int64) error {
	_, err := Rewind(context.Background(), l.repairing(), cut, false)
	return err
}

// checkRewound checks that every table shows the source at the cut's position.
func (l *lab) checkRewound(transactions int, timeline int64) {
	l.t.Helper()
	for _, name := range l.names {
		h := l.head(name)
		if got, want := l.rows(name, 0), l.server.state(name, transactions); len(got) != len(want) || !h.Mark.Position.Equal(l.server.position(transactions)) || h.Mark.Timeline != timeline {
			l.t.Fatalf("%s: %d rows at %s on timeline %d, want %d rows", name, len(got), h.Mark.Position, h.Mark.Timeline, len(want))
		}
	}
}

// busy fills a lab with cuts.
func (l *lab) busy() {
	l.t.Helper()
	for range 5 {
		l.newCut()
	}
}

// newCut changes the source and runs until there is a cut more: those of a run's last commit may be
// in none.
func (l *lab) newCut() {
	l.t.Helper()
	const most = 20
	before := l.cutNumbers()
	for range most {
		l.churn(6)
		l.mustRun()
		if now := l.cutNumbers(); len(now) > 0 && (len(before) == 0 || now[len(now)-1] > before[len(before)-1]) {
			return
		}
	}
	l.t.Fatalf("no cut behind %v", before)
}

// TestRewind goes back to a cut and on again: every table is the source's, all cuts that are
// left are true, and those behind the cut are gone. Then it does so again.
func TestRewind(t *testing.T) {
	l := newLab(t, 51, "a", "b")
	l.busy()
	for timeline := int64(2); timeline < 4; timeline++ {
		cuts := l.cutNumbers()
		cut := cuts[len(cuts)-3]
		plan, err := Rewind(context.Background(), l.repairing(), cut, true)
		if err != nil || plan.Done || len(plan.Tables) != 2 || plan.Timeline != timeline || !slices.Equal(plan.Withdrawn, cuts[len(cuts)-2:]) {
			t.Fatalf("%+v, %v", plan, err)
		}
		if now := l.cutNumbers(); !slices.Equal(now, cuts) {
			t.Fatalf("a dry run left the cuts %v of %v", now, cuts)
		}
		if err := l.rewind(cut); err != nil {
			t.Fatal(err)
		}
		at, err := capture.ParsePosition(capture.MySQL, plan.Position)
		if err != nil {
			t.Fatal(err)
		}
		l.checkRewound(l.count(at), timeline)
		if now := l.cutNumbers(); now[len(now)-1] != cut {
			t.Errorf("cut %d is left behind cut %d", now[len(now)-1], cut)
		}
		l.newCut()
		l.check()
		l.checkCuts()
		if now := l.cutNumbers(); now[len(now)-1] <= cuts[len(cuts)-1] {
			t.Errorf("the number of a cut was given twice: %v after %v", now, cuts)
		}
		for _, name := range l.names {
			if h := l.head(name); h.Mark.Timeline != timeline {
				t.Errorf("%s is on timeline %d", name, h.Mark.Timeline)
			}
		}
	}
	l.mem.AssertSize(t, 0)
}

// TestRewindCutOff fails each commit of a rewind in turn, before and after it took effect. Until
// the command is repeated a daemon refuses to start; then everything goes on.
func TestRewindCutOff(t *testing.T) {
	for _, applied := range []bool{false, true} {
		refused := 0
		for at := 1; ; at++ {
			l := newLab(t, 52, "a", "b")
			for len(l.cuts()) < 3 {
				l.churn(6)
				l.mustRun()
			}
			cuts := l.cutNumbers()
			cut := cuts[len(cuts)-2]
			ctx, cancel := context.WithCancel(context.Background())
			l.faults.operation, l.faults.at, l.faults.applied, l.faults.calls = "commit", at, applied, nil
			l.faults.onFault = cancel // the process ends there
			_, err := Rewind(ctx, l.repairing(), cut, false)
			cancel()
			l.faults.at, l.faults.onFault = 0, nil
			if !l.faults.fired {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			if err := l.run(context.Background()); errors.Is(err, ErrUnfinishedRewind) {
				refused++
				if !strings.Contains(err.Error(), "cdcd rewind --to-cut ") {
					t.Error(err)
				}
				if err := l.rewind(cuts[0]); !errors.Is(err, ErrUnfinishedRewind) {
					t.Errorf("another cut: %v", err)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if err := l.rewind(cut); err != nil {
				t.Fatal(err)
			}
			l.churn(3)
			l.mustRun()
			l.check()
			l.checkCuts()
		}
		if refused < 2 {
			t.Errorf("applied %v: a daemon was refused %d times", applied, refused)
		}
	}
}

// TestRewindOutOfLoad goes back to a cut of just before a table was loaded anew: the table is what it
// was, and goes on.
func TestRewindOutOfLoad(t *testing.T) {
	l := newLab(t, 21, "a", "b")
	l.cfg.Quarantine = true
	l.busy()
	cut, n := l.newestCut()
	ctx, cancel := context.WithCancel(context.Background())
	l.server.reading = cancel
	if err := l.renew(ctx, "a", func(*table.Head) bool { return true }); !errors.Is(err, context.Canceled) || !l.head("a").Anew() {
		t.Fatal(err)
	}
	l.server.reading = nil
	if err := l.rewind(cut); err != nil {
		t.Fatal(err)
	}
	l.checkRewound(n, 2)
	l.churn(5)
	l.mustRun()
	l.check()
	l.checkCuts()
}

// TestRewindRefuses: whatever is in the way is found before anything is changed.
func TestRewindRefuses(t *testing.T) {
	l := newLab(t, 53, "a", "b")
	l.at(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)) // the first cut of an hour is held by a tag
	l.busy()
	cuts := l.cutNumbers()
	fence := l.head("a").Fence
	refused := func(name string, cut int64, want error) {
		t.Helper()
		if err := l.rewind(cut); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
		if l.head("a").Fence != fence {
			t.Errorf("%s: the fence has moved", name)
		}
	}
	refused("no such cut", 999, ErrCannotRepair)
	l.server.purged = len(l.server.log)
	refused("purged", cuts[len(cuts)-2], errPurged)
	l.server.purged = 0
	l.expireBefore("b")
	refused("expired", cuts[len(cuts)-2], table.ErrGone)
	l.check()
	newest := cuts[len(cuts)-1]
	l.server.alter("a")
	l.churn(3)
	l.mustRun()
	fence = l.head("a").Fence
	refused("altered since, by ourselves", newest, table.ErrOtherShape)
	l.checkAltered("a")
}

// TestRewindKeepsLaterTables: a table that is not in the cut stays as it is.
func TestRewindKeepsLaterTables(t *testing.T) {
	l := newLab(t, 54, "a", "late")
	l.names = []string{"a"}
	l.busy()
	cuts := l.cutNumbers()
	l.names = []string{"a", "late"}
	l.churn(10)
	l.mustRun()
	before := l.head("late")
	done, err := Rewind(context.Background(), l.repairing(), cuts[0], false)
	if err != nil {
		t.Fatal(err)
	}
	if done.Tables[0].Action != RewindBack || done.Tables[1].Action != RewindKeep {
		t.Errorf("%+v", done.Tables)
	}
	if h := l.head("late"); !h.Mark.Position.Equal(before.Mark.Position) || h.Mark.Timeline != 2 {
		t.Errorf("%+v", h.Mark)
	}
	l.churn(6)
	l.mustRun()
	l.check()
	l.checkCuts()
}

func (l *lab) adopt(name string) (*Adopted, error) {
	return Adopt(context.Background(), l.repairing(), table.Name{Namespace: "shop", Table: name}, false)
}

// TestAdoptRollback takes over a table that somebody has set back.
func TestAdoptRollback(t *testing.T) {
	l := newLab(t, 56, "a", "b")
	l.busy()
	history := l.head("a").History()
	l.setMain("a", history[len(history)-3].Snapshot)
	if err := l.run(context.Background()); !errors.Is(err, table.ErrRolledBack) || !strings.Contains(err.Error(), "cdcd adopt shop.a") {
		t.Fatal(err)
	}
	before := l.cutNumbers()
	got, err := l.adopt("a")
	if err != nil || !got.Done || got.Compared || len(got.Withdrawn) == 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, cut := range got.Withdrawn {
		if slices.Contains(l.cutNumbers(), cut) || !slices.Contains(before, cut) {
			t.Errorf("cut %d", cut)
		}
	}
	if h := l.head("a"); !h.Mark.Position.Equal(history[len(history)-3].Mark.Position) {
		t.Errorf("at %s", h.Mark.Position)
	}
	l.churn(5)
	l.mustRun()
	l.check()
	l.checkCuts()
	if got, err := l.adopt("a"); err != nil || got.Done || got.Trouble != "" {
		t.Errorf("a table in order: %+v, %v", got, err)
	}
}

// TestAdoptLostHistory: rewrites and expiry have cut main off from the position. It is taken
// over if its rows are those of the tag's snapshot, and not otherwise.
func TestAdoptLostHistory(t *testing.T) {
	l := newLab(t, 57, "a", "b")
	l.busy()
	l.rewritten("a", "replace")
	l.rewritten("a", "replace")
	l.expireBefore("a")
	if err := l.run(context.Background()); !errors.Is(err, table.ErrRolledBack) {
		t.Fatal(err)
	}
	got, err := l.adopt("a")
	if err != nil || !got.Done || !got.Compared || got.Rows != int64(len(l.rows("a", 0))) {
		t.Fatalf("%+v, %v", got, err)
	}
	l.churn(5)
	l.mustRun()
	l.check()
	l.checkCuts()
	// The same with rows that are not ours.
	history := l.head("b").History()
	old := history[len(history)-3].Snapshot
	l.rewrittenFrom("b", "overwrite", old)
	if err := l.run(context.Background()); !errors.Is(err, table.ErrForeignRows) || !strings.Contains(err.Error(), "cdcd adopt shop.b") {
		t.Fatal(err)
	}
	fence := history[len(history)-1].Mark.Fence
	if _, err := l.adopt("b"); !errors.Is(err, table.ErrForeignRows) || !strings.Contains(err.Error(), "set main back to snapshot") {
		t.Fatal(err)
	}
	l.setMain("b", history[len(history)-1].Snapshot) // as the message says
	if h := l.head("b"); h.Fence != fence {
		t.Errorf("a refusal has moved the fence from %d to %d", fence, h.Fence)
	}
	l.mustRun()
	l.check()
}

// TestAdoptBehindARewind: a table was set back to what it was before a finished rewind, and
// further on than the cut. Its rows are of no use on the new timeline: the rewind is to be made
// for it again.
func TestAdoptBehindARewind(t *testing.T) {
	l := newLab(t, 58, "a", "b")
	l.busy()
	cuts := l.cutNumbers()
	abandoned := l.head("a").Snapshot
	cut := cuts[len(cuts)-3]
	if err := l.rewind(cut); err != nil {
		t.Fatal(err)
	}
	l.mustRun()
	l.setMain("a", abandoned)
	if _, err := l.adopt("a"); err != nil {
		t.Fatal(err)
	}
	if err := l.run(context.Background()); !errors.Is(err, ErrUnfinishedRewind) {
		t.Fatal(err)
	}
	if err := l.rewind(cut); err != nil {
		t.Fatal(err)
	}
	l.churn(5)
	l.mustRun()
	l.check()
	l.checkCuts()
}

// TestRepairsAreFenced lets a daemon go on after a rewind took its place.
func TestRepairsAreFenced(t *testing.T) {
	l := newLab(t, 59, "a")
	l.busy()
	p := l.opened()
	cuts := l.cutNumbers()
	if err := l.rewind(cuts[len(cuts)-2]); err != nil {
		t.Fatal(err)
	}
	l.churn(3)
	l.server.add(change{"a", 1000, value("new")}) // the others may all be without effect
	ctx, cancel := context.WithTimeout(context.Background(), endless)
	defer cancel()
	if err := p.Run(ctx, nil); !errors.Is(err, ErrFenced) {
		t.Errorf("%v", err)
	}
	l.mustRun()
	l.check()
	l.checkCuts()
}
