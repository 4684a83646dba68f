package commit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cdcd/capture"
	"cdcd/table"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/uuid"
)

// change is one row change of the fake source: a nil value deletes.
type change struct {
	table string
	id    int64
	val   *string
}

// fakeServer is a source with a log. The log may run ahead of what readers see, as with
// semi-synchronous replication.
type fakeServer struct {
	mu      sync.Mutex
	log     [][]change // transactions, numbered from 1
	visible int        // the transactions that readers see
	tables  map[string]*capture.Table
	purged  int        // transactions that the log no longer holds
	rng     *rand.Rand // of what is delivered how
	content *rand.Rand // of transactions
	mem     memory.Allocator
	created map[int][]capture.Name // tables that transactions create
	alters  map[int]string         // tables that transactions alter
	turns   map[int]bool           // alterations that turn the order of keys round
	empties map[int]string         // tables that transactions truncate
	breaks  map[int]string         // tables that cannot follow transactions
	namings map[int]naming         // transactions that change which table has a name
	late    bool                   // which shows behind the first part of one that is delivered in parts
	bad     map[string]error       // tables that cannot be read
	endsAt  atomic.Int64           // positions that streams were asked to end a segment at
	delay   time.Duration          // of every segment: the stream is behind what readers see

	histories []int // where the log was reset or set back: transactions behind have other times
	fits      int   // rows of a chunk; 0: any number
	whole     error // how reading a whole table ends

	running, asked int // threads that are at work, and how often that was asked

	described func() // is called when a table has been described; nil: is not

	reading func() // is called by a reader that has read and not handed over yet; nil: is not

	failure    error // ends the stream before transaction failAt+1
	failAt     int
	failInside bool // or inside of it, after its first part

	stalls chan chan struct{} // inside a transaction the stream hands over what it waits for; nil: it does not wait
}

const fakeSID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"

func newFakeServer(seed uint64, mem memory.Allocator, names ...string) *fakeServer {
	s := &fakeServer{tables: map[string]*capture.Table{}, rng: rand.New(rand.NewPCG(seed, 1)), content: rand.New(rand.NewPCG(seed, 2)), mem: mem, created: map[int][]capture.Name{}}
	for _, n := range names {
		s.tables[n] = fakeTable(n)
	}
	return s
}

// fakeTable makes a table; one whose name begins with "log" has no key and is appended to.
func fakeTable(name string) *capture.Table {
	t := fakeKeyed(name)
	if strings.HasPrefix(name, "log") {
		t.Key, t.Identity = nil, capture.Appended
	}
	return t
}

func fakeKeyed(name string) *capture.Table {
	return &capture.Table{Name: capture.Name{Schema: "shop", Table: name}, Key: []int{0}, Columns: []capture.Column{
		{Name: "id", Type: capture.TypeBigInt},
		{Name: "val", Type: capture.TypeVarchar, Size: 100, Charset: "utf8mb4", Nullable: true},
		{Name: "tag", Type: capture.TypeVarchar, Size: 100, Charset: "utf8mb4", Nullable: true},
	}}
}

func (s *fakeServer) member(name string) Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.locked(name)
}

// locked is member for those who hold the lock.
func (s *fakeServer) locked(name string) Member {
	return Member{
		Source: table.Source{Table: *s.shape(name, len(s.log))},
		Lake:   table.Name{Namespace: "shop", Table: name}, Rows: 10, RowBytes: 20,
	}
}

// add appends a transaction that readers see at once.
func (s *fakeServer) add(cs ...change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, cs)
	s.visible = len(s.log)
}

// state gives a table's rows after the first n transactions.
func (s *fakeServer) state(name string, n int) map[int64]string {
	out := map[int64]string{}
	for i, tx := range s.log[:n] {
		if s.empties[i+1] == name || s.namings[i+1].name == name {
			clear(out)
		}
		for _, c := range tx {
			if c.table != name {
				continue
			}
			if c.val == nil {
				delete(out, c.id)
			} else {
				out[c.id] = c.after(out)
			}
		}
	}
	return out
}

func (s *fakeServer) position(n int) capture.Position {
	if n == 0 {
		return capture.EmptyPosition(capture.MySQL)
	}
	p, err := capture.ParsePosition(capture.MySQL, fmt.Sprintf("%s:1-%d", fakeSID, n))
	if err != nil {
		panic(err)
	}
	return p
}

// end is the position behind all of the log.
func (s *fakeServer) end() capture.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.position(len(s.log))
}

func fakeGTID(n int) capture.GTID {
	return capture.GTID{SID: uuid.MustParse(fakeSID), Number: uint64(n)}
}

func (s *fakeServer) Position(ctx context.Context, _ *capture.Position) (capture.Position, error) {
	return s.Executed(ctx)
}

func (s *fakeServer) Executed(context.Context) (capture.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.position(s.visible), nil
}

