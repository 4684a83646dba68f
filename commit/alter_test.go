package commit

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cdcd/capture"
	"cdcd/table"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// A transaction that alters a table of the fake source gives it a column x<n>, after its own
// number, before the value of each row. Rows that were there have n in it, rows that are written
// later writtenIn plus their id.
const writtenIn = 1000

// alter appends a transaction that alters a table.
func (s *fakeServer) alter(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alters == nil {
		s.alters = map[int]string{}
	}
	s.log = append(s.log, nil)
	s.visible = len(s.log)
	s.alters[len(s.log)] = name
}

// turn appends a transaction that alters a table and turns the order of all keys round.
func (s *fakeServer) turn(name string) {
	s.mu.Lock()
	if s.turns == nil {
		s.turns = map[int]bool{}
	}
	s.turns[len(s.log)+1] = true
	s.mu.Unlock()
	s.alter(name)
}

// rank gives the place of a key in the order that keys have after the first n transactions.
func (s *fakeServer) rank(id int64, n int) int64 {
	for at := range s.turns {
		if at <= n {
			id = -id
		}
	}
	return id
}

// truncate appends a transaction that empties a table.
func (s *fakeServer) truncate(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.empties == nil {
		s.empties = map[int]string{}
	}
	s.log = append(s.log, nil)
	s.visible = len(s.log)
	s.empties[len(s.log)] = name
}

// shape gives a table after the first n transactions.
func (s *fakeServer) shape(name string, n int) *capture.Table {
	t := *s.tables[name]
	t.Columns = slices.Clone(t.Columns)
	since, _ := s.named(name, n)
	for _, at := range slices.Sorted(maps.Keys(s.alters)) {
		if since < at && at <= n && s.alters[at] == name {
			t.Columns = slices.Insert(t.Columns, 1, capture.Column{Name: fmt.Sprintf("x%d", at), Type: capture.TypeBigInt, Nullable: true})
		}
	}
	return &t
}

// altered tells what transaction n changes in a table's shape; the Change is nil for a table that
// holds it or is not captured.
func (s *fakeServer) altered(n int, g capture.GTID, tables map[string]capture.Capture) (bool, *capture.Change) {
	name, ok := s.alters[n]
	emptied, truncated := s.empties[n]
	if !ok && !truncated {
		return false, nil
	}
	if truncated {
		name = emptied
	}
	t, captured := tables[name]
	if !captured || t.Applied.Contains(g) {
		return true, nil
	}
	if truncated {
		return true, &capture.Change{GTID: fmt.Sprint(n), Truncated: true, Table: s.shape(name, n)}
	}
	b := array.NewInt64Builder(memory.DefaultAllocator)
	b.Append(int64(n))
	c := &capture.Change{GTID: fmt.Sprint(n), Table: s.shape(name, n), Reordered: s.turns[n]}
	for i := range c.Table.Columns {
		from := i
		if i > 0 {
			from--
		}
		c.From, c.Initial = append(c.From, from), append(c.Initial, nil)
	}
	c.From[1], c.Initial[1] = -1, b.NewArray()
	return true, c
}

// written gives the transaction that wrote each row last, of the first n.
func (s *fakeServer) written(name string, n int) map[int64]int {
	out := map[int64]int{}
	for i, tx := range s.log[:n] {
		for _, c := range tx {
			if c.table == name {
				out[c.id] = i + 1
			}
		}
	}
	return out
}

// valueIn is what a row that transaction at wrote last has in the column of an alteration.
func valueIn(id int64, at, alteration int) int64 {
	if at > alteration {
		return writtenIn + id
	}
	return int64(alteration)
}

// appendAltered appends a row's values of the columns that came later. It was written by
// transaction at or, with 0, behind all of them.
func appendAltered(b *array.RecordBuilder, t *capture.Table, id int64, at int) {
	if at == 0 {
		at = math.MaxInt
	}
	for i, column := range t.Columns {
		if alteration, err := strconv.Atoi(column.Name[1:]); err == nil {
			b.Field(i).(*array.Int64Builder).Append(valueIn(id, at, alteration))
		}
	}
}

