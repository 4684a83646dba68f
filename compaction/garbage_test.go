package compaction

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cdcd/table"
	icetable "github.com/apache/iceberg-go/table"
)

func testLab(t *testing.T) *lab {
	t.Helper()
	l := newLab(t)
	t.Cleanup(l.close)
	return l
}

// history makes some snapshots with data files and vectors.
func (l *lab) history() {
	l.t.Helper()
	l.commit(change{1, "a"}, change{2, "a"}, change{3, "a"})
	l.commit(change{1, "b"}, change{4, "b"})
	l.commit(change{2, "c"}, change{3, ""})
	l.commit(change{1, "d"})
}

// TestExpiredFilesGo expires snapshots: what only they named goes when its grace is over, and not
// before; what is named stays.
func TestExpiredFilesGo(t *testing.T) { expiredFilesGo(testLab(t)) }

func expiredFilesGo(l *lab) {
	l.t.Helper()
	l.history()
	if r := l.collect(); r.Waiting != 0 {
		l.t.Fatalf("%+v", r)
	}
	l.act(l.foreign.Compact) // another program's file names are none of ours
	l.commit(change{9, "x"})
	l.commit(change{10, "x"})
	l.commit(change{11, "x"})
	l.act(l.foreign.Expire)
	before := len(l.files())
	first := l.collect()
	if first.Waiting == 0 || first.WaitingBytes == 0 || first.Removed != 0 {
		l.t.Fatalf("%+v", first)
	}
	for range testGrace/testInterval - 1 {
		if r := l.collect(); r.Removed != 0 {
			l.t.Fatalf("%d go before their time", r.Removed)
		}
	}
	last := l.collect()
	if last.Removed != first.Waiting || last.RemovedBytes != first.WaitingBytes || len(l.files()) != before-last.Removed {
		l.t.Fatalf("%d of %d go: %+v", last.Removed, first.Waiting, last)
	}
	l.check()
	l.checkRecord(last.Removed)
}

// checkRecord checks that every file that went is on record.
func (l *lab) checkRecord(want int) {
	l.t.Helper()
	content, err := os.ReadFile(filepath.Join(l.dir, "garbage", removedFile))
	l.must(err)
	if got := strings.Count(string(content), "\n"); got != want {
		l.t.Fatalf("%d files on record, want %d", got, want)
	}
}

// TestTagsAndBranchesHold has refs on what else would be expired.
func TestTagsAndBranchesHold(t *testing.T) { refsHold(testLab(t)) }

func refsHold(l *lab) {
	l.t.Helper()
	l.history()
	l.tag("report", l.head().Snapshot)
	l.commit(change{1, "e"}, change{2, "e"})
	l.others(icetable.NewSetSnapshotRefUpdate("audit", l.head().Snapshot, icetable.BranchRef, 0, 0, 0))
	l.commit(change{1, "f"}, change{4, ""})
	l.act(l.foreign.Compact)
	l.commit(change{1, "g"})
	l.commit(change{1, "h"})
	l.act(l.foreign.Expire)
	if l.outlast() == 0 {
		l.t.Fatal("nothing is removed")
	}
	l.check()
	if n := len(l.unnamed()); n > 10 {
		l.t.Fatalf("%d files stay", n)
	}
}

// TestPreparedStays leaves an attempt whose outcome is open, for days. Then it lands.
func TestPreparedStays(t *testing.T) { preparedStays(testLab(t)) }

func preparedStays(l *lab) {
	l.t.Helper()
	l.history()
	p := l.prepare(change{1, "late"}, change{7, "late"})
	n := l.outlast()
	l.offer(p)
	l.check()
	if n != 0 {
		l.t.Fatalf("%d files go", n)
	}
}

// TestDeadAttempts leaves attempts of the owner's that never landed behind: they go while the same
// owner goes on.
func TestDeadAttempts(t *testing.T) {
	l := testLab(t)
	l.history()
	dead := l.prepare(change{5, "dead"})
	l.act(l.foreign.Compact) // which wins
	if _, err := table.Swap(context.Background(), l.cfg, dead.a); err == nil {
		t.Fatal("it landed")
	}
	for range epochsBehind + 2 {
		l.commit(change{5, "again"})
	}
	if l.outlast() == 0 || l.files()[l.fileOf(dead)] {
		t.Errorf("files of a dead attempt stay")
	}
	l.check()
}

