package capture

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"cdcd/capture/binlog"
	"github.com/google/uuid"
)

var stamp = time.UnixMicro(1_700_000_000_123_456)

// committedOf is the GTID event of uuidA:n, committed at a time.
func committedOf(n uint64, at time.Time) binlog.Event {
	e := beginOf(n)
	e.Body = slices.Concat(e.Body, []byte{2}, make([]byte, 16), binary.LittleEndian.AppendUint64(nil, uint64(at.UnixMicro()))[:7])
	return e
}

func witnessOf(n uint64, at time.Time) Witness {
	return Witness{GTID: gtidOf(MySQL, n), Committed: at}
}

// payloadOf packs events, without compression, as one that holds them all.
func payloadOf(events ...binlog.Event) binlog.Event {
	var content []byte
	for _, e := range events {
		head := make([]byte, 19)
		head[4] = byte(e.Type)
		binary.LittleEndian.PutUint32(head[9:], uint32(len(head)+len(e.Body)))
		content = slices.Concat(content, head, e.Body)
	}
	return event(binlog.TypeTransactionPayload, []byte{2, 3, 252, 255, 0, 0}, content)
}

// TestTestimony lets a server answer for transactions 5 and 7.
func TestTestimony(t *testing.T) {
	same, other := stamp, stamp.Add(time.Microsecond)
	rows := []binlog.Event{queryOf("BEGIN"), mapOf(9, "orders"), insertOf(9, 1), xid()}
	nothing := []binlog.Event{queryOf("BEGIN"), queryOf("COMMIT")}
	tx := func(n uint64, at time.Time, events ...binlog.Event) []binlog.Event {
		return append([]binlog.Event{committedOf(n, at)}, events...)
	}
	for name, c := range map[string]struct {
		events [][]binlog.Event
		lost   bool
		untold string // numbers
		open   bool   // more is to be read
	}{
		"both are there":            {events: [][]binlog.Event{tx(5, same, rows...), tx(7, same, rows...)}},
		"in another order":          {events: [][]binlog.Event{tx(9, other, rows...), tx(7, same, rows...), tx(8, other, rows...), tx(5, same)}},
		"one is another":            {events: [][]binlog.Event{tx(5, same, rows...), tx(7, other, rows...)}, lost: true},
		"a statement":               {events: [][]binlog.Event{tx(5, other, queryOf("TRUNCATE orders"))}, lost: true},
		"an XA transaction":         {events: [][]binlog.Event{tx(5, other, queryOf("XA START X'61',X'',1"))}, lost: true},
		"compressed":                {events: [][]binlog.Event{tx(5, other, payloadOf(rows...))}, lost: true},
		"compressed, with nothing":  {events: [][]binlog.Event{tx(5, other, payloadOf(nothing...)), tx(7, same)}, untold: "5"},
		"with nothing":              {events: [][]binlog.Event{tx(5, other, nothing...), tx(7, same)}, untold: "5"},
		"with nothing, ended by ID": {events: [][]binlog.Event{tx(5, other, queryOf("BEGIN"), xid()), tx(7, same)}, untold: "5"},
		"with nothing, then others": {events: [][]binlog.Event{tx(5, other, queryOf("BEGIN")), tx(8, same, rows...), tx(7, same)}, untold: "5"},
		"a group's change of view":  {events: [][]binlog.Event{tx(5, other, queryOf("BEGIN"), event(binlog.TypeViewChange), queryOf("COMMIT")), tx(7, same)}, untold: "5"},
		"without a time":            {events: [][]binlog.Event{{beginOf(5)}, rows, tx(7, same)}, untold: "5"},
		"one does not come":         {events: [][]binlog.Event{tx(5, same, rows...), tx(8, same, rows...)}, open: true},
		"only begun":                {events: [][]binlog.Event{tx(5, same, rows...), tx(7, other, queryOf("BEGIN"))}, open: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestStream(t, MySQL, none, appTable("orders"))
			s.cfg.Witnesses = []Witness{witnessOf(5, same), witnessOf(7, same)}
			m := s.summon(Server{Executed: mustPosition(t, MySQL, uuidA+":1-9")})
			var err error
			for _, e := range slices.Concat(c.events...) {
				if err = m.on(e); err != nil {
					break
				}
			}
			if errors.Is(err, ErrHistoryLost) != c.lost || err != nil && !c.lost {
				t.Fatal(err)
			}
			if c.lost {
				if !strings.Contains(err.Error(), "2023-11-14T22:13:20.123456Z") || !strings.Contains(err.Error(), "2023-11-14T22:13:20.123457Z") {
					t.Error(err)
				}
				return
			}
			want := ""
			if c.untold != "" {
				want = uuidA + ":" + c.untold
			}
			if m.done() == c.open || m.untold.String() != want {
				t.Errorf("done: %v, untold: %s", m.done(), m.untold)
			}
		})
	}
}

