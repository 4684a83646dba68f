package commit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cdcd/capture"
	"cdcd/table"
)

// schedule is what happens on the network while a pipeline is run from its beginning, stopped,
// and run again.
type schedule struct {
	tables int    // in the lake
	begun  bool   // the pipeline has been run before, without faults
	seed   uint64 // of the source's transactions and how they are delivered
	faults []fault
	wiped  bool // the state directory is lost whenever a daemon ends
	cuts   int  // how the daemons cut epochs: each in another way than the one before it
	loose  bool // the catalog gives out sequence numbers itself: only what is asserted refuses a commit
	traces bool // every call is noted
	format int  // version of the members' tables; 0: 3; becomes3: 2, and 3 from the second daemon on
	// rewrites has the daemons rewrite the files of their tables all the time.
	rewrites bool
	breaks   bool // the first table cannot follow a transaction
	renews   bool // it is loaded anew
}

// becomes3 is the format of schedules in which tables of version 2 are moved to version 3.
const becomes3 = 23

// fault is what becomes of one call, and who else acts beside it.
type fault struct {
	at    site
	kind  kind
	delay int // in calls on the same object, of what comes late or twice
	actor actor
	after bool // the actor acts after the call, not before it
}

// kind is what becomes of a call.
type kind string

const (
	passes        kind = "passes"
	fails         kind = "fails"          // nothing is done
	conflicts     kind = "conflicts"      // nothing is done, and the answer is that of a conflict
	lost          kind = "lost"           // it is done, and the answer is lost
	falseConflict kind = "false conflict" // it is done, and the answer is that of a conflict
	comesLate     kind = "late"           // it is done later
	comesTwice    kind = "twice"          // it is done now and once more later
	torn          kind = "torn"           // half of an object is written
	stale         kind = "stale"          // a load shows the table as it was before
)

// actor is somebody else who does something to a table.
type actor string

const (
	nobody    actor = ""
	compacts  actor = "compacts"
	expires   actor = "expires"
	rollsBack actor = "rolls back"
	coversUp  actor = "sets back, compacts and expires"
	appends   actor = "appends"
	untags    actor = "untags"
	branches  actor = "commits to a branch"
	retries   actor = "turns retries on"
	repoints  actor = "edits the position"
	evolves   actor = "adds a column"
	takesOver actor = "takes over"
)

func (s schedule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d tables, begun %v, seed %d", s.tables, s.begun, s.seed)
	for _, f := range s.faults {
		fmt.Fprintf(&b, "; %s %s", f.at, f.kind)
		if f.delay > 0 {
			fmt.Fprintf(&b, " after %d", f.delay)
		}
		if f.actor != nobody {
			fmt.Fprintf(&b, ", %s %s", map[bool]string{false: "before it", true: "after it"}[f.after], f.actor)
		}
	}
	if s.format != 0 {
		fmt.Fprintf(&b, "; format %d", s.format)
	}
	fmt.Fprintf(&b, "; wiped %v, cuts %d, loose %v", s.wiped, s.cuts, s.loose)
	if s.rewrites {
		b.WriteString(", rewrites")
	}
	if s.breaks {
		b.WriteString(", breaks")
	}
	if s.renews {
		b.WriteString(", renews")
	}
	return b.String()
}

// result is what came of a schedule.
type result struct {
	fired  bool // all its faults
	acted  bool // and all their actors
	path   []string
	trace  []string
	calls  map[site]int
	broken []violation
}

const (
	// scheduleTime bounds a schedule. It is the bubble's time: of waits, not of work.
	scheduleTime = time.Hour
	firstRows    = 3 // transactions before the pipeline begins
	whileRunning = 4 // and after that
	afterRestart = 3
	afterAll     = 1 // once what came late has come
)

// lakes holds, by their number of tables, worlds in which a pipeline has come to rest.
type lakes map[int]*world

// newLakes runs pipelines without faults.
func newLakes(tables ...int) (lakes, error) {
	out := lakes{}
	for _, n := range tables {
		w, err := rest(n)
		if err != nil {
			return nil, err
		}
		out[n] = w
	}
	return out, nil
}

func (l lakes) close() error {
	var errs []error
	for _, w := range l {
		errs = append(errs, w.close())
	}
	return errors.Join(errs...)
}

// play runs a schedule to its end and checks what is there then.
func (l lakes) play(s schedule) (result, error) {
	if s.begun {
		w, err := l[s.tables].begin(s)
		if err != nil {
			return result{}, err
		}
		return w.play(afterRestart, afterAll)
	}
	w, err := newWorld(s)
	if err != nil {
		return result{}, err
	}
	w.fill(firstRows)
	return w.play(whileRunning, afterRestart)
}