// fileOf gives a file of an attempt: its manifest list.
func (l *lab) fileOf(p attempt) string {
	l.t.Helper()
	for path := range l.files() {
		if strings.HasPrefix(base(path), fmt.Sprintf("snap-%d-", p.a.Snapshot)) {
			return path
		}
	}
	return ""
}

// TestCrashesLeaveNothing kills the daemon with uploads of every stage: a successor takes up what
// was noted, and all else goes.
func TestCrashesLeaveNothing(t *testing.T) { crashesLeaveNothing(testLab(t)) }

func crashesLeaveNothing(l *lab) {
	l.t.Helper()
	l.history()
	l.prepare(change{5, "never"}, change{1, "never"})
	l.start()
	if r := l.collect(); r.Tables[0].Stay[Noted] == 0 { // it may be taken up
		l.t.Fatalf("%+v", r)
	}
	l.outlast()
	if n := len(l.unnamed()); n == 0 {
		l.t.Fatal("what was noted is gone while its intent is there")
	}
	l.commit(change{5, "never"}, change{1, "never"}) // takes it up: the same rows
	l.check()
	for range epochsBehind + 1 {
		l.commit(change{6, "x"})
	}
	l.outlast()
	if left := l.unnamed(); len(left) > 0 {
		l.t.Fatalf("%v stay", left)
	}
	l.check()
}

// TestInFlightStays has files of a former owner's name that this process is about to use.
func TestInFlightStays(t *testing.T) { inFlightStays(testLab(t)) }

func inFlightStays(l *lab) {
	l.t.Helper()
	l.history()
	p := l.prepare(change{5, "flying"})
	for range epochsBehind + 2 {
		l.takeFence()
	}
	l.start()
	name, _ := table.ParseFileName(base(l.fileOf(p)))
	l.flying = []string{name.Stem}
	l.commit(change{6, "x"}) // the intent goes
	l.outlast()
	if l.fileOf(p) == "" {
		l.t.Fatal("a file in flight is gone")
	}
	l.flying = nil
	l.outlast()
	if l.fileOf(p) != "" {
		l.t.Fatal("it stays when it is out of flight")
	}
}

// TestLostJournal loses the journal, and damages it: every grace starts anew.
func TestLostJournal(t *testing.T) {
	for _, damage := range []func(path string) error{
		os.Remove,
		func(path string) error { return os.WriteFile(path, []byte(`{"format":1,"clock-ns":`), 0o600) },
		func(path string) error { return os.WriteFile(path, []byte(`{"format":99}`), 0o600) },
	} {
		l := testLab(t)
		l.history()
		l.act(l.foreign.Expire)
		l.commit(change{1, "z"})
		l.commit(change{2, "z"})
		for range testGrace/testInterval - 1 {
			l.collect()
		}
		l.must(damage(filepath.Join(l.dir, "garbage", seenFile)))
		l.openCollector(l.fence)
		for range testGrace / testInterval {
			if r := l.collect(); r.Removed > 0 || r.Waiting == 0 {
				t.Fatalf("%+v", r)
			}
		}
		if r := l.collect(); r.Removed == 0 {
			t.Fatalf("%+v", r)
		}
		l.check()
	}
}

// TestClockJumps sets the clock forward and back, and lets time pass without a collector: each step
// makes files older by no more than two intervals.
func TestClockJumps(t *testing.T) {
	l := testLab(t)
	l.history()
	l.act(l.foreign.Expire)
	l.collect()
	for _, jump := range []time.Duration{1000 * time.Hour, -3000 * time.Hour} {
		l.now = l.now.Add(jump)
		if r := l.collect(); r.Removed > 0 {
			t.Fatalf("%d go after a jump of %v", r.Removed, jump)
		}
	}
	l.openCollector(l.fence) // and after a long time off
	l.now = l.now.Add(1000 * time.Hour)
	if r := l.collect(); r.Removed > 0 {
		t.Fatalf("%d go after a pause", r.Removed)
	}
	if l.outlast() == 0 {
		t.Error("nothing goes in the end")
	}
	l.check()
}
