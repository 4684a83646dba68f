package compaction

import (
	"context"
	"errors"
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

// TestZombie has another daemon take the pipeline over: the collector of the former one deletes
// nothing of the table any more, and above all nothing that its successor has prepared.
func TestZombie(t *testing.T) { zombieStops(testLab(t)) }

func zombieStops(l *lab) {
	l.t.Helper()
	l.history()
	l.act(l.foreign.Expire)
	zombie := l.c
	for range testGrace/testInterval + 1 {
		l.collect()
	}
	l.commit(change{1, "z"})
	l.commit(change{2, "z"})
	l.act(l.foreign.Expire)
	l.start()
	p := l.prepare(change{8, "successor's"})
	before := l.files()
	var errs []error
	for range testGrace/testInterval + 2 {
		l.now = l.now.Add(testInterval)
		_, err := zombie.Collect(context.Background(), []table.Name{l.name})
		errs = append(errs, err)
	}
	after := l.files()
	l.offer(p)
	l.check()
	for _, err := range errs {
		if !errors.Is(err, ErrNotOwner) {
			l.t.Fatalf("%v", err)
		}
	}
	if len(after) != len(before) {
		l.t.Fatalf("the zombie removed %d files", len(before)-len(after))
	}
}

// TestTakenOverInTheMiddle moves the fence after the list was made.
func TestTakenOverInTheMiddle(t *testing.T) {
	l := testLab(t)
	planned := l.planned()
	l.takeFence()
	before := len(l.files())
	if _, err := l.c.remove(context.Background(), l.name, planned); !errors.Is(err, ErrNotOwner) {
		t.Errorf("%v", err)
	}
	if len(l.files()) != before {
		t.Error("files are gone")
	}
}

// planned gives garbage whose grace is over.
func (l *lab) planned() []Garbage {
	l.t.Helper()
	l.history()
	l.expire()
	l.c.cfg.DryRun = true
	var r GarbageReport
	for range testGrace/testInterval + 2 {
		r = l.collect()
	}
	l.c.cfg.DryRun = false
	if r.Removed != 0 || r.Waiting == 0 {
		l.t.Fatalf("a dry run: %+v", r)
	}
	return r.Tables[0].Waiting
}

// TestNamedAgain makes garbage reachable after the list was made: another program brings back the
// metadata of before.
func TestNamedAgain(t *testing.T) { namedAgain(testLab(t)) }

func namedAgain(l *lab) {
	l.t.Helper()
	l.history()
	planned := l.planned()
	l.bringBack(l.expired[len(l.expired)-2])
	got, err := l.c.remove(context.Background(), l.name, planned)
	l.must(err)
	l.check()
	if len(got) >= len(planned) {
		l.t.Fatalf("all of %d are removed", len(planned))
	}
}

// TestInterrupted ends the collector between list and deletion, and in the middle of it: the next
// one goes on.
func TestInterrupted(t *testing.T) {
	l := testLab(t)
	planned := l.planned()
	l.openCollector(l.fence)
	l.must(l.c.delete(context.Background(), planned[:len(planned)/2]))
	l.openCollector(l.fence)
	r := l.collect()
	if want := len(planned) - len(planned)/2; r.Removed != want {
		t.Errorf("%d are removed, want %d", r.Removed, want)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.c.Collect(ctx, []table.Name{l.name}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	l.check()
}

// TestStrangersStay puts files of other names, and of ours in other places, beside the table's.
func TestStrangersStay(t *testing.T) {
	l := testLab(t)
	l.history()
	at := l.cat.Location(l.name)
	const ours = "e0-k0-00000000-0000-4000-8000-000000000000-1.parquet"
	names := []string{
		at + "/data/theirs.parquet", at + "/data/deep/" + ours, at + "/metadata/" + ours, at + "/" + ours, at + "x/data/" + ours,
		at + "/data/00000000-0000-4000-8000-000000000000.puffin", "file:///lake/shop/" + ours,
	}
	for _, n := range names {
		_, err := l.store.Put(context.Background(), n, []byte("x"))
		l.must(err)
	}
	_, err := l.store.Put(context.Background(), at+"/data/"+ours, []byte("x"))
	l.must(err)
	if n := l.outlast(); n != 1 {
		t.Errorf("%d are removed, want one", n)
	}
	for _, n := range names {
		if _, _, err := l.store.Read(context.Background(), n); err != nil {
			t.Error(err)
		}
	}
}

// TestSharedLocation has another table at the same place: nothing is deleted.
func TestSharedLocation(t *testing.T) {
	l := testLab(t)
	l.history()
	l.act(l.foreign.Expire)
	_, err := l.store.Put(context.Background(), l.cat.Location(l.name)+"/metadata/00007-x.metadata.json", []byte(`{"table-uuid":"00000000-0000-4000-8000-000000000000"}`))
	l.must(err)
	for range testGrace / testInterval {
		l.collect()
	}
	if r, err := l.tryCollect(); !errors.Is(err, ErrShared) || r.Removed > 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestManyMetadataFiles has more metadata files of the table's own about than are read in a round.
func TestManyMetadataFiles(t *testing.T) {
	l := testLab(t)
	l.history()
	l.act(l.foreign.Expire)
	own := fmt.Sprintf(`{"table-uuid":%q}`, l.head().UUID)
	for i := range 2*mostForeignMetadata + 10 {
		_, err := l.store.Put(context.Background(), fmt.Sprintf("%s/metadata/%05d-left.metadata.json", l.cat.Location(l.name), i), []byte(own))
		l.must(err)
	}
	for range testGrace / testInterval {
		l.collect()
	}
	for range 2 {
		if _, err := l.tryCollect(); !errors.Is(err, ErrShared) {
			t.Fatalf("%v", err)
		}
	}
	if r := l.collect(); r.Removed == 0 {
		t.Errorf("%+v", r)
	}
}

// TestSetBackIsLeft has somebody set main back, which a person must decide about.
func TestSetBackIsLeft(t *testing.T) {
	l := testLab(t)
	l.history()
	l.must(l.foreign.Rollback(context.Background()))
	before := len(l.files())
	for range testGrace/testInterval + 2 {
		if _, err := l.tryCollect(); !errors.Is(err, table.ErrRolledBack) {
			t.Fatalf("%v", err)
		}
	}
	if len(l.files()) != before {
		t.Error("files are gone")
	}
}
