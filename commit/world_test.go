package commit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cdcd/capture"
	"cdcd/table"
	"cdcd/table/tabletest"
	"github.com/apache/arrow-go/v18/arrow/memory"
	icetable "github.com/apache/iceberg-go/table"
)

// world is a lake in memory, a source, and the network between them and the daemons. What
// happens on the network follows a schedule; what the lake shows is checked at each step.
// Everything in it runs in a bubble of package synctest, so no wait takes time.
type world struct {
	plan   schedule
	cat    *tabletest.Memory
	store  *tabletest.Store
	server *fakeServer
	mem    *countingMemory
	dir    string // of the state directories
	names  []string

	mu      sync.Mutex
	calls   map[site]int // made so far, by a site with number 0
	fired   []bool       // of the schedule's faults
	acted   []bool       // and their actors
	late    []*delivery
	events  []event
	trace   []string
	starts  int // of daemons
	foreign bool
	frozen  map[string]bool // tables on which a person must decide first
	expired bool            // somebody expired snapshots
	renewed bool            // a load anew was begun
	calm    bool            // nothing of the schedule happens any more
	rival   *rival
	broken  []violation

	landing sync.Mutex // one commit at a time reaches the catalog
	offered map[int64]bool
	reader  *reader
}

// site names a call: the n-th of an operation on an object.
type site struct {
	op, object string
	n          int
}

func (s site) String() string { return fmt.Sprintf("%s %s %d", s.op, s.object, s.n) }

// delivery is a request that is still on its way.
type delivery struct {
	object string
	after  int // that many more calls on the object
	twice  bool
	do     func() error
}

// never is a number of calls after which all daemons have ended.
const never = 1 << 20

var errConflict = fmt.Errorf("%w: injected", icetable.ErrCommitFailed)

// countingMemory counts what is allocated and not freed.
type countingMemory struct {
	memory.Allocator
	held atomic.Int64
}

func (c *countingMemory) Allocate(n int) []byte {
	c.held.Add(int64(n))
	return c.Allocator.Allocate(n)
}

func (c *countingMemory) Reallocate(n int, b []byte) []byte {
	c.held.Add(int64(n - len(b)))
	return c.Allocator.Reallocate(n, b)
}

func (c *countingMemory) Free(b []byte) {
	c.held.Add(-int64(len(b)))
	c.Allocator.Free(b)
}

// tableNames are the members of a lake.
var tableNames = []string{"a", "b", "c"}

// segmentTime is how long a delivery takes: so long that loads are over and settled before a daemon has all.
const segmentTime = 1500 * time.Microsecond

func newWorld(s schedule) (*world, error) {
	names := tableNames[:s.tables]
	dir, err := os.MkdirTemp(inMemory(), "cdcd-world-")
	if err != nil {
		return nil, err
	}
	mem := &countingMemory{Allocator: memory.NewGoAllocator()}
	w := &world{
		plan: s, dir: dir, names: names, mem: mem, server: newFakeServer(s.seed, mem, names...), store: tabletest.NewStore(),
		cat:   tabletest.NewMemory("/lake", tabletest.Faults{AnySequence: s.loose}),
		calls: map[site]int{}, frozen: map[string]bool{}, fired: make([]bool, len(s.faults)), acted: make([]bool, len(s.faults)), offered: map[int64]bool{},
	}
	w.cat.Files, w.server.delay = w.store, segmentTime
	w.reader = newReader(w)
	return w, nil
}

// begin makes the world of a schedule out of one that has come to rest.
func (w *world) begin(s schedule) (*world, error) {
	out, err := newWorld(s)
	if err != nil {
		return nil, err
	}
	if err := os.CopyFS(out.dir, os.DirFS(w.dir)); err != nil {
		return nil, err
	}
	out.store = w.store.Clone()
	out.cat = w.cat.Clone(out.store)
	out.cat.Faults.AnySequence = s.loose
	out.server.log, out.server.visible = slices.Clone(w.server.log), w.server.visible
	out.reader = w.reader.of(out)
	return out, nil
}

