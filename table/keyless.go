package table

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cdcd/capture"
	"cdcd/table/keyindex"
	"cdcd/table/rowset"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Tables for whose rows the server enforces no key.

// appends reports that rows of the table never change: it has no key index.
func (t *Table) appends() bool { return t.head.Source.Table.Identity == capture.Appended }

// appended gives all rows as new ones.
func (b *Builder) appended(batches []*capture.Batch) *rowset.Folded {
	f := rowset.All(batches)
	if slices.Contains(f.Present, false) {
		panic("table: a row was deleted in a table that is appended to")
	}
	b.delta.Inserted += int64(f.Len())
	return f
}

var (
	errKeyTwice = errors.New("a row with this key is there already")
	errNoRow    = errors.New("the lake has no such row")
)

// sequenced is resolve for a key that nobody enforces: it refuses changes that cannot be where the
// key identifies rows, for one row would then take another's place.
func (b *Builder) sequenced(batches []*capture.Batch) (*rowset.Folded, []replaced, error) {
	f, first, clash, err := rowset.FoldSequence(batches, b.t.keys)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", b.t.Name(), err)
	}
	before, err := b.resolve(f, nil)
	if err != nil {
		return nil, nil, err
	}
	for i := 0; i < len(first) && clash == nil; i++ {
		clash = rowset.ClashOf(batches, first[i], before[i].was)
	}
	switch {
	case clash == nil:
		return f, before, nil
	case clash.Live:
		return nil, nil, b.refuse(batches, clash.Ref, errKeyTwice)
	}
	return nil, nil, b.refuse(batches, clash.Ref, errNoRow)
}

// refuse tells of a change that does not go with what is there.
func (b *Builder) refuse(batches []*capture.Batch, r rowset.Ref, why error) error {
	t := &b.t.head.Source.Table
	s := &capture.Stop{
		GTID: batches[r.Batch].Origin(int(r.Row)), What: "a change", Table: t.Name.String(), Alone: t.Name, Err: why,
		Hint: "exclude the table, or load it anew under another name (tables[].target)",
	}
	if batches[r.Batch].Ops[r.Row] == capture.OpLoad {
		s.What = "a row in the initial load"
	}
	if t.Identity == capture.ByDeclaredKey {
		var names []string
		for _, c := range t.KeyColumns() {
			names = append(names, c.Name)
		}
		s.Err = fmt.Errorf("%w: tables[].key (%s) does not identify rows", why, strings.Join(names, ", "))
		s.Hint += " with another tables[].key or mode: rows"
	}
	return s
}

// counted brings changes of whole rows in: of each row that there are fewer of, it deletes those
// with the highest numbers, and of each that there are more of, it gives as many with the next
// ones. So the numbers of equal rows have no gaps.
func (b *Builder) counted(batches []*capture.Batch) (*rowset.Folded, error) {
	net, err := rowset.Count(batches, b.t.keys)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.t.Name(), err)
	}
	had, err := b.copies(net.Rows)
	if err != nil {
		return nil, err
	}
	f, gone := &rowset.Folded{Copies: []int64{}}, []rowset.Key(nil)
	for i, row := range net.Rows {
		if had[i]+int64(net.By[i]) < 0 {
			return nil, b.refuse(batches, net.Refs[i][0], errNoRow)
		}
		for n := had[i] + int64(net.By[i]); n < had[i]; n++ {
			gone = append(gone, b.t.keys.Copy(row, n))
		}
		for j := range max(0, net.By[i]) {
			n := had[i] + int64(j)
			f.Keys, f.Copies, f.Refs = append(f.Keys, b.t.keys.Copy(row, n)), append(f.Copies, n), append(f.Refs, net.Refs[i][j])
			f.Present = append(f.Present, true)
		}
	}
	b.delta.Inserted += int64(f.Len())
	b.delta.Deleted += int64(len(gone))
	return f, b.remove(gone)
}

// remove deletes rows that are live.
func (b *Builder) remove(keys []rowset.Key) error {
	slices.SortFunc(keys, rowset.Key.Compare)
	left := len(keys)
	err := b.lookUp(keys, func(_ int, e keyindex.Entry) {
		b.kill(e)
		left--
	})
	if err == nil && left != 0 {
		err = fmt.Errorf("%s: %w: equal rows are not numbered without gaps", b.t.Name(), ErrCorrupt)
	}
	return err
}

// copies counts how often each row is live. Equal rows are numbered without gaps, so how many there
// are is found by trying numbers: of [known, beyond) it is not known yet which are there.
func (b *Builder) copies(rows []rowset.Key) ([]int64, error) {
	const unknown = -1
	known, beyond := make([]int64, len(rows)), make([]int64, len(rows))
	open := make([]int, len(rows))
	for i := range rows {
		open[i], beyond[i] = i, unknown
	}
	for len(open) > 0 {
		tries := make([]try, len(open))
		for i, o := range open {
			n := known[o] + known[o]/2
			if beyond[o] != unknown {
				n = (known[o] + beyond[o]) / 2
			}
			tries[i] = try{key: b.t.keys.Copy(rows[o], n), row: o, number: n}
		}
		if err := b.attempt(tries); err != nil {
			return nil, err
		}
		open = open[:0]
		for _, x := range tries {
			if x.live {
				known[x.row] = x.number + 1
			} else {
				beyond[x.row] = x.number
			}
			if known[x.row] != beyond[x.row] {
				open = append(open, x.row)
			}
		}
	}
	return known, nil
}

// try is the question whether a copy of a row is live.
type try struct {
	key    rowset.Key
	row    int
	number int64
	live   bool
}

// attempt answers tries, which it sorts.
func (b *Builder) attempt(tries []try) error {
	slices.SortFunc(tries, func(x, y try) int { return x.key.Compare(y.key) })
	keys := make([]rowset.Key, len(tries))
	for i, x := range tries {
		keys[i] = x.key
	}
	return b.lookUp(keys, func(i int, _ keyindex.Entry) { tries[i].live = true })
}

// setCopies puts the numbers of the rows at places into the last column.
func setCopies(columns []arrow.Array, copies []int64, places []int, mem memory.Allocator) {
	b := array.NewInt64Builder(mem)
	defer b.Release()
	b.Reserve(len(places))
	for _, p := range places {
		b.UnsafeAppend(copies[p])
	}
	last := len(columns) - 1
	columns[last].Release()
	columns[last] = b.NewArray()
}

// identifying gives the columns of a source table's copy, by their places in its schema, that tell
// its rows apart.
func (h *Head) identifying() []int {
	t := &h.Source.Table
	if t.Identity != capture.ByRow {
		return t.Key
	}
	out := make([]int, 0, len(t.Columns)+1)
	for i := range t.Columns {
		out = append(out, i)
	}
	return append(out, len(h.schema().Fields())-1)
}
