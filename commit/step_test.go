package commit

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"cdcd/capture"
	"cdcd/table/tabletest"
	icetable "github.com/apache/iceberg-go/table"
)

// The keys of Marks and refs as docs and readers know them.
const (
	keyOfFence      = "cdcd.fence"
	keyOfPosition   = "cdcd.position"
	keyOfNewest     = "cdcd.position-snapshot"
	keyOfQuarantine = "cdcd.quarantine"
	branchOfFence   = "cdcd_fence"
	branchOfLoad    = "cdcd_load"
	tagOfPosition   = "cdcd_pos"
)

// event is something on the network that tells what the protocol did.
type event struct {
	object   string // table
	what     string // "" for an offer to the catalog
	lane     int
	run      int   // of the daemon
	snapshot int64 // offered
	parent   int64 // it is made on; 0: none
	again    bool  // it was offered before
	applied  bool
	answered bool // with success
}

func (w *world) note(e event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.run = w.starts
	w.events = append(w.events, e)
}

// offer notes what a daemon is about to offer to the catalog.
func (w *world) offer(lane int, ident icetable.Identifier, updates []icetable.Update) *event {
	e := &event{object: tableOf(ident), lane: lane}
	for _, u := range updates {
		if u.Action() != icetable.UpdateAddSnapshot {
			continue
		}
		s := reflect.ValueOf(u).Elem().FieldByName("Snapshot").Interface().(*icetable.Snapshot)
		e.snapshot = s.SnapshotID
		if s.ParentSnapshotID != nil {
			e.parent = *s.ParentSnapshotID
		}
	}
	w.mu.Lock()
	e.again = e.snapshot != 0 && w.offered[e.snapshot] // tags alone are offered without one
	w.offered[e.snapshot] = true
	w.mu.Unlock()
	return e
}

// land lets a commit reach the catalog and checks the step that the table takes.
func (w *world) land(ctx context.Context, ident icetable.Identifier, reqs []icetable.Requirement, updates []icetable.Update) (icetable.Metadata, string, error) {
	w.landing.Lock()
	defer w.landing.Unlock()
	before, err := w.cat.LoadTable(ctx, ident)
	if err != nil {
		return nil, "", err
	}
	meta, location, err := w.cat.CommitTable(ctx, ident, reqs, updates)
	if err == nil {
		w.checkStep(tableOf(ident), before.Metadata(), meta)
	}
	return meta, location, err
}

// checkStep checks what one commit of a daemon made of a table.
func (w *world) checkStep(name string, before, after icetable.Metadata) {
	was, is := fenceIn(before), fenceIn(after)
	if is < was {
		w.violated("I7", "%s: the fence goes from %d to %d", name, was, is)
	}
	old, now := before.CurrentSnapshot(), after.CurrentSnapshot()
	if at := after.SnapshotByName(branchOfLoad); at != nil && before.SnapshotByName(branchOfLoad) == nil {
		w.mu.Lock()
		w.renewed = true
		w.mu.Unlock()
	}
	if now == nil || old != nil && old.SnapshotID == now.SnapshotID {
		return
	}
	if before.Properties()[keyOfQuarantine] != "" {
		w.violated("I2", "%s: written to after it has left", name)
	}
	if w.isFrozen(name) {
		w.violated("I19", "%s: written to before a person has decided", name)
	}
	if mark := now.Summary.Properties[keyOfFence]; mark != strconv.FormatInt(was, 10) {
		w.violated("I7", "%s: a daemon with fence %s commits under fence %d", name, mark, was)
	}
	if tag := after.SnapshotByName(tagOfPosition); tag == nil || tag.SnapshotID != now.SnapshotID {
		w.violated("tag", "%s: the tag is not on the newest snapshot", name)
	}
	if named := after.Properties()[keyOfNewest]; named != strconv.FormatInt(now.SnapshotID, 10) {
		w.violated("property", "%s: the properties name %s", name, named)
	}
	if old == nil {
		return
	}
	if w.publishes(name, before, after) {
		return
	}
	if now.ParentSnapshotID == nil || *now.ParentSnapshotID != old.SnapshotID {
		w.violated("I6", "%s: a commit lands that was made on another snapshot than main's", name)
	}
	w.checkGrowth(name, before, now)
	if now.Summary.Operation == icetable.OpReplace {
		w.note(event{object: name, what: "rewrite: landed"})
	}
}

// publishes reports that a commit made main what was loaded anew. It checks that this was whole, on
// the branch as it was, further on than main, and that main had stayed where the branch began.
func (w *world) publishes(name string, before, after icetable.Metadata) bool {
	branch, old, now := before.SnapshotByName(branchOfLoad), before.CurrentSnapshot(), after.CurrentSnapshot()
	if branch == nil || now.ParentSnapshotID == nil || *now.ParentSnapshotID != branch.SnapshotID {
		return false
	}
	if after.SnapshotByName(branchOfLoad) != nil || branch.Summary.Properties["cdcd.load"] != `{"complete":true}` {
		w.violated("I17", "%s: published before it was loaded", name)
	}
	first := branch
	for s := branch; s != nil && s.SnapshotID != old.SnapshotID; s = parentIn(before, s) {
		first = s
	}
	if p := first.ParentSnapshotID; !w.expired && (p == nil || *p != old.SnapshotID) && old.Summary.Operation != icetable.OpReplace {
		w.violated("I6", "%s: main has moved beside the load that is published", name)
	}
	w.checkGrowth(name, before, now)
	w.note(event{object: name, what: "load anew: published"})
	return true
}