// inMemory is a directory in memory where the machine has one.
func inMemory() string {
	if _, err := os.Stat("/dev/shm"); err != nil {
		return ""
	}
	return "/dev/shm"
}

func (w *world) close() error { return os.RemoveAll(w.dir) }

// cutPlans are ways to cut the log into epochs.
var cutPlans = []struct {
	rows, bytes int64
	age         time.Duration
}{
	{rows: 6, bytes: 1 << 20, age: time.Millisecond},
	{rows: 50, bytes: 1 << 20, age: time.Millisecond},
	{rows: 4, bytes: 300, age: 10 * time.Millisecond}, // segments wait for room
}

// config gives the configuration of the next daemon. Those of one lane share a state
// directory.
func (w *world) config(lane int) Config {
	n := &network{w, lane}
	w.mu.Lock()
	cuts := cutPlans[(w.plan.cuts+w.starts)%len(cutPlans)]
	w.starts++
	starts := w.starts
	w.mu.Unlock()
	cfg := Config{
		Pipeline: "p", Source: &networkSource{n}, Quarantine: w.plan.breaks, Logger: slog.New(slog.DiscardHandler),
		Tables: table.Config{
			Catalog: n, Store: n, Pipeline: "p", Intents: "file:///lake" + intents, IndexDir: filepath.Join(w.dir, fmt.Sprint("index", lane)), Memory: w.mem, Now: time.Now,
		},
		Control:  Member{Lake: controlName, Location: w.cat.Location(controlName)},
		Interval: cuts.age, MaxRows: int(cuts.rows), MaxBytes: cuts.bytes, LoadConnections: 1, ChunkRows: 3, MaxLag: time.Hour, CutSettle: time.Microsecond,
	}
	for _, name := range w.names {
		m := w.server.member(name)
		m.Location, m.FormatVersion = w.cat.Location(m.Lake), w.plan.format
		if w.plan.format == becomes3 {
			m.FormatVersion = min(starts+1, 3)
		}
		cfg.Members = append(cfg.Members, m)
	}
	return cfg
}

// arrive counts a call, lets what was to come before it come first, and gives what the
// schedule has for it.
func (w *world) arrive(lane int, op, object string) (site, *fault) {
	w.mu.Lock()
	var due []*delivery
	w.late = slices.DeleteFunc(w.late, func(d *delivery) bool {
		if d.object == object {
			d.after--
		}
		if d.after > 0 {
			return false
		}
		due = append(due, d)
		return true
	})
	at := site{op: op, object: object}
	var hit *fault
	if lane == 1 && !w.calm {
		w.calls[at]++
		at.n = w.calls[at]
		for i := range w.plan.faults {
			if f := &w.plan.faults[i]; f.at == at && !w.fired[i] {
				w.fired[i], hit = true, f
			}
		}
	}
	w.mu.Unlock()
	for _, d := range due {
		w.deliver(d)
	}
	return at, hit
}

func (w *world) deliver(d *delivery) {
	what := "late"
	if d.twice {
		what = "twice"
	}
	answer := "landed"
	if d.do() != nil {
		answer = "refused"
	}
	w.note(event{object: d.object, what: what + ": " + answer})
}

// flush delivers everything that is still on its way, and gives how much that was.
func (w *world) flush() int {
	w.mu.Lock()
	due := w.late
	w.late = nil
	w.mu.Unlock()
	for _, d := range due {
		w.deliver(d)
	}
	return len(due)
}

// pass carries one call over the network: do is what it does on the other side.
func (w *world) pass(lane int, op, object string, do func() error) error {
	at, f := w.arrive(lane, op, object)
	w.traced(lane, at, f)
	if f == nil {
		return do()
	}
	if !f.after {
		w.act(f)
	}
	err := w.carry(f, object, do)
	if f.after {
		w.act(f)
	}
	return err
}

