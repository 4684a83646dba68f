package commit

import (
	"crypto/rand"
	"errors"
	"fmt"

	"cdcd/capture"
	"cdcd/table"
	"cdcd/table/rowset"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// load is a table's initial load as the loop sees it.
type load struct {
	complete bool
	done     []capture.Range // joined into epochs, committed or about to be
	before   int64           // rows that the table had when this process began
	rows     int64           // joined so far by this process
	next     int             // the chunk that is to join next
	waiting  map[int]*arrival
	recorder *recorder
	shape    int // how often the table was altered since this process began
}

// job is a chunk to be read. Chunks of a table are numbered as they were planned.
type job struct {
	member *member
	number int
	within capture.Range
}

// opening asks the loop to open a chunk's window.
type opening struct {
	job   job
	reply chan window // buffered
}

// unread is the shape of a chunk that could not be read: it is always refused.
const unread = -1

// window is what a chunk is read under.
type window struct {
	after capture.Position // what was delivered, and what the table holds: the chunk must show all of it
	from  int              // where the recording of keys begins for it
	cuts  int              // of the recorder, then
	log   int              // how many batches of the log the open epoch had, then
	table capture.Capture  // how the rows are to be read
	shape int              // that this is: a chunk joins only if the table has had no other since
}

// arrival is a chunk that has been read and waits to join an epoch.
type arrival struct {
	job    job
	window window
	chunk  *capture.Chunk
	part   bool          // others of the same job follow
	joined chan struct{} // closed when it has, or is stale
	stale  bool          // it has to be read again
}

// recorder records the keys that the stream delivers for a table while chunks of it are
// read. It is used by the loop alone.
type recorder struct {
	keys   *rowset.Encoder
	secret rowset.Secret
	log    []recorded  // of one batch each
	first  int         // number of log[0]
	open   map[int]int // windows that begin at each number
	cuts   int         // how often what was delivered has left the open epoch
}

// recorded is the keys of a delivered batch.
type recorded struct {
	keys    []rowset.Key
	partial []capture.Partial
	ops     []capture.Op
	cuts    int // of the recorder, then
}

// touch is what the stream has done to a key since a window was opened.
type touch uint8

const (
	untouched  touch = iota
	overwrites       // the log has all of the row: that of the chunk is older, or no news
	amends           // it has columns of it, all in the open epoch, where they follow the chunk's row
	amended          // it had columns of it, which may be in no row of the lake, or patches, which the chunk may have or not
)

func newRecorder(t *capture.Table) (*recorder, error) {
	var secret rowset.Secret
	if _, err := rand.Read(secret[:]); err != nil {
		return nil, err
	}
	return &recorder{keys: rowset.NewEncoder(t, secret), secret: secret, open: map[int]int{}}, nil
}

// begin opens a window and gives its number.
func (r *recorder) begin() int {
	n := r.first + len(r.log)
	r.open[n]++
	return n
}

// end closes a window. What no window needs any more is forgotten.
func (r *recorder) end(from int) {
	if r.open[from]--; r.open[from] == 0 {
		delete(r.open, from)
	}
	oldest := r.first + len(r.log)
	for n := range r.open {
		oldest = min(oldest, n)
	}
	r.log = r.log[oldest-r.first:]
	r.first = oldest
}

// record notes the keys of a delivered batch, if any window is open.
func (r *recorder) record(b *capture.Batch) error {
	if len(r.open) == 0 {
		return nil
	}
	keys, err := r.keys.Append(nil, b.Record)
	if err != nil {
		return err
	}
	r.log = append(r.log, recorded{keys, b.Partial, b.Ops, r.cuts})
	return nil
}

// cut notes that the open epoch goes out of the loop's hands, in whole or in part.
func (r *recorder) cut() {
	if r != nil {
		r.cuts++
	}
}

// since gives what was done to keys since a window was opened.
func (r *recorder) since(from int) map[rowset.Key]touch {
	out := map[rowset.Key]touch{}
	for _, b := range r.log[from-r.first:] {
		amend := amends
		if b.cuts < r.cuts {
			amend = amended
		}
		runs := b.partial
		for row, k := range b.keys {
			for len(runs) > 0 && row >= runs[0].To {
				runs = runs[1:]
			}
			switch partial := len(runs) > 0 && row >= runs[0].From && b.ops[row] != capture.OpDelete; {
			case !partial:
				out[k] = overwrites
			case out[k] == overwrites:
			case runs[0].Patched != nil:
				out[k] = amended
			default:
				out[k] = max(out[k], amend)
			}
		}
	}
	return out
}

// errStale reports a chunk with rows of which neither it nor the log has the newest state.
var errStale = errors.New("a chunk has to be read again")

// fresh reduces a chunk to the rows that the stream has not overwritten since the chunk's window
// was opened. It owns the batch it is given, but for an error, and gives one, which may be nil.
func (r *recorder) fresh(b *capture.Batch, from int, mem memory.Allocator) (*capture.Batch, error) {
	touched := r.since(from)
	if b == nil || len(touched) == 0 {
		return b, nil
	}
	keys, err := r.keys.Append(nil, b.Record)
	if err != nil {
		return nil, err
	}
	refs := make([]rowset.Ref, 0, len(keys))
	for i, k := range keys {
		switch touched[k] {
		case amended:
			return nil, errStale
		case untouched, amends:
			refs = append(refs, rowset.Ref{Row: int32(i)})
		}
	}
	if len(refs) == len(keys) {
		return b, nil
	}
	defer b.Release()
	if len(refs) == 0 {
		return nil, nil
	}
	columns, err := rowset.Take([]*capture.Batch{b}, refs, mem)
	if err != nil {
		return nil, err
	}
	record := array.NewRecordBatch(b.Record.Schema(), columns, int64(len(refs)))
	for _, c := range columns {
		c.Release()
	}
	ops := make([]capture.Op, len(refs))
	for i := range ops {
		ops[i] = capture.OpLoad
	}
	return &capture.Batch{Table: b.Table, Record: record, Ops: ops}, nil
}

// mark gives the load's state for a Mark.
func (l *load) mark() table.Load {
	if l.complete {
		return table.Load{Complete: true}
	}
	return table.Load{Done: l.done}
}

// openWindow opens a window for a chunk, which must show at least the given position. log is how
// many batches of the log the open epoch has.
func (l *load) openWindow(c capture.Capture, after capture.Position, log int) (window, error) {
	if l.recorder == nil {
		var err error
		if l.recorder, err = newRecorder(c.Table); err != nil {
			return window{}, err
		}
	}
	return window{after: after, from: l.recorder.begin(), cuts: l.recorder.cuts, log: log, table: c, shape: l.shape}, nil
}

// place gives behind how many batches of the open epoch's log a chunk belongs: those that it
// shows for certain. Of a patch among them it would be wrong to have it applied again.
func (l *load) place(w window) int {
	if w.cuts < l.recorder.cuts {
		return 0 // all came later
	}
	return w.log
}

// alter follows a change of the table's shape. Keys stay what they are.
func (l *load) alter(t *capture.Table) {
	l.shape++
	if l.recorder != nil {
		l.recorder.keys = rowset.NewEncoder(t, l.recorder.secret)
	}
}

// refuse gives a chunk back to who read it. The rows may be of a state before or behind an
// ALTER TABLE that the stream has passed meanwhile.
func (l *load) refuse(a *arrival) {
	l.recorder.end(a.window.from)
	if a.chunk.Batch != nil {
		a.chunk.Batch.Release()
	}
	delete(l.waiting, l.next)
	a.stale = true
	close(a.joined)
}

// arrive takes a chunk in.
func (l *load) arrive(a *arrival) {
	if l.waiting == nil {
		l.waiting = map[int]*arrival{}
	}
	l.waiting[a.job.number] = a
}

// abandon gives up the chunks that wait, for a table that has left.
func (l *load) abandon() {
	for _, a := range l.waiting {
		a.abandon()
	}
	l.waiting = nil
}

// abandon gives a chunk up.
func (a *arrival) abandon() {
	if a.chunk.Batch != nil {
		a.chunk.Batch.Release()
	}
	a.stale = true
	close(a.joined)
}

// ready gives the chunk that joins next, if it has arrived and the stream has delivered
// all it can have seen.
func (l *load) ready(delivered capture.Position) *arrival {
	a := l.waiting[l.next]
	if a == nil || !delivered.Reaches(a.chunk.High) {
		return nil
	}
	return a
}

// join makes a chunk part of what is loaded and gives the rows that are to be committed
// with it, nil for none. With errStale it is not part of it: its reader reads it again.
func (l *load) join(a *arrival, mem memory.Allocator) (*capture.Batch, error) {
	b, err := l.recorder.fresh(a.chunk.Batch, a.window.from, mem)
	if err != nil && !errors.Is(err, errStale) {
		return nil, err
	}
	l.recorder.end(a.window.from)
	if err != nil {
		a.chunk.Batch.Release()
		delete(l.waiting, l.next)
		a.stale = true
		close(a.joined)
		return nil, err
	}
	if l.done, err = capture.AddRange(l.done, a.chunk.Range); err != nil {
		return nil, fmt.Errorf("%s: %w", a.job.member.name(), err)
	}
	delete(l.waiting, l.next)
	if !a.part {
		l.next++
	}
	l.complete = len(capture.Gaps(l.done)) == 0
	close(a.joined)
	return b, nil
}

// release gives the chunks that never joined back.
func (l *load) release() {
	for _, a := range l.waiting {
		if a.chunk.Batch != nil {
			a.chunk.Batch.Release()
		}
	}
	l.waiting = nil
}
