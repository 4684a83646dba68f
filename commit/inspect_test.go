package commit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cdcd/table"
	"cdcd/table/fileio"
	icetable "github.com/apache/iceberg-go/table"
)

// inspect looks at the lab's pipeline.
func (l *lab) inspect(names ...string) *Inspection {
	in := Inspecting{Tables: l.cfg.Tables, Warehouse: l.warehouse(), Control: controlName, Now: time.Now()}
	in.Tables.Catalog = l.cat
	for _, n := range names {
		in.Names = append(in.Names, table.Name{Namespace: "shop", Table: n})
	}
	return Inspect(context.Background(), in)
}

func (l *lab) warehouse() string { return "file://" + filepath.Join(l.dir, "warehouse") }

// foreign changes a table as another writer would.
func (l *lab) foreign(name string, updates ...icetable.Update) {
	l.t.Helper()
	if _, _, err := l.cat.CommitTable(context.Background(), icetable.Identifier{"shop", name}, nil, updates); err != nil {
		l.t.Fatal(err)
	}
}

// TestInspect looks at a pipeline in order, and then at what others have done to it: the
// trouble of one table hides no other.
func TestInspect(t *testing.T) {
	l := newLab(t, 31, "a", "b")
	l.at(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)) // the first cut of an hour is tagged
	l.churn(10)
	l.mustRun()
	runs := int64(1)
	for n := 0; n != len(l.server.log); runs++ {
		l.churn(10)
		l.mustRun()
		if len(l.cuts()) > 0 {
			_, n = l.newestCut()
		}
	}
	got := l.inspect("a", "b")
	if len(got.Problems) != 0 || !got.Fences.Agree || got.Fences.Control != runs || got.Fences.Recorded != runs || len(got.Tables) != 3 || got.Lease != nil {
		t.Fatalf("%+v", got)
	}
	for _, s := range got.Tables {
		if s.Mark == nil || !s.Agree || s.Fence != runs || s.Mark.Snapshot != s.Snapshot || len(s.Foreign) != 0 || s.InDoubt != 0 {
			t.Errorf("%+v", s)
		}
	}
	last := got.Cuts[len(got.Cuts)-1]
	if len(last.Members) != 2 || !last.Retained || last.Tagged != (len(got.Cuts) == 1) || last.Position != got.Tables[0].Mark.Position {
		t.Errorf("cut %+v", last)
	}
	refs := len(last.Members[0].Refs)
	before := l.head("a").History()
	tagged := last.Members[0].Snapshot
	l.foreign("a", icetable.NewSetSnapshotRefUpdate("mine", tagged, icetable.TagRef, math.MaxInt64, 0, 0),
		icetable.NewSetSnapshotRefUpdate(icetable.MainBranch, before[0].Snapshot, icetable.BranchRef, 0, 0, 0))
	got = l.inspect("a", "none", "b")
	if len(got.Problems) != 2 || len(got.Tables) != 3 {
		t.Fatalf("%+v", got)
	}
	if p := got.Problems[0]; !p.Human || p.Repair != "cdcd adopt shop.a" || p.Table != "shop.a" || !strings.Contains(p.What, "rolled back") {
		t.Errorf("%+v", p)
	}
	if p := got.Problems[1]; p.Human || p.Table != "shop.none" {
		t.Errorf("%+v", p)
	}
	if s := got.Tables[0]; s.Agree || s.Mark.Snapshot != before[0].Snapshot {
		t.Errorf("%+v", s)
	}
	if s := got.Tables[1]; s.Table != "shop.b" || !s.Agree {
		t.Errorf("%+v", s)
	}
	if last = got.Cuts[len(got.Cuts)-1]; len(last.Members[0].Refs) != refs+1 || !last.Retained {
		t.Errorf("cut %+v", last)
	}
	if _, err := json.Marshal(got); err != nil {
		t.Error(err)
	}
}

// TestInspectLease looks at a lease that is fresh, released and none of ours.
func TestInspectLease(t *testing.T) {
	l := newLab(t, 32, "a")
	l.mustRun()
	ctx := context.Background()
	lease := NewLease(fileio.Disk{}, l.warehouse(), "p", "me", time.Now)
	if err := lease.Take(ctx, false); err != nil {
		t.Fatal(err)
	}
	if got := l.inspect().Lease; got == nil || got.Owner != "me" || !got.Fresh || got.Released || got.Age > LeaseTime.Seconds() {
		t.Errorf("%+v", got)
	}
	if err := lease.Release(ctx); err != nil {
		t.Fatal(err)
	}
	if got := l.inspect().Lease; got == nil || got.Fresh || !got.Released {
		t.Errorf("%+v", got)
	}
	name := l.warehouse() + "/_cdcd/p/lease.json"
	if err := (fileio.Disk{}).Remove(ctx, name); err != nil {
		t.Fatal(err)
	}
	if _, err := (fileio.Disk{}).Put(ctx, name, []byte("{")); err != nil {
		t.Fatal(err)
	}
	if got := l.inspect(); got.Lease != nil || len(got.Problems) != 1 || len(got.Tables) != 1 {
		t.Errorf("%+v", got)
	}
}

