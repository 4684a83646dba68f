package commit

import (
	"fmt"
	"strconv"
	"strings"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Values that say more than the column val. A row's value and its tag are told apart by tagMark;
// a value that begins with it is a change that knows the tag alone. One that begins with moveMark
// takes over the row of another id, of which it knows nothing. One that begins with patchMark is a
// patch of the value, which is an array of numbers: another one follows them.
const (
	tagMark   = "|"
	moveMark  = ">"
	patchMark = "+"
)

// tagged is a change of a row's tag that leaves val out.
func tagged(table string, id int64, tag string) change {
	return change{table, id, value("%s%s", tagMark, tag)}
}

// patched is a change of a row's value that is known by a patch of it alone.
func patched(table string, id int64, number int) change {
	return change{table, id, value("%s%d", patchMark, number)}
}

// moved is a change of a row's id that leaves everything else out.
func moved(table string, from, to int64) change {
	return change{table, to, value("%s%d", moveMark, from)}
}

// after gives the row that a change makes, of those before, from which it takes what it moves.
func (c change) after(rows map[int64]string) string {
	if from, ok := c.moved(); ok {
		row := rows[from]
		delete(rows, from)
		return row
	}
	if number, ok := strings.CutPrefix(*c.val, patchMark); ok {
		array, tag, _ := strings.Cut(rows[c.id], "]")
		return strings.Replace(array+", "+number+"]"+tag, "[, ", "[", 1)
	}
	if tag, ok := strings.CutPrefix(*c.val, tagMark); ok {
		val, _, _ := strings.Cut(rows[c.id], tagMark)
		return val + tagMark + tag
	}
	return *c.val
}

func (c change) moved() (from int64, ok bool) {
	if c.val == nil || !strings.HasPrefix(*c.val, moveMark) {
		return 0, false
	}
	from, err := strconv.ParseInt((*c.val)[len(moveMark):], 10, 64)
	if err != nil {
		panic(err)
	}
	return from, true
}

// columns gives what a change knows, nil where that is NULL or not known.
func (c change) columns() (val, tag *string) {
	if _, ok := c.moved(); ok || c.val == nil {
		return nil, nil
	}
	if number, ok := strings.CutPrefix(*c.val, patchMark); ok {
		n, err := strconv.Atoi(number)
		if err != nil {
			panic(err)
		}
		patch := "\x01\x07$[9999]\x03\x05" + string([]byte{byte(n), byte(n >> 8)}) // an int16 is inserted
		return &patch, nil
	}
	v, t, ok := strings.Cut(*c.val, tagMark)
	if ok {
		tag = &t
	}
	if v != "" || !ok {
		val = &v
	}
	return val, tag
}

// partial gives the run that a change is, at a row.
func (c change) partial(at int) []capture.Partial {
	if _, ok := c.moved(); ok {
		return []capture.Partial{{From: at, To: at + 2, Known: []byte{1}}}
	}
	if c.val != nil && strings.HasPrefix(*c.val, tagMark) {
		return []capture.Partial{{From: at, To: at + 1, Known: []byte{1 | 4}}}
	}
	if c.val != nil && strings.HasPrefix(*c.val, patchMark) {
		return []capture.Partial{{From: at, To: at + 1, Known: []byte{1}, Patched: []byte{2}}}
	}
	return nil
}

func appendFake(b *array.RecordBuilder, id int64, val, tag *string) {
	b.Field(0).(*array.Int64Builder).Append(id)
	for i, v := range []*string{val, tag} {
		if v == nil {
			b.Field(len(b.Fields()) - 2 + i).AppendNull()
		} else {
			b.Field(len(b.Fields()) - 2 + i).(*array.StringBuilder).Append(*v)
		}
	}
}

// churnPartial appends random transactions, most of which change a tag alone; where moves are
// wanted, some change an id.
func (l *lab) churnPartial(n int, name string, ids int, moves bool) {
	for range n {
		l.server.mu.Lock()
		state := l.server.state(name, len(l.server.log))
		l.server.mu.Unlock()
		id, other := int64(l.server.random(ids)), int64(l.server.random(ids))
		_, exists := state[id]
		_, taken := state[other]
		c := tagged(name, id, fmt.Sprint("t", l.server.random(1000)))
		switch what := l.server.random(12); {
		case !exists || what == 0:
			c = change{name, id, value("v%d", l.server.random(1000))}
			if l.server.random(2) == 0 {
				c = change{name, id, value("[]")}
			}
		case what < 7 && strings.HasPrefix(state[id], "["):
			c = patched(name, id, l.server.random(1000))
		case what == 1:
			c.val = nil
		case what == 2 && moves && !taken:
			c = moved(name, id, other)
		}
		l.server.add(c)
	}
}
