package capture

import (
	"slices"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

const (
	uuidA = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	uuidB = "4e11fa47-71ca-11e1-9e33-c80aa9429562"
)

func mustPosition(t interface{ Fatal(...any) }, f Flavor, s string) Position {
	p, err := ParsePosition(f, s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParsePosition(t *testing.T) {
	for name, c := range map[string]struct {
		flavor  Flavor
		in, out string
	}{
		"empty":           {MySQL, "", ""},
		"one":             {MySQL, uuidA + ":1-5", uuidA + ":1-5"},
		"single":          {MySQL, uuidA + ":7", uuidA + ":7"},
		"merged":          {MySQL, uuidA + ":1-5:6-9:20", uuidA + ":1-9:20"},
		"upper case":      {MySQL, "3E11FA47-71CA-11E1-9E33-C80AA9429562:1", uuidA + ":1"},
		"server newlines": {MySQL, uuidB + ":1-2,\n" + uuidA + ":3", uuidA + ":3," + uuidB + ":1-2"},
		"tags":            {MySQL, uuidA + ":1-3:tag_a:5-6:tag_b:1", uuidA + ":1-3:tag_a:5-6:tag_b:1"},
		"mariadb":         {MariaDB, "1-10-7,0-1-100", "0-1-100,1-10-7"},
		"mariadb open":    {MariaDB, "0-1-100!97!3", "0-1-100!3!97"},
		"mariadb open, @": {MariaDB, "0-1-100!97@2-90!3@1-2!1", "0-1-100!1!3!97@2-90"},
		"mariadb first":   {MariaDB, "0-1-100!7@0-0", "0-1-100!7@0-0"},
		"mariadb empty":   {MariaDB, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := mustPosition(t, c.flavor, c.in)
			if got := p.String(); got != c.out {
				t.Errorf("String() = %q, want %q", got, c.out)
			}
			if q := mustPosition(t, c.flavor, p.String()); !q.Equal(p) {
				t.Errorf("%q does not read back", p)
			}
		})
	}
}

func TestParsePositionRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		flavor Flavor
		in     string
	}{
		"no interval":      {MySQL, uuidA},
		"empty interval":   {MySQL, uuidA + ":"},
		"zero":             {MySQL, uuidA + ":0-3"},
		"backwards":        {MySQL, uuidA + ":5-3"},
		"too large":        {MySQL, uuidA + ":9223372036854775808"},
		"no uuid":          {MySQL, "abc:1"},
		"mariadb in mysql": {MySQL, "0-1-100"},
		"mysql in mariadb": {MariaDB, uuidA + ":1"},
		"two fields":       {MariaDB, "0-1"},
		"domain twice":     {MariaDB, "0-1-5,0-1-6"},
		"open above last":  {MariaDB, "0-1-5!9"},
		"open at itself":   {MariaDB, "0-1-5!4@1-4"},
		"open at nothing":  {MariaDB, "0-1-5!4@"},
		"open at a server": {MariaDB, "0-1-5!4@1"},
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := ParsePosition(c.flavor, c.in); err == nil {
				t.Errorf("accepted as %q", p)
			}
		})
	}
}

// numbers is the model: a position of one source or domain as a plain set.
type numbers map[uint64]bool

const modelMax = 24

func drawPosition(t *rapid.T, f Flavor, label string) (Position, numbers) {
	in := numbers{}
	p := EmptyPosition(f)
	if f == MySQL {
		for _, n := range rapid.SliceOfN(rapid.Uint64Range(1, modelMax), 0, 12).Draw(t, label) {
			if err := p.Add(gtidOf(f, n)); err != nil {
				t.Fatal(err)
			}
			in[n] = true
		}
		return p, in
	}
	last := rapid.Uint64Range(0, modelMax).Draw(t, label)
	if last == 0 {
		return p, in
	}
	d := domain{id: 0, server: 1, last: last}
	for n := uint64(1); n <= last; n++ {
		if rapid.IntRange(0, 4).Draw(t, label+" open") == 0 {
			d.open = append(d.open, hole{n, 1, n - 1})
			continue
		}
		in[n] = true
	}
	p.setDomain(d)
	return p, in
}

func gtidOf(f Flavor, n uint64) GTID {
	if f == MariaDB {
		return GTID{Domain: 0, Server: 1, Number: n}
	}
	return GTID{SID: uuid.MustParse(uuidA), Number: n}
}

