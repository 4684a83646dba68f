package compaction

import (
	"context"
	"fmt"
	"testing"
	"time"

	"cdcd/table/fileio"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const testID = "3f1c2d6a-0000-4000-8000-0123456789ab"

// TestJudge says of every kind of file why it stays or goes.
func TestJudge(t *testing.T) {
	name := func(fence, epoch int) string { return fmt.Sprintf("e%d-k%d-%s-1.parquet", fence, epoch, testID) }
	f := &facts{
		location: "s3://b/t", fence: 7, named: func(b string) bool { return b == name(6, 3) },
		noted: map[string]bool{name(6, 4): true}, inFlight: map[string]bool{"e6-k5-" + testID: true},
	}
	f.mark.fence, f.mark.epoch = 7, 20
	for _, c := range []struct {
		path    string
		why     Verdict
		garbage bool
	}{
		{"s3://b/t/data/" + name(6, 99), FormerOwner, true},
		{"s3://b/t/data/" + name(7, 18), Decided, true},
		{"s3://b/t/metadata/snap-5-e7-k18-" + testID + ".avro", Decided, true},
		{"s3://b/t/metadata/e7-k18-" + testID + "-m1.avro", Decided, true},
		{"s3://b/t/data/" + name(7, 19), Open, false},
		{"s3://b/t/data/" + name(7, 20), Open, false},
		{"s3://b/t/data/" + name(7, 21), Open, false},
		{"s3://b/t/data/" + name(8, 1), Open, false},
		{"s3://b/t/data/" + name(6, 3), Named, false},
		{"s3://b/t/data/" + name(6, 4), Noted, false},
		{"s3://b/t/data/" + name(6, 5), InFlight, false},
		{"s3://b/t/metadata/" + name(6, 99), NotOurs, false},
		{"s3://b/t/data/x/" + name(6, 99), NotOurs, false},
		{"s3://b/t2/data/" + name(6, 99), NotOurs, false},
		{"s3://b/t/data/part-0.parquet", NotOurs, false},
		{"s3://b/t/metadata/00001-" + testID + ".metadata.json", NotOurs, false},
	} {
		if why, garbage := f.judge(c.path); why != c.why || garbage != c.garbage {
			t.Errorf("%s: %s, %v", c.path, why, garbage)
		}
	}
	f.mark.fence = 6 // nothing of ours has landed here yet
	if why, garbage := f.judge("s3://b/t/data/" + name(7, 1)); why != Open || garbage {
		t.Errorf("under another owner's mark: %s, %v", why, garbage)
	}
}

// TestPlanGarbage follows the journal's clock.
func TestPlanGarbage(t *testing.T) {
	path := func(n int) string { return fmt.Sprintf("/t/data/e1-k%d-%s-1.parquet", n, testID) }
	f := &facts{location: "/t", fence: 2, named: func(b string) bool { return b == base(path(4)) }}
	objects := []fileio.Object{{Name: path(1), Size: 10}, {Name: path(2), Size: 20}, {Name: path(3), Size: 30}, {Name: path(4), Size: 40}}
	seen := map[string]time.Duration{path(1): 5, path(2): 10, path(4): 1, path(9): 1}
	p := planGarbage(objects, f, seen, 20, 10)
	want := garbagePlan{
		remove: []Garbage{{path(1), 10, FormerOwner, 5}, {path(2), 20, FormerOwner, 10}}, wait: []Garbage{{path(3), 30, FormerOwner, 20}},
		seen: map[string]time.Duration{path(1): 5, path(2): 10, path(3): 20}, stay: map[Verdict]int{Named: 1, Waiting: 1},
	}
	if diff := cmp.Diff(want, *p, cmp.AllowUnexported(garbagePlan{})); diff != "" {
		t.Error(diff)
	}
}

// TestGarbageOfAnyHistory draws commits, attempts that crash or stay open, restarts, and what
// other programs do, with a collector in between. Nothing that a snapshot names is ever deleted,
// nor of an attempt that may still land; and once nothing more happens, no garbage is left.
func TestGarbageOfAnyHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLab(t)
		defer l.close()
		var open *attempt
		for i := range rapid.IntRange(1, 20).Draw(t, "steps") {
			if l.randomStep(t, i, &open) {
				l.check()
			}
		}
		l.settle()
		l.outlast()
		if left := l.unnamed(); len(left) > 0 {
			t.Fatalf("%d files stay, first %s", len(left), left[0])
		}
		l.check()
	})
}

// randomStep does something, and reports whether the collector ran.
func (l *lab) randomStep(t *rapid.T, i int, open **attempt) bool {
	id := func() int64 { return rapid.Int64Range(0, 9).Draw(t, "id") }
	val := rapid.SampledFrom([]string{"", "a", "b"})
	switch step := rapid.SampledFrom([]string{
		"commit", "commit", "commit", "prepare", "offer", "restart", "compact", "expire", "tag", "untag", "collect", "collect", "wait",
	}).Draw(t, "step"); step {
	case "commit":
		*open = nil // it may be offered no more: the table moves on
		l.commit(change{id(), val.Draw(t, "val")}, change{10 + id(), "x"})
	case "prepare":
		if *open == nil {
			p := l.prepare(change{id(), val.Draw(t, "val")}, change{10 + id(), "y"})
			*open = &p
		}
	case "offer":
		if *open != nil {
			l.offer(**open)
			*open = nil
		}
	case "restart":
		*open = nil
		l.start()
	case "compact":
		*open = nil
		l.act(l.foreign.Compact)
		l.commit() // a rewrite of others is followed by the Mark
	case "expire":
		l.act(l.foreign.Expire)
	case "tag":
		l.tag(fmt.Sprint("t", i%3), l.head().Snapshot)
	case "untag":
		l.act(func(ctx context.Context) error { return l.foreign.Untag(ctx, fmt.Sprint("t", i%3)) })
	case "collect":
		l.collect()
		return true
	case "wait":
		for range testGrace/testInterval + 1 {
			l.collect()
		}
		return true
	}
	return false
}

// settle ends all that is open: the daemon commits until earlier epochs are decided.
func (l *lab) settle() {
	l.t.Helper()
	l.start()
	for range epochsBehind + 2 {
		l.commit(change{99, "end"})
	}
}
