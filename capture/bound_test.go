package capture

import (
	"encoding/json"
	"reflect"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

func TestKeyLiterals(t *testing.T) {
	for name, c := range map[string]struct {
		column     Column
		text       string
		want       string
		expression string
	}{
		"int":      {Column{Name: "k", Type: TypeBigInt}, "-5", "-5", "`k`"},
		"decimal":  {Column{Name: "k", Type: TypeDecimal}, "-0.50", "-0.50", "`k`"},
		"year":     {Column{Name: "k", Type: TypeYear}, "2024", "2024", "`k`"},
		"bit":      {Column{Name: "k", Type: TypeBit}, "257", "257", "`k`+0"},
		"enum":     {Column{Name: "k", Type: TypeEnum, Charset: "latin1"}, "2", "2", "`k`+0"},
		"date":     {Column{Name: "k", Type: TypeDate}, "2024-02-29", "'2024-02-29'", "`k`"},
		"datetime": {Column{Name: "k", Type: TypeDatetime}, "2024-02-29 12:00:00.5", "'2024-02-29 12:00:00.5'", "`k`"},
		"time":     {Column{Name: "k", Type: TypeTime}, "-838:59:59", "'-838:59:59'", "`k`"},
		"binary":   {Column{Name: "k", Type: TypeVarbinary}, "'\x00\xff", "x'2700FF'", "`k`"},
		"text":     {Column{Name: "a`b", Type: TypeVarchar, Charset: "latin1"}, "'; --\xe9", "_latin1 x'273B202D2DE9'", "`a``b`"},
		"no text":  {Column{Name: "k", Type: TypeChar, Charset: "utf8mb4"}, "", "_utf8mb4 x''", "`k`"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := literal(c.column, []byte(c.text))
			if err != nil || got != c.want || keyExpression(c.column) != c.expression {
				t.Errorf("got %s of %s, %v", got, keyExpression(c.column), err)
			}
			stored, err := json.Marshal(Bound{got})
			if err != nil {
				t.Fatal(err)
			}
			var back Bound
			if err := json.Unmarshal(stored, &back); err != nil || !sameBound(back, Bound{got}) {
				t.Errorf("read back as %v, %v", back, err)
			}
		})
	}
	if _, err := literal(Column{Type: TypeJSON}, nil); err == nil {
		t.Error("a JSON key has a literal")
	}
}

func TestBoundsThatAreNoLiteralsAreRefused(t *testing.T) {
	for _, text := range []string{
		`["1 OR 1=1"]`, `["x'00' OR 1"]`, `["'a'"]`, `["_utf8mb4 'a'"]`, `[""]`, `["1;"]`, `["1\n"]`, `["'2024'--'"]`, `["x'0g'"]`, `[1]`, `"1"`,
	} {
		var b Bound
		if err := json.Unmarshal([]byte(text), &b); err == nil {
			t.Errorf("%s is read as %q", text, b)
		}
	}
}

func TestRangeConditions(t *testing.T) {
	one, two := []Column{{Name: "a"}}, []Column{{Name: "a"}, {Name: "b"}}
	three := append(two[:2:2], Column{Name: "c"})
	for name, c := range map[string]struct {
		key  []Column
		r    Range
		want string
	}{
		"all":        {one, Range{}, "TRUE"},
		"from":       {one, Range{After: Bound{"1"}}, "`a` > 1"},
		"to":         {one, Range{UpTo: Bound{"2"}}, "`a` <= 2"},
		"between":    {one, Range{Bound{"1"}, Bound{"2"}}, "`a` > 1 AND `a` <= 2"},
		"two":        {two, Range{After: Bound{"1", "2"}}, "(`a` >= 1 AND (`a` > 1 OR (`b` > 2)))"},
		"two, upper": {two, Range{UpTo: Bound{"1", "2"}}, "(`a` <= 1 AND (`a` < 1 OR (`b` <= 2)))"},
		"three":      {three, Range{After: Bound{"1", "2", "3"}}, "(`a` >= 1 AND (`a` > 1 OR ((`b` >= 2 AND (`b` > 2 OR (`c` > 3))))))"},
	} {
		if got := c.r.condition(c.key); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if got := orderBy(two); got != "`a`, `b`" {
		t.Errorf("ordered by %s", got)
	}
}

func TestGapsAreWhatIsNotDone(t *testing.T) {
	b := func(n int) Bound { return Bound{strconv.Itoa(n)} }
	for name, c := range map[string]struct{ done, want []Range }{
		"nothing":       {nil, []Range{{}}},
		"everything":    {[]Range{{}}, nil},
		"start":         {[]Range{{nil, b(5)}}, []Range{{b(5), nil}}},
		"end":           {[]Range{{b(5), nil}}, []Range{{nil, b(5)}}},
		"middle":        {[]Range{{b(3), b(5)}}, []Range{{nil, b(3)}, {b(5), nil}}},
		"start and end": {[]Range{{nil, b(3)}, {b(5), nil}}, []Range{{b(3), b(5)}}},
		"islands":       {[]Range{{b(1), b(2)}, {b(4), b(5)}}, []Range{{nil, b(1)}, {b(2), b(4)}, {b(5), nil}}},
	} {
		if got := Gaps(c.done); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestRangesThatDoNotFollowAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		done []Range
		r    Range
	}{
		"not at an end":       {[]Range{{nil, Bound{"5"}}}, Range{Bound{"6"}, Bound{"7"}}},
		"start done already":  {[]Range{{nil, Bound{"5"}}}, Range{nil, Bound{"5"}}},
		"nothing done before": {nil, Range{Bound{"1"}, nil}},
	} {
		if got, err := AddRange(c.done, c.r); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestRandomChunksFillTheTable loads a table in chunks of random size out of random gaps.
func TestRandomChunksFillTheTable(t *testing.T) {
	const end = 50
	rapid.Check(t, func(r *rapid.T) {
		var done []Range
		covered := [end + 1]int{}
		edge := func(b Bound, open int) int {
			if len(b) == 0 {
				return open
			}
			n, _ := strconv.Atoi(b[0])
			return n
		}
		for gaps := Gaps(done); len(gaps) > 0; gaps = Gaps(done) {
			gap := gaps[rapid.IntRange(0, len(gaps)-1).Draw(r, "gap")]
			from, to := edge(gap.After, 0), edge(gap.UpTo, end)
			chunk := gap
			if upTo := rapid.IntRange(from+1, max(to, from+1)).Draw(r, "to"); upTo < to {
				chunk.UpTo = Bound{strconv.Itoa(upTo)}
			}
			for key := from + 1; key <= edge(chunk.UpTo, end); key++ {
				covered[key]++
			}
			before := len(done)
			var err error
			if done, err = AddRange(done, chunk); err != nil || len(done) > before+1 {
				r.Fatalf("%v: %v", done, err)
			}
		}
		for key := 1; key <= end; key++ {
			if covered[key] != 1 {
				r.Fatalf("key %d was loaded %d times", key, covered[key])
			}
		}
		if !reflect.DeepEqual(done, []Range{{}}) {
			r.Fatalf("in the end %v", done)
		}
	})
}