func checkModel(t *rapid.T, what string, p Position, want func(n uint64) bool) {
	for n := uint64(1); n <= modelMax; n++ {
		if got := p.Contains(gtidOf(p.Flavor(), n)); got != want(n) {
			t.Fatalf("%s = %q: contains %d = %v", what, p, n, got)
		}
	}
}

func TestPositionAgainstModel(t *testing.T) {
	for _, f := range []Flavor{MySQL, MariaDB} {
		t.Run(f.String(), rapid.MakeCheck(func(t *rapid.T) {
			p, a := drawPosition(t, f, "a")
			q, b := drawPosition(t, f, "b")
			before := p.String()
			checkModel(t, "a", p, func(n uint64) bool { return a[n] })
			checkModel(t, "a∪b", p.Union(q), func(n uint64) bool { return a[n] || b[n] })
			checkModel(t, "a∩b", p.Intersect(q), func(n uint64) bool { return a[n] && b[n] })
			subset := true
			for n := range b {
				subset = subset && a[n]
			}
			if p.Covers(q) != subset {
				t.Fatalf("%q covers %q = %v", p, q, !subset)
			}
			if (p.Missing(q) == "") != subset {
				t.Fatalf("%q misses %q of %q", p, p.Missing(q), q)
			}
			if p.String() != before {
				t.Fatalf("an operand changed from %q to %q", before, p)
			}
		}))
	}
}

// TestPositionAgainstLibrary compares text and inclusion with go-mysql's set, which the
// dump command is encoded from.
func TestPositionAgainstLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := EmptyPosition(MySQL)
		lib := mysql.NewMysqlGTIDSet()
		tags := []string{"", "a", "b_1"}
		for range rapid.IntRange(0, 30).Draw(t, "n") {
			sid := rapid.SampledFrom([]string{uuidA, uuidB}).Draw(t, "sid")
			tag := rapid.SampledFrom(tags).Draw(t, "tag")
			n := rapid.Uint64Range(1, 12).Draw(t, "number")
			if err := p.Add(GTID{SID: uuid.MustParse(sid), Tag: tag, Number: n}); err != nil {
				t.Fatal(err)
			}
			one, err := mysql.ParseMysqlGTIDSet((GTID{SID: uuid.MustParse(sid), Tag: tag, Number: n}).Text(MySQL))
			if err != nil {
				t.Fatal(err)
			}
			if err := lib.Update(one.String()); err != nil {
				t.Fatal(err)
			}
		}
		if p.String() != lib.String() {
			t.Fatalf("%q, library %q", p, lib.String())
		}
	})
}

func TestAddDoesNotReachClones(t *testing.T) {
	for f, text := range map[Flavor]string{MySQL: uuidA + ":1-5", MariaDB: "0-1-5"} {
		p := mustPosition(t, f, text)
		c := p.Clone()
		if err := p.Add(gtidOf(f, 6)); err != nil {
			t.Fatal(err)
		}
		if c.String() != text {
			t.Errorf("clone became %q", c)
		}
	}
}

func TestMariaDBOutOfOrder(t *testing.T) {
	p := mustPosition(t, MariaDB, "0-1-5")
	if err := p.Add(GTID{Domain: 0, Server: 2, Number: 5}); err == nil {
		t.Error("an old number was accepted")
	}
	if err := p.Add(GTID{Domain: 3, Server: 2, Number: 1}); err != nil {
		t.Error(err)
	}
	if got := p.String(); got != "0-1-5,3-2-1" {
		t.Error(got)
	}
}