// checkGrowth compares the position with the newest one before it.
func (w *world) checkGrowth(name string, before icetable.Metadata, now *icetable.Snapshot) {
	at, err := capture.ParsePosition(capture.MySQL, now.Summary.Properties[keyOfPosition])
	if err != nil {
		w.violated("I4", "%s: %v", name, err)
		return
	}
	for s := before.CurrentSnapshot(); s != nil; s = parentIn(before, s) {
		text, marked := s.Summary.Properties[keyOfPosition]
		if !marked {
			continue
		}
		if last, err := capture.ParsePosition(capture.MySQL, text); err != nil || !at.Covers(last) {
			w.violated("I4", "%s: position %s after %s", name, at, text)
		}
		return
	}
}

func parentIn(meta icetable.Metadata, s *icetable.Snapshot) *icetable.Snapshot {
	if s.ParentSnapshotID == nil {
		return nil
	}
	return meta.SnapshotByID(*s.ParentSnapshotID)
}

func fenceIn(meta icetable.Metadata) int64 {
	s := meta.SnapshotByName(branchOfFence)
	if s == nil {
		return 0
	}
	n, err := strconv.ParseInt(s.Summary.Properties[keyOfFence], 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func (w *world) isFrozen(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.frozen[name]
}

// previous gives a table as it was before its newest commit, nil where it had none.
func (w *world) previous(ident icetable.Identifier) *icetable.Table {
	w.landing.Lock()
	defer w.landing.Unlock()
	return w.cat.Previous(ident)
}

// removing checks that an object may go.
func (w *world) removing(name string) {
	kind := objectOf(name)
	if strings.HasSuffix(kind, " intent") {
		return // nothing depends on it
	}
	if !strings.HasSuffix(kind, " metadata") {
		w.violated("I8", "%s is removed: %s", kind, name)
		return
	}
	for _, ident := range w.idents() {
		if t, err := w.cat.LoadTable(context.Background(), ident); err == nil && t.MetadataLocation() == name {
			w.violated("I9", "the metadata file in force is removed")
		}
	}
}

// idents names all tables, the control table last.
func (w *world) idents() []icetable.Identifier {
	var out []icetable.Identifier
	for _, n := range w.names {
		out = append(out, icetable.Identifier{"shop", n})
	}
	return append(out, icetable.Identifier{controlName.Namespace, controlName.Table})
}

// act lets somebody else act, on the table that the fault is about.
func (w *world) act(f *fault) {
	if f.actor == nobody {
		return
	}
	name, _, _ := strings.Cut(f.at.object, " ")
	idents := w.idents()
	at := slices.IndexFunc(idents, func(i icetable.Identifier) bool { return tableOf(i) == name })
	if at < 0 {
		return
	}
	foreign := tabletest.Foreign{Catalog: w.cat, Store: w.store, Table: idents[at]}
	w.mu.Lock()
	w.foreign = w.foreign || f.actor != takesOver
	w.mu.Unlock()
	err := w.doAct(f.actor, foreign)
	if errors.Is(err, tabletest.ErrNothingToDo) {
		return
	}
	if err != nil {
		w.violated("harness", "%s: %v", f.actor, err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.plan.faults {
		w.acted[i] = w.acted[i] || &w.plan.faults[i] == f
	}
	switch f.actor {
	case rollsBack, coversUp, appends, untags, evolves:
		w.frozen[name] = true
		w.expired = w.expired || f.actor == coversUp
	case expires:
		w.expired = true
	default:
	}
}

func (w *world) doAct(a actor, f tabletest.Foreign) error {
	ctx := context.Background()
	if a == takesOver {
		if w.rival != nil {
			return tabletest.ErrNothingToDo
		}
		return w.takeOver()
	}
	w.landing.Lock()
	defer w.landing.Unlock()
	switch a {
	case compacts:
		return f.Compact(ctx)
	case expires:
		return f.Expire(ctx)
	case rollsBack:
		return f.Rollback(ctx)
	case coversUp:
		return f.CoverUp(ctx)
	case appends:
		return f.Append(ctx)
	case untags:
		return f.Untag(ctx, tagOfPosition)
	case branches:
		return f.Branch(ctx)
	case retries:
		return f.Set(ctx, "commit.retry.num-retries", "10")
	case repoints:
		return f.Set(ctx, keyOfNewest, "1")
	case evolves:
		return f.Evolve(ctx)
	default:
		return fmt.Errorf("%q does nothing", a)
	}
}

// path tells what became of the attempts that did not simply land, in the order of events.
func (w *world) path() []string {
	var out []string
	add := func(what string) {
		if len(out) == 0 || out[len(out)-1] != what {
			out = append(out, what)
		}
	}
	for i, e := range w.events {
		switch {
		case e.what != "":
			if e.what != "end: done" {
				add(e.what)
			}
		case e.again && e.applied:
			add("resent: landed")
		case e.again:
			add("resent: refused")
		}
		if e.what == "" && !e.answered {
			add(w.next(i))
		}
	}
	return out
}

// next tells what followed an offer that was not answered with success.
func (w *world) next(i int) string {
	e := w.events[i]
	had := "open"
	if e.applied {
		had = "landed unknown"
	}
	for _, n := range w.events[i+1:] {
		switch {
		case n.object == "daemon":
			return had + ": ended"
		case n.object != e.object || n.what != "" || n.lane != e.lane:
		case n.snapshot == e.snapshot:
			return had + ": resent"
		case e.applied:
			return "found"
		case n.parent == e.parent:
			return "rebuilt"
		default:
			return "rebased"
		}
	}
	return had
}

// traced notes a call for the traces.
func (w *world) traced(lane int, at site, f *fault) {
	if w.plan.traces {
		line := at.op + " " + at.object
		if lane != 1 {
			line = "rival: " + line
		}
		if f != nil {
			line += " (" + string(f.kind) + ")"
		}
		w.mu.Lock()
		w.trace = append(w.trace, line)
		w.mu.Unlock()
	}
}
