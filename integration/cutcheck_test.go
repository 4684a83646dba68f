//go:build integration

package integration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cdcd/capture"
	"cdcd/integration/judge"
)

// cutChecker reads cuts as they are published, through an engine that shares no code with
// cdcd, and compares each with a replica of the source that stands at the cut's position. It
// runs beside the test; what it finds is an error.
type cutChecker struct {
	engine, other *engine // other reads now and then in place of engine
	replica       *replica
	control       string // the control table
	schema        string
	tables        []judge.Table
	columns       map[string][]sourceColumn
	history       *judge.History
	workload      *workload // waits for the checker; nil: there is none
	last          int64     // the newest cut that was looked at
	seen          map[int64]bool

	mu      sync.Mutex
	counts  cutCounts
	passed  capture.Position // of the newest cut with all tables that was found right
	failure error
	anew    map[string]bool // tables that cuts may lack, for they are loaded anew
}

// cutCounts is what became of the cuts.
type cutCounts struct {
	seen      int // in the control table
	checked   int
	other     int           // of these by the other engine
	partly    int           // of these without a table that is loaded anew
	withdrawn int           // while they were read
	rows      int           // compared
	lake      time.Duration // that reading the lake took
	source    time.Duration // that the replica took to advance and to be read
}

// newCutChecker makes the checker of the workload's tables in the catalog behind a URI.
func newCutChecker(t testing.TB, p *pipeline, uri, schema string, r *replica) *cutChecker {
	t.Helper()
	c := &cutChecker{
		engine: startEngine(t, "duckdb", uri), other: startEngine(t, "pyiceberg", uri), replica: r, schema: schema,
		control: fmt.Sprintf("cdcd_control.%v", p.cfg["pipeline"]), columns: map[string][]sourceColumn{},
		history: judge.NewHistory(workloadMoney()), seen: map[int64]bool{},
	}
	for name, key := range workloadKeys() {
		columns := sourceColumns(t, p.server, schema+"."+name)
		names := make([]string, len(columns))
		for i, column := range columns {
			names[i] = column.name
		}
		table, err := judge.NewTable(name, names, key...)
		if err != nil {
			t.Fatal(err)
		}
		c.tables, c.columns[name] = append(c.tables, table), columns
	}
	return c
}