// play runs daemons: first while some transactions are made, then, after a restart, while
// some more are, and once more when what is still on its way has arrived.
func (w *world) play(first, second int) (result, error) {
	stopped := w.finish(first)
	if !stopped {
		w.forget()
		stopped = w.finish(second)
	}
	if n := w.flush(); !stopped && (n > 0 || w.expired || w.unseen()) {
		w.forget()
		w.calm = true
		stopped = w.finish(afterAll)
	}
	w.examine(stopped)
	if held := w.mem.held.Load(); held != 0 {
		w.violated("memory", "%d bytes are not freed", held)
	}
	r := result{fired: true, acted: true, path: w.path(), trace: w.trace, calls: w.calls, broken: w.broken}
	for i, f := range w.plan.faults {
		r.fired = r.fired && w.fired[i]
		r.acted = r.acted && (f.actor == nobody || w.acted[i])
	}
	return r, w.close()
}

// rest runs a pipeline without faults, as the beginning of schedules.
func rest(tables int) (*world, error) {
	w, err := newWorld(schedule{tables: tables, seed: 1})
	if err != nil {
		return nil, err
	}
	w.fill(firstRows)
	if stopped := w.finish(whileRunning); !stopped {
		w.examine(false)
	}
	if len(w.broken) > 0 {
		return nil, fmt.Errorf("a run without faults: %v", w.broken)
	}
	return w, nil
}

// unseen reports that somebody may have changed a table after the last look at it.
func (w *world) unseen() bool {
	return len(w.frozen) > 0 || slices.ContainsFunc(w.plan.faults, func(f fault) bool { return f.actor == repoints })
}

// forget loses the state directories where the schedule says so.
func (w *world) forget() {
	if !w.plan.wiped {
		return
	}
	dirs, err := filepath.Glob(filepath.Join(w.dir, "index*"))
	if err != nil {
		panic(err) // the pattern is right
	}
	for _, d := range dirs {
		if err := os.RemoveAll(d); err != nil {
			w.violated("harness", "%v", err)
		}
	}
}

// finish runs daemons until one has done everything, and reports whether there is none that
// can: a person must look. The first one that begins finds the log growing by some
// transactions.
func (w *world) finish(grow int) (stopped bool) {
	ctx, cancel := context.WithTimeout(context.Background(), scheduleTime)
	defer cancel()
	once := func() {
		w.fill(grow)
		grow = 0
	}
	for range 3 + len(w.plan.faults) {
		err := w.run(ctx, 1, once)
		end := endOf(err)
		w.note(event{object: "daemon", what: "end: " + end})
		if end == "fenced" || w.rival != nil {
			w.joinRival()
		}
		switch end {
		case "done":
			return false
		case "injected", "fenced", "moved":
		case "rolled back", "foreign rows", "foreign shape", "damaged":
			if !w.foreign {
				w.violated("end", "a daemon stopped for a person, and nobody has done anything: %v", err)
				return true
			}
			return w.staysStopped(ctx, end)
		default:
			w.violated("end", "a daemon ended with %v", err)
			return true
		}
		w.forget()
	}
	w.violated("end", "daemons end without end")
	return true
}

// staysStopped checks that what stopped a daemon stops the next one. A request of the former
// may still be on its way to take the number that the next one wants.
func (w *world) staysStopped(ctx context.Context, first string) bool {
	end := ""
	for range 2 {
		w.forget()
		err := w.run(ctx, 1, func() {})
		if end = endOf(err); end != "fenced" {
			break
		}
	}
	if end == "done" && slices.ContainsFunc(w.plan.faults, func(f fault) bool { return f.actor == repoints }) {
		return false // a commit that was on its way has set the property again
	}
	if end == "done" && w.plan.breaks && first == "foreign shape" {
		return false // of a table that has left since, which nobody opens
	}
	if end != first {
		w.violated("I19", "a daemon stopped (%s) and the next one did not: %s", first, end)
	}
	return true
}

// rival is another daemon on the same pipeline.
type rival struct {
	done chan struct{}
	err  error
}

// takeOver starts a rival, which has the pipeline when this returns, and goes on beside
// whoever had it.
func (w *world) takeOver() error {
	ctx := context.Background()
	p, err := Open(ctx, w.config(2))
	if errors.Is(err, ErrFenced) { // a request that was on its way took the number
		p, err = Open(ctx, w.config(2))
	}
	if err != nil {
		return err
	}
	end := w.server.end()
	p.cfg.Until = &end
	r := &rival{done: make(chan struct{})}
	w.rival = r
	go func() {
		defer close(r.done)
		r.err = p.Run(ctx, nil)
	}()
	return nil
}

// joinRival waits for the rival, which must come to its end.
func (w *world) joinRival() {
	if w.rival == nil {
		return
	}
	<-w.rival.done
	err := w.rival.err
	w.rival = nil
	w.note(event{object: "daemon", what: "rival: " + endOf(err)})
	if err != nil {
		w.violated("end", "the daemon that took over ended with %v", err)
	}
}

// parseLoad gives the ranges that a Mark counts as loaded.
func parseLoad(text string) ([]capture.Range, error) {
	var l table.Load
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		return nil, err
	}
	if l.Complete {
		return []capture.Range{{}}, nil
	}
	return l.Done, nil
}

// count gives the number of transactions in a position without holes.
func (w *world) count(p capture.Position) (int, bool) {
	for n := range len(w.server.log) + 1 {
		if w.server.position(n).Equal(p) {
			return n, true
		}
	}
	return 0, false
}