// TestInspectIntents judges what became of announced swaps.
func TestInspectIntents(t *testing.T) {
	l := newLab(t, 33, "a")
	l.churn(5)
	l.mustRun()
	l.churn(5)
	l.mustRun()
	h := l.head("a")
	history := h.History()
	first, last := history[0].Snapshot, history[len(history)-1].Snapshot
	for name, x := range map[string]struct{ content, state string }{
		"e2-k90-a1.json": {fmt.Sprintf(`{"format":1,"snapshot":%d,"base":%d}`, last, first), IntentLanded},
		"e2-k91-a1.json": {fmt.Sprintf(`{"format":1,"snapshot":1,"base":%d}`, last), IntentInDoubt},
		"e1-k92-a1.json": {fmt.Sprintf(`{"format":1,"snapshot":1,"base":%d}`, last), IntentDead},
		"e2-k93-a1.json": {fmt.Sprintf(`{"format":1,"snapshot":1,"base":%d}`, first), IntentDead},
		"e2-k94-a1.json": {`{"format":1,"snapshot":1,"base":2}`, IntentSettled},
		"e2-k95-a1.json": {`?`, IntentUnknown},
		"somebody's":     {`{}`, IntentUnknown},
	} {
		object := l.warehouse() + "/_cdcd/p/intent/" + h.Name.Path() + "/" + name
		if _, err := (fileio.Disk{}).Put(context.Background(), object, []byte(x.content)); err != nil {
			t.Fatal(err)
		}
		for _, got := range l.inspect("a").Intents {
			if got.Object == object && (got.State != x.state || got.Table != "shop.a") {
				t.Errorf("%s: %+v, want %s", name, got, x.state)
			}
		}
	}
	got := l.inspect("a")
	if len(got.Intents) != 7 || got.Tables[0].InDoubt != 1 || len(got.Problems) != 0 {
		t.Errorf("%+v", got)
	}
	if x := got.Intents[len(got.Intents)-1]; x.Fence != 2 || x.Epoch != 95 || x.Attempt != "1" {
		t.Errorf("%+v", x)
	}
}

// vanishing is a store whose intents are removed between their listing and their reading, as an
// owner removes those that are settled.
type vanishing struct{ fileio.Store }

func (s vanishing) List(ctx context.Context, prefix string) iter.Seq2[fileio.Object, error] {
	return func(yield func(fileio.Object, error) bool) {
		for o, err := range s.Store.List(ctx, prefix) {
			if err == nil && strings.Contains(o.Name, "/intent/") {
				err = s.Remove(ctx, o.Name)
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

// TestInspectSettledIntent: an intent that its owner removes meanwhile is no trouble.
func TestInspectSettledIntent(t *testing.T) {
	l := newLab(t, 34, "a")
	l.churn(5)
	l.mustRun()
	object := l.warehouse() + "/_cdcd/p/intent/" + l.head("a").Name.Path() + "/e1-k1-a1.json"
	if _, err := (fileio.Disk{}).Put(context.Background(), object, []byte(`{"format":1,"snapshot":1,"base":2}`)); err != nil {
		t.Fatal(err)
	}
	if got := l.inspect("a"); len(got.Intents) != 1 {
		t.Fatalf("%+v", got)
	}
	l.cfg.Tables.Store = vanishing{fileio.Disk{}}
	if got := l.inspect("a"); len(got.Intents) != 0 || len(got.Problems) != 0 {
		t.Errorf("%+v", got)
	}
	if _, err := (fileio.Disk{}).ReadRange(context.Background(), object, 0, 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the intent was not removed meanwhile: %v", err)
	}
}

// TestUnknownRecords: kinds that this version does not know are told and hurt nothing.
func TestUnknownRecords(t *testing.T) {
	records := []record{{kind: "rewind", number: 2, position: "x", owner: "me"}, {kind: kindFence, number: 7}, {kind: kindCut, number: 5, table: "shop.gone", snapshot: 9}}
	if got := othersOf(records); len(got) != 1 || got[0].Kind != "rewind" || got[0].Number != 2 {
		t.Errorf("%+v", got)
	}
	if got := cutsOf(records, nil); len(got) != 1 || got[0].Retained || got[0].Tagged {
		t.Errorf("%+v", got)
	}
}
