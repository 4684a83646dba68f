package compaction

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"cdcd/table"
)

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

// TestHalfMetadataFiles has metadata files in whose writing somebody was killed: they are nobody's.
func TestHalfMetadataFiles(t *testing.T) {
	l := testLab(t)
	l.history()
	l.act(l.foreign.Expire)
	whole := fmt.Sprintf(`{"format-version":3,"table-uuid":%q}`, l.head().UUID)
	for i := range whole[:len(whole)-1] {
		_, err := l.store.Put(context.Background(), fmt.Sprintf("%s/metadata/%05d-half.metadata.json", l.cat.Location(l.name), i), []byte(whole[:i]))
		l.must(err)
	}
	odd := l.cat.Location(l.name) + "/metadata/00007-x.metadata.json"
	_, err := l.store.Put(context.Background(), odd, []byte("no metadata"))
	l.must(err)
	for range testGrace/testInterval + 2 {
		_, err = l.tryCollect()
	}
	if err == nil || errors.Is(err, ErrShared) {
		t.Errorf("what cannot be read is passed over: %v", err)
	}
	l.must(l.store.Remove(context.Background(), odd))
	if l.outlast() == 0 {
		t.Error("nothing goes")
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