// start checks cuts until the test ends or something is found.
func (c *cutChecker) start(t testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		const between = 100 * time.Millisecond
		for ctx.Err() == nil {
			if err := c.step(ctx); err != nil && ctx.Err() == nil {
				c.mu.Lock()
				c.failure = err
				c.mu.Unlock()
				return
			}
			time.Sleep(between)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// state gives what was found until now.
func (c *cutChecker) state() (cutCounts, capture.Position, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts, c.passed, c.failure
}

// cut is a consistent point that the control table names.
type cut struct {
	number    int64
	position  string
	snapshots map[string]string // of each table
}

// step checks the newest cut that was not looked at. Cuts come faster than they can be
// compared: what lies between two that are checked is counted and passed over.
func (c *cutChecker) step(ctx context.Context) error {
	cuts, err := c.cuts()
	if err != nil || len(cuts) == 0 {
		return err
	}
	newest := cuts[len(cuts)-1]
	if newest.number <= c.last {
		return nil
	}
	for _, x := range cuts {
		c.seen[x.number] = true
	}
	made := 0
	if c.workload != nil {
		_, made, _ = c.workload.counts()
	}
	counts, _, _ := c.state()
	const otherEvery = 7
	e, byOther := c.engine, counts.checked%otherEvery == otherEvery-1
	if byOther {
		e = c.other
	}
	rows, err := c.check(ctx, e, newest)
	c.last = newest.number
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.seen = len(c.seen)
	if errors.Is(err, errWithdrawn) {
		c.counts.withdrawn++
		return nil
	}
	if err != nil {
		return fmt.Errorf("cut %d at %s, read by %s: %w", newest.number, newest.position, e.name, err)
	}
	if len(newest.snapshots) < len(c.tables) {
		c.counts.partly++
	} else if c.passed, err = capture.ParsePosition(c.replica.flavor, newest.position); err != nil {
		return err
	}
	c.counts.checked++
	if c.workload != nil {
		c.workload.limit.Store(int64(made + mostAhead))
	}
	c.counts.rows += rows
	if byOther {
		c.counts.other++
	}
	return nil
}

// mostAhead is how many transactions the workload may make while one cut is checked: the
// replica applies them one after the other.
const mostAhead = 2000

var errWithdrawn = errors.New("the cut was withdrawn")

// loadsAnew has cuts lack a table from now on, or no more of them where it is empty.
func (c *cutChecker) loadsAnew(table string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.anew == nil || table == "" {
		c.anew = map[string]bool{}
	}
	if table != "" {
		c.anew[table] = true
	}
}

// in gives the tables that a cut has: all that it has to.
func (c *cutChecker) in(x cut) ([]judge.Table, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []judge.Table
	for _, t := range c.tables {
		switch {
		case x.snapshots[c.schema+"."+t.Name] != "":
			out = append(out, t)
		case !c.anew[t.Name]:
			return nil, fmt.Errorf("it has %d of %d tables, and lacks %s", len(x.snapshots), len(c.tables), t.Name)
		}
	}
	return out, nil
}

// check compares one cut and gives the number of rows.
func (c *cutChecker) check(ctx context.Context, e *engine, x cut) (int, error) {
	tables, err := c.in(x)
	if err != nil {
		return 0, err
	}
	at, err := capture.ParsePosition(c.replica.flavor, x.position)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	reads, err := c.readLake(e, x, tables)
	if err != nil {
		return 0, err
	}
	read := time.Now()
	found, err := c.history.Observe(reads)
	if err != nil {
		return 0, err
	}
	if err := c.replica.advance(ctx, at); err != nil {
		return 0, err
	}
	rows := 0
	for _, r := range reads {
		source, err := readSource(ctx, c.replica.db, c.schema+"."+r.Table.Name, c.columns[r.Table.Name])
		if err != nil {
			return 0, err
		}
		found = append(found, r.Table.Compare(source, r.Rows)...)
		rows += len(source)
	}
	c.mu.Lock()
	c.counts.lake += read.Sub(began)
	c.counts.source += time.Since(read)
	c.mu.Unlock()
	if len(found) > 0 {
		return 0, errors.New(strings.Join(found, "\n"))
	}
	return rows, nil
}

// readLake reads the snapshots that a cut names. What cannot be read because the cut has been
// withdrawn meanwhile is no fault.
func (c *cutChecker) readLake(e *engine, x cut, tables []judge.Table) ([]judge.Read, error) {
	var out []judge.Read
	for _, table := range tables {
		name := c.schema + "." + table.Name
		rows, err := e.read(fmt.Sprintf("%s AT (VERSION => %s)", name, x.snapshots[name]), c.columns[table.Name])
		if err == nil {
			out = append(out, judge.Read{Table: table, Rows: rows})
			continue
		}
		still, again := c.cuts()
		if again == nil && !slices.ContainsFunc(still, func(y cut) bool { return y.number == x.number }) {
			err = errWithdrawn
		}
		return nil, err
	}
	return out, nil
}

// cuts reads the control table, in the order of the cuts.
func (c *cutChecker) cuts() ([]cut, error) {
	r, err := c.engine.ask("SELECT number, table_name, snapshot_id, position FROM " + c.control + " WHERE kind = 'cut'")
	if err != nil {
		return nil, err
	}
	byNumber := map[int64]*cut{}
	for _, row := range r.Rows {
		number, err := strconv.ParseInt(fmt.Sprint(row[0]), 10, 64)
		if err != nil {
			return nil, err
		}
		x := byNumber[number]
		if x == nil {
			x = &cut{number: number, position: fmt.Sprint(row[3]), snapshots: map[string]string{}}
			byNumber[number] = x
		}
		if fmt.Sprint(row[3]) != x.position {
			return nil, fmt.Errorf("cut %d has two positions: %s and %v", number, x.position, row[3])
		}
		x.snapshots[fmt.Sprint(row[1])] = fmt.Sprint(row[2])
	}
	var out []cut
	for _, x := range byNumber {
		out = append(out, *x)
	}
	slices.SortFunc(out, func(a, b cut) int { return cmp.Compare(a.number, b.number) })
	return out, nil
}