// TestSummon asks for what the server can have only.
func TestSummon(t *testing.T) {
	of := func(n ...uint64) (out []Witness) {
		for _, n := range n {
			out = append(out, witnessOf(n, stamp))
		}
		return out
	}
	for name, c := range map[string]struct {
		flavor        Flavor
		witnesses     []Witness
		newest        Witness
		asked, untold string
	}{
		"none":                   {},
		"of tables, each once":   {witnesses: of(3, 5, 3), asked: ":3:5"},
		"purged":                 {witnesses: of(2, 5), asked: ":5", untold: ":2"},
		"not executed":           {witnesses: of(5, 10), asked: ":5"},
		"the newest that passed": {witnesses: of(2, 3), newest: witnessOf(8, stamp), asked: ":8"},
		"MariaDB":                {flavor: MariaDB, witnesses: of(5)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestStream(t, c.flavor, none)
			s.cfg.Witnesses, s.newest = c.witnesses, c.newest
			m := s.summon(Server{Executed: mustPosition(t, MySQL, uuidA+":1-9"), Purged: mustPosition(t, MySQL, uuidA+":1-2")})
			asked := EmptyPosition(MySQL)
			for _, w := range m.asked {
				if asked.Contains(w.GTID) {
					t.Errorf("%s twice", w)
				}
				if err := asked.Add(w.GTID); err != nil {
					t.Fatal(err)
				}
			}
			if got := strings.TrimPrefix(asked.String(), uuidA); got != c.asked {
				t.Errorf("asked for %s", got)
			}
			if got := strings.TrimPrefix(m.untold.String(), uuidA); got != c.untold {
				t.Errorf("untold %s", got)
			}
		})
	}
}

// TestWitnessOfASegment: what two intact servers may have differently under one GTID is none.
func TestWitnessOfASegment(t *testing.T) {
	rows := []binlog.Event{queryOf("BEGIN"), mapOf(8, "other"), insertOf(8, 1), xid()}
	at := func(n uint64) binlog.Event { return committedOf(n, stamp) }
	first := append([]binlog.Event{at(1)}, rows...)
	for name, c := range map[string]struct {
		events []binlog.Event
		want   uint64
	}{
		"rows":            {append([]binlog.Event{at(2)}, rows...), 2},
		"compressed":      {[]binlog.Event{at(2), payloadOf(rows...)}, 2},
		"statement":       {[]binlog.Event{at(2), queryOf("CREATE TABLE x.y (id INT)")}, 2},
		"nothing":         {[]binlog.Event{at(2), queryOf("BEGIN"), queryOf("COMMIT")}, 1},
		"change of view":  {[]binlog.Event{at(2), queryOf("BEGIN"), event(binlog.TypeViewChange), queryOf("COMMIT")}, 1},
		"without a time":  {append([]binlog.Event{beginOf(2)}, rows...), 1},
		"not ended":       {[]binlog.Event{at(2), rows[0], rows[1]}, 1},
		"XA in one phase": {[]binlog.Event{at(2), queryOf("XA START X'61',X'',1"), rows[1], rows[2], xaPrepareOf(1, "a")}, 1},
		"XA prepared":     {[]binlog.Event{at(2), queryOf("XA START X'61',X'',1"), rows[1], rows[2], xaPrepareOf(0, "a")}, 1},
		"XA completed":    {[]binlog.Event{at(2), queryOf("XA START X'61',X'',1"), xaPrepareOf(0, "a"), at(3), queryOf("XA COMMIT X'61',X'',1")}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestStream(t, MySQL, none, appTable("orders"))
			if err := feed(s, append(slices.Clone(first), c.events...)...); err != nil {
				t.Fatal(err)
			}
			if w := s.flush().Newest; w != witnessOf(c.want, w.Committed) || !w.Committed.Equal(stamp) {
				t.Errorf("%s, want transaction %d", w, c.want)
			}
		})
	}
}

func TestWitnessText(t *testing.T) {
	for _, tag := range []string{"", "t"} {
		w := Witness{GTID: GTID{SID: uuid.MustParse(uuidA), Tag: tag, Number: 5}, Committed: stamp}
		if got, err := ParseWitness(w.String()); err != nil || got.GTID != w.GTID || !got.Committed.Equal(stamp) {
			t.Errorf("%s reads back as %v, %v", w, got, err)
		}
	}
	for _, bad := range []string{"", "@1", uuidA + ":1", uuidA + ":1-2@5", uuidA + ":1@x", uuidA + ":1:t:1@5", "0-1-2@5"} {
		if w, err := ParseWitness(bad); err == nil {
			t.Errorf("%q accepted as %v", bad, w)
		}
	}
}

// TestFurthest: a server that lacks what only one table has is not taken for intact.
func TestFurthest(t *testing.T) {
	s := newTestStream(t, MySQL, none, appTable("orders"), appTable("ahead"))
	s.applied = mustPosition(t, MySQL, uuidA+":1-3")
	ahead := s.tables["app"]["ahead"]
	ahead.Applied, ahead.behind = mustPosition(t, MySQL, uuidA+":1-2:5"), true
	if got := s.furthest().String(); got != uuidA+":1-3:5" {
		t.Errorf("furthest is %s", got)
	}
}