// checkAltered compares the columns that came later, at every snapshot whose load is complete.
func (l *lab) checkAltered(name string) {
	l.t.Helper()
	h := l.head(name)
	for _, s := range h.History() {
		n := l.count(s.Mark.Position)
		shape, written := l.server.shape(name, n), l.server.written(name, n)
		records, err := h.Scan(context.Background(), table.ScanOptions{Snapshot: s.Snapshot})
		if err != nil {
			l.t.Fatal(err)
		}
		for rec, err := range records {
			if err != nil {
				l.t.Fatal(err)
			}
			if int(rec.NumCols()) != len(shape.Columns) {
				l.t.Fatalf("%s at %s: %d columns, the source has %d", name, s.Mark.Position, rec.NumCols(), len(shape.Columns))
			}
			ids := rec.Column(0).(*array.Int64)
			for i, column := range shape.Columns {
				if got := rec.Schema().Field(i).Name; got != column.Name {
					l.t.Fatalf("%s at %s: column %d is %s, want %s", name, s.Mark.Position, i, got, column.Name)
				}
				alteration, err := strconv.Atoi(column.Name[1:])
				if err != nil {
					continue
				}
				for row := range int(rec.NumRows()) {
					id := ids.Value(row)
					if got, want := rec.Column(i).(*array.Int64).Value(row), valueIn(id, written[id], alteration); got != want {
						l.t.Fatalf("%s at %s: row %d has %d in %s, want %d", name, s.Mark.Position, id, got, column.Name, want)
					}
				}
			}
			rec.Release()
		}
	}
}

// begun reports whether all tables have their first snapshot.
func (l *lab) begun() bool {
	cfg := l.cfg.Tables
	cfg.Catalog = l.cat
	for _, name := range l.names {
		h, err := table.LoadHead(context.Background(), cfg, table.Name{Namespace: "shop", Table: name})
		if err != nil || h == nil || !h.Begun() {
			return false
		}
	}
	return true
}

// TestAlter plays alterations among changes, while tables are loaded and while they are streamed,
// with runs that are cut off at any moment. Every snapshot has the shape, and the values, of its
// position.
func TestAlter(t *testing.T) {
	for seed := range uint64(16) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			l := newLab(t, seed, "a", "b")
			l.churn(20)
			ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
			defer cancel()
			for range 4 {
				begun := l.begun()
				l.runShort(ctx, time.Duration(30+l.server.random(100))*time.Millisecond, func() {
					l.churn(1)
					if begun && l.server.random(8) == 0 {
						l.server.alter(l.names[l.server.random(2)])
					}
					if begun && l.server.random(16) == 0 {
						l.server.truncate(l.names[l.server.random(2)])
					}
				})
				if !l.begun() { // where a table begins, its shape is looked at and not followed
					continue
				}
				l.server.alter("a") // while nobody is there, and twice in a row
				l.server.alter("a")
				if l.server.random(2) == 0 {
					if err := os.RemoveAll(l.cfg.Tables.IndexDir); err != nil {
						t.Fatal(err)
					}
				}
			}
			l.mustRun()
			l.mustRun()
			for _, name := range l.names {
				l.checkAltered(name)
			}
			l.check()
			l.checkHistory()
			l.checkCuts()
			l.mem.AssertSize(t, 0)
		})
	}
}