func TestMariaDBPass(t *testing.T) {
	p := mustPosition(t, MariaDB, "0-1-5")
	for _, n := range []uint64{6, 7} {
		if err := p.Pass(gtidOf(MariaDB, n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Add(gtidOf(MariaDB, 8)); err != nil {
		t.Fatal(err)
	}
	if got := p.String(); got != "0-1-8!6!7" {
		t.Fatalf("after passing 6 and 7: %s", got)
	}
	if got := p.ResumeFrom(); got != "0-1-5" {
		t.Errorf("ResumeFrom() = %s", got)
	}
	if err := p.Add(gtidOf(MariaDB, 6)); err != nil {
		t.Fatal(err)
	}
	if got := p.String(); got != "0-1-8!7" {
		t.Errorf("after adding 6: %s", got)
	}
	if got := p.ResumeFrom(); got != "0-1-6" {
		t.Errorf("ResumeFrom() = %s", got)
	}
}

// TestMariaDBResumesBehindWhatIsThere passes a transaction behind one that another server wrote,
// and whose number is not the one before: a server only knows a position that is in its log.
func TestMariaDBResumesBehindWhatIsThere(t *testing.T) {
	p := mustPosition(t, MariaDB, "0-1-5,1-4-3")
	for _, err := range []error{
		p.Pass(GTID{Domain: 0, Server: 2, Number: 9}), p.Add(GTID{Domain: 0, Server: 2, Number: 10}),
		p.Pass(GTID{Domain: 7, Server: 2, Number: 1}), p.Add(GTID{Domain: 7, Server: 2, Number: 2}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	const text = "0-2-10!9@1-5,1-4-3,7-2-2!1@0-0"
	for _, q := range []Position{p, mustPosition(t, MariaDB, text), p.Clone(), p.Intersect(mustPosition(t, MariaDB, "0-2-11,1-4-3,7-2-2"))} {
		if got := q.String(); got != text {
			t.Errorf("it is %s", got)
		}
		if got := q.ResumeFrom(); got != "0-1-5,1-4-3" {
			t.Errorf("%s resumes from %s", q, got)
		}
	}
}

// TestPositionsReachWhatIsPrepared has a stream go past two prepared transactions, of which one
// is completed.
func TestPositionsReachWhatIsPrepared(t *testing.T) {
	for f, c := range map[Flavor]struct{ begin, all, open, end, prepared string }{
		MySQL:   {uuidA + ":1-5", uuidA + ":1-9", uuidA + ":1-5:7-9", uuidA + ":1-9", uuidA + ":6"},
		MariaDB: {"0-1-5", "0-1-9", "0-1-9!6", "0-1-9", "0-1-6"},
	} {
		p, all := mustPosition(t, f, c.begin), mustPosition(t, f, c.all)
		step := func(do func(GTID) error, n uint64, reaches bool) {
			t.Helper()
			if err := do(gtidOf(f, n)); err != nil {
				t.Fatal(err)
			}
			for _, q := range []Position{p, p.Clone(), p.Union(mustPosition(t, f, c.begin))} {
				if q.Reaches(all) != reaches || q.Covers(all) && q.String() != c.end {
					t.Errorf("%v, %d: %s reaches it: %v", f, n, q, !reaches)
				}
			}
		}
		step(p.Pass, 6, false)
		step(p.Pass, 7, false)
		step(p.Add, 8, false)
		step(p.Add, 9, true)
		step(p.Add, 7, true)
		if p.String() != c.open || p.Prepared() != c.prepared {
			t.Errorf("it is %s, prepared %s", p, p.Prepared())
		}
		step(p.Pass, 6, true) // again, after a reconnect
		step(p.Add, 6, true)
		if p.String() != c.end || p.passed != nil || p.Prepared() != "" {
			t.Errorf("it is %s", p)
		}
	}
}

func TestAddInOrderDoesNotAllocate(t *testing.T) {
	p := mustPosition(t, MySQL, uuidA+":1-5,"+uuidB+":1-9")
	g := gtidOf(MySQL, 5)
	if n := testing.AllocsPerRun(100, func() {
		g.Number++
		if err := p.Add(g); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations an Add", n)
	}
}

func FuzzParsePosition(f *testing.F) {
	for _, s := range []string{"", uuidA + ":1-5:7", uuidA + ":t:1", "0-1-100!3", "0-1-5,1-1-6"} {
		f.Add(false, s)
		f.Add(true, s)
	}
	f.Fuzz(func(t *testing.T, maria bool, s string) {
		flavor := MySQL
		if maria {
			flavor = MariaDB
		}
		p, err := ParsePosition(flavor, s)
		if err != nil {
			return
		}
		q, err := ParsePosition(flavor, p.String())
		if err != nil || !q.Equal(p) || q.String() != p.String() {
			t.Fatalf("%q reads back as %q, %v", p, q, err)
		}
	})
}

func TestIntervalsStayNormal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s intervals
		for _, n := range rapid.SliceOf(rapid.Uint64Range(1, 40)).Draw(t, "n") {
			s = s.add(n)
		}
		if !slices.IsSortedFunc(s, func(a, b interval) int { return int(a.lo) - int(b.lo) }) {
			t.Fatalf("not sorted: %v", s)
		}
		for i := 1; i < len(s); i++ {
			if s[i].lo <= s[i-1].hi {
				t.Fatalf("touching: %v", s)
			}
		}
	})
}