// carry is what becomes of a call that the schedule names.
func (w *world) carry(f *fault, object string, do func() error) error {
	again := func(twice bool) {
		w.mu.Lock()
		w.late = append(w.late, &delivery{object: object, after: f.delay, twice: twice, do: do})
		w.mu.Unlock()
	}
	switch f.kind {
	case fails:
		return errInjected
	case conflicts:
		return errConflict
	case lost:
		_ = do()
		return errInjected
	case falseConflict:
		_ = do()
		return errConflict
	case comesLate:
		again(false)
		return errInjected
	case comesTwice:
		err := do()
		again(true)
		return err
	case torn, stale, passes: // torn and stale are the business of the call itself
	}
	return do()
}

// violated notes that an invariant is broken.
func (w *world) violated(name, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = append(w.broken, violation{name, fmt.Sprintf(format, args...)})
}

// violation is a broken invariant, or rows that differ.
type violation struct{ name, detail string }

func (v violation) Error() string { return v.name + ": " + v.detail }

// run runs one daemon until it has all of the log. The first time, the log grows behind the
// place where the pipeline begins.
func (w *world) run(ctx context.Context, lane int, grow func()) error {
	cfg := w.config(lane)
	p, err := Open(ctx, cfg)
	if err != nil {
		return err
	}
	grow()
	end := w.server.end()
	p.cfg.Until = &end
	if w.plan.rewrites {
		defer w.rewriteBeside(ctx, p)()
	}
	if w.plan.renews {
		defer w.renewBeside(ctx, p)()
	}
	return p.Run(ctx, nil)
}

// fill appends transactions whose rows depend on the schedule's seed only.
func (w *world) fill(n int) {
	for range n {
		var tx []change
		for range 1 + w.server.content.IntN(3) {
			c := change{table: w.names[w.server.content.IntN(len(w.names))], id: int64(w.server.content.IntN(8)), val: value("v%d", w.server.content.IntN(1000))}
			if w.server.content.IntN(4) == 0 {
				c.val = nil
			}
			tx = append(tx, c)
		}
		if w.plan.breaks && len(w.server.log) > firstRows && w.server.breaks == nil {
			w.server.breakNext(w.names[0])
			tx = append(tx, change{w.names[0], 9, value("not to be seen")})
		}
		w.server.add(tx...)
	}
}

// intents is the directory of the intents.
const intents = "/_cdcd/p/intent"

// objectOf names the kind of an object of the store, and its table.
func objectOf(name string) string {
	dir, file := filepath.Split(name)
	tableName := filepath.Base(filepath.Dir(filepath.Clean(dir)))
	if strings.Contains(dir, intents) {
		return filepath.Base(dir) + " intent"
	}
	if tableName == "p" {
		tableName = "control"
	}
	kind := "manifest"
	switch {
	case strings.HasSuffix(file, ".parquet"):
		kind = "rows"
	case strings.HasSuffix(file, ".puffin"):
		kind = "vector"
	case strings.HasSuffix(file, ".json"):
		kind = "metadata"
	case strings.HasPrefix(file, "snap-"), strings.HasSuffix(file, "-list.avro"):
		kind = "list"
	}
	return tableName + " " + kind
}

// tableOf names a table of the catalog as sites do.
func tableOf(ident icetable.Identifier) string {
	if ident[0] == controlName.Namespace {
		return "control"
	}
	return ident[len(ident)-1]
}

// endOf names the way a daemon ended.
func endOf(err error) string {
	for _, known := range []struct {
		err  error
		name string
	}{
		{errInjected, "injected"},
		{icetable.ErrCommitFailed, "injected"},
		{ErrFenced, "fenced"},
		{table.ErrRolledBack, "rolled back"},
		{table.ErrForeignRows, "foreign rows"},
		{table.ErrForeignShape, "foreign shape"},
		{table.ErrCorrupt, "damaged"},
		{table.ErrMoved, "moved"},
		{capture.ErrHistoryLost, "history"},
	} {
		if errors.Is(err, known.err) {
			return known.name
		}
	}
	if err == nil {
		return "done"
	}
	return "other: " + err.Error()
}