// TestAlterWhileChunksAreRead alters a table between the moment at which a chunk of it is read and
// the one at which the chunk could join: the stream has passed the alteration by then. The chunk is
// read again.
func TestAlterWhileChunksAreRead(t *testing.T) {
	l := newLab(t, 1, "a")
	l.churn(30)
	l.mustRun() // so that the table's shape is followed from here on
	l.server.tables["b"] = fakeTable("b")
	l.names = append(l.names, "b")
	l.churnTables(30, "b")
	left := 3
	l.server.reading = func() {
		if left--; left < 0 || !l.begun() {
			return
		}
		if l.server.alter("b"); left == 1 {
			l.server.truncate("b")
		}
		want := l.server.end()
		for !l.head("b").Mark.Position.Covers(want) {
			_ = pause(context.Background(), time.Millisecond)
		}
		l.server.add(change{"b", 1000, value("late")})
	}
	l.cfg.LoadConnections = 1
	l.mustRun()
	l.mustRun()
	l.checkAltered("b")
	l.checkHistory()
	if left >= 0 || len(l.server.shape("b", len(l.server.log)).Columns) != 6 {
		t.Errorf("not altered while chunks were read")
	}
}

// TestKeysInAnotherOrderWhileLoaded turns the order of keys round while a table is loaded, again and
// again. Of what was loaded by ranges of the order before nothing is taken for loaded in the new one.
func TestKeysInAnotherOrderWhileLoaded(t *testing.T) {
	for seed := range uint64(2) {
		l := newLab(t, seed, "a")
		l.cfg.ChunkRows, l.cfg.MaxRows = 4, 5
		l.churn(2)
		l.mustRun() // so that the table's shape is followed from here on
		l.server.tables["b"] = fakeTable("b")
		l.names = append(l.names, "b")
		for i := range 28 {
			l.server.add(change{"b", int64(2 * i), value("old%d", i)})
		}
		read, turned := 0, 0
		l.server.reading = func() {
			if read++; l.begun() && turned < 3 && read > 4*(turned+1)+int(seed) {
				turned++
				l.server.turn("b")
				l.server.add(change{"b", int64(20*turned + 1), value("new%d", turned)})
			}
		}
		l.cfg.LoadConnections = 1
		over := 0
		var err error
		for range 20 {
			if err = l.run(context.Background()); err == nil || !strings.Contains(err.Error(), "starting its load over") {
				break
			}
			over++
			if h := l.head("b"); h.Mark.Load.Complete || len(h.Mark.Load.Done) > 0 {
				t.Errorf("seed %d: the load goes on at %+v", seed, h.Mark.Load)
			}
		}
		if err != nil || turned < 3 || over == 0 {
			t.Fatalf("seed %d: turned %d times, started over %d times: %v", seed, turned, over, err)
		}
		l.mustRun()
		l.check()
		l.checkAltered("b")
		l.checkHistory()
	}
}

// TestAlterWhileAdopted alters a new table while it is taken in: what is recorded is its shape at
// the position at which it begins.
func TestAlterWhileAdopted(t *testing.T) {
	l := newLab(t, 2, "a")
	l.churn(5)
	l.mustRun()
	l.server.tables["b"] = fakeTable("b")
	l.server.created[len(l.server.log)+1] = []capture.Name{{Schema: "shop", Table: "b"}}
	l.server.add(change{"b", 1, value("first")})
	left := 3
	l.server.described = func() {
		if left--; left >= 0 {
			l.server.alter("b")
			l.server.add(change{"b", int64(10 + left), value("between")})
		}
	}
	l.mustRun()
	l.names = append(l.names, "b")
	l.mustRun()
	if left >= 0 {
		t.Error("it was not adopted")
	}
	l.checkAltered("b")
	l.check()
}

// TestEveryCatalogFaultOfAlterations fails every call to the catalog of a run that meets
// alterations, before and after it took effect.
func TestEveryCatalogFaultOfAlterations(t *testing.T) {
	eachCatalogFault(t, faultRun{
		least: map[string]int{"commit": 10},
		begin: func(t *testing.T) *lab {
			l := newLab(t, 5, "a", "b")
			l.churn(6)
			l.mustRun()
			for _, name := range []string{"a", "b", "a"} {
				l.churn(2)
				l.server.alter(name)
				l.churn(1)
				l.server.truncate(name)
			}
			l.churn(2)
			return l
		},
		run: (*lab).finish,
		check: func(l *lab) {
			for _, name := range l.names {
				l.checkAltered(name)
			}
		},
	})
}