func (s *fakeServer) Member(_ context.Context, n capture.Name) (Member, bool, error) {
	if s.described != nil {
		defer s.described()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.named(n.Table, s.visible); s.tables[n.Table] == nil || !there {
		return Member{}, false, nil
	}
	if n.Table == "refused" {
		return Member{}, true, capture.ErrNoKey
	}
	return s.locked(n.Table), true, nil
}

func (s *fakeServer) Stream(start capture.Position, witnesses []capture.Witness, tables []capture.Capture) (Stream, error) {
	f := &fakeStream{server: s, at: start.Clone(), witnesses: witnesses, tables: map[string]capture.Capture{}}
	for _, c := range tables {
		f.tables[c.Table.Name.Table] = c
	}
	return f, nil
}

func (s *fakeServer) Reader(context.Context, capture.Flavor, string) (Reader, error) {
	return &fakeReader{server: s}, nil
}

// fakeStream delivers the log in segments of random length.
type fakeStream struct {
	server    *fakeServer
	at        capture.Position
	witnesses []capture.Witness
	newest    capture.Witness
	next      int // transactions before it are delivered or in at
	tables    map[string]capture.Capture
	part      int // changes of the open transaction that are delivered
	endAt     []capture.Position
	held      atomic.Bool
}

// partRows is the number of changes from which the fake stream splits a transaction.
const partRows = 40

func (f *fakeStream) Connect(context.Context) error {
	f.server.mu.Lock()
	defer f.server.mu.Unlock()
	if !f.at.Covers(f.server.position(f.server.purged)) {
		return errPurged
	}
	return f.examine()
}

func (f *fakeStream) Server() string   { return "fake" }
func (f *fakeStream) Close()           {}
func (f *fakeStream) Heard() time.Time { return time.Now() }

func (f *fakeStream) Capture(c capture.Capture) error {
	f.tables[c.Table.Name.Table] = c
	return nil
}

func (f *fakeStream) Hold(on bool) { f.held.Store(on) }
func (f *fakeStream) EndAt(p capture.Position) {
	f.endAt = append(f.endAt, p)
	f.server.endsAt.Add(1)
}

var errPurged = errors.New("purged")

func (f *fakeStream) Next(ctx context.Context) (*capture.Segment, error) {
	if err := pause(ctx, f.server.delay); err != nil {
		return nil, err
	}
	if err := f.stall(ctx); err != nil {
		return nil, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if seg, err := f.segment(); seg != nil || err != nil {
			return seg, err
		}
		if f.held.Load() && f.part == 0 {
			return &capture.Segment{End: f.at.Clone(), Newest: f.newest}, nil
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// stall waits inside a transaction, where somebody wants that.
func (f *fakeStream) stall(ctx context.Context) error {
	if f.part == 0 || f.server.stalls == nil {
		return nil
	}
	over := make(chan struct{})
	select {
	case f.server.stalls <- over:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// segment builds the next segment, nil where the log has no more.
func (f *fakeStream) segment() (*capture.Segment, error) {
	s := f.server
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := map[string][]change{}
	seg := &capture.Segment{}
	for want := 1 + s.rng.IntN(3); f.next < len(s.log) && seg.Transactions < want; {
		g := fakeGTID(f.next + 1)
		if f.at.Contains(g) {
			f.next++
			continue
		}
		if f.next < s.purged {
			return nil, errPurged
		}
		if f.ends() {
			if seg.Transactions > 0 {
				break
			}
			return nil, s.failure
		}
		f.breaks(seg, g)
		if altered, c := s.altered(f.next+1, g, f.tables); altered {
			if seg.Transactions > 0 {
				break
			}
			seg.Change = c
		}
		tx := s.log[f.next][f.part:]
		if len(tx) > partRows {
			if seg.Transactions > 0 {
				break
			}
			tx, seg.Open = tx[:partRows], true
		}
		f.renames(seg, g)
		seg.Rows += f.collect(rows, tx, g)
		if seg.Open {
			f.part += partRows
			break
		}
		if err := f.at.Add(g); err != nil {
			return nil, err
		}
		f.part = 0
		f.next++
		seg.Transactions++
		seg.Committed = time.UnixMilli(int64(f.next))
		f.newest = s.witness(f.next)
		seg.Created = append(seg.Created, s.created[f.next]...)
		if slices.ContainsFunc(f.endAt, f.at.Equal) || seg.Change != nil || len(seg.Left)+len(seg.Created) > 0 {
			break
		}
	}
	if seg.Transactions == 0 && !seg.Open {
		return nil, nil
	}
	seg.End, seg.Newest = f.at.Clone(), f.newest
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		seg.Batches = append(seg.Batches, fakeBatch(s.shape(name, f.next-len(seg.Left)), rows[name], s.mem)) // of one that left what was before
	}
	return seg, nil
}

// ends reports that the stream ends here.
func (f *fakeStream) ends() bool {
	s := f.server
	return s.failure != nil && f.next >= s.failAt && (!s.failInside || f.part > 0)
}

// collect sorts the captured changes of a transaction by table.
func (f *fakeStream) collect(rows map[string][]change, tx []change, g capture.GTID) int {
	n := 0
	for _, c := range tx {
		if t, ok := f.tables[c.table]; ok && !t.Applied.Contains(g) {
			rows[c.table] = append(rows[c.table], c)
			n++
		}
	}
	return n
}

// fakeBatch makes a batch of changes of which written, where given, are the transactions.
func fakeBatch(t *capture.Table, cs []change, mem memory.Allocator, written ...int) *capture.Batch {
	schema, err := capture.ArrowSchema(t, capture.TypeOptions{}, false)
	if err != nil {
		panic(err)
	}
	b := array.NewRecordBuilder(mem, schema)
	defer b.Release()
	out := &capture.Batch{Table: t, Ops: make([]capture.Op, 0, len(cs))}
	for i, c := range cs {
		at := append(written, make([]int, len(cs))...)[i]
		out.Partial = append(out.Partial, c.partial(len(out.Ops))...)
		if from, ok := c.moved(); ok {
			appendAltered(b, t, from, at)
			appendFake(b, from, nil, nil)
			out.Ops = append(out.Ops, capture.OpDelete)
		}
		val, tag := c.columns()
		appendAltered(b, t, c.id, at)
		appendFake(b, c.id, val, tag)
		if c.val == nil {
			out.Ops = append(out.Ops, capture.OpDelete)
		} else {
			out.Ops = append(out.Ops, capture.OpUpdate)
		}
	}
	out.Record = b.NewRecordBatch()
	return out
}

func (s *fakeServer) random(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.IntN(n)
}
