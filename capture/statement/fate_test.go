package statement

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

//go:embed testdata/names.tsv
var namesText string

// corpusCase is a line of the corpus.
type corpusCase struct {
	opts         Options
	sql, outcome string
	uncertain    bool
	line         int
}

func corpusCases(t *testing.T) []corpusCase {
	t.Helper()
	sessions := map[string]Options{"mysql": mysql(), "maria": maria(), "ansi": ansi(), "none": {}}
	var out []corpusCase
	for i, line := range strings.Split(strings.TrimSpace(namesText), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.Split(line, "\t")
		opts, known := sessions[parts[0]]
		if len(parts) != 3 || !known {
			t.Fatalf("line %d: %q", i+1, line)
		}
		rest, uncertain := strings.CutPrefix(parts[2], "?")
		out = append(out, corpusCase{opts, strings.ReplaceAll(parts[1], `\n`, "\n"), strings.Trim(rest, " -"), uncertain, i + 1})
	}
	return out
}

// corpusTables are the tables that are there.
func corpusTables(n Name) bool {
	return slices.Contains([]string{"d", "s"}, n.Schema) && slices.Contains([]string{"orders", "a", "b", "c"}, n.Table)
}

// described renders fates as the corpus has them.
func describedFates(fates []Fate) string {
	var out []string
	for _, f := range fates {
		s := f.Name.Schema + "." + f.Name.Table + " " + []string{"gone", "made", "taken"}[f.Kind]
		if f.Kind == Taken {
			s += " from " + f.Was.Schema + "." + f.Was.Table
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func TestNamesCorpus(t *testing.T) {
	cases := corpusCases(t)
	if len(cases) < 60 {
		t.Errorf("%d statements", len(cases))
	}
	for _, c := range cases {
		s := Scan([]byte(c.sql), c.opts)
		if got := describedFates(s.Fates(corpusTables)); got != c.outcome && !(c.uncertain && c.outcome == "") || s.Certain == c.uncertain {
			t.Errorf("line %d: %s\n got %q, certain %v\nwant %q", c.line, c.sql, got, s.Certain, c.outcome)
		}
	}
}

// TestRenamesAgainstModel compares with a server in miniature: a catalog of tables with identities,
// which takes a RENAME TABLE step by step or, where a step cannot be, not at all.
func TestRenamesAgainstModel(t *testing.T) {
	names := make([]Name, 0, 6)
	for _, n := range []string{"a", "b", "c", "x", "y", "z"} {
		names = append(names, Name{"d", n})
	}
	rapid.Check(t, func(t *rapid.T) {
		catalog := map[Name]Name{} // by name, the name that the table had at the beginning
		for _, n := range names {
			if rapid.Bool().Draw(t, "is there") {
				catalog[n] = n
			}
		}
		known := func(n Name) bool { return catalog[n] != Name{} && n.Table <= "c" } // of others that are there nobody knows
		s := Statement{Kind: RenameTable, Certain: true, IfExists: rapid.Bool().Draw(t, "if exists")}
		after := map[Name]Name{}
		for k, v := range catalog {
			after[k] = v
		}
		for range rapid.IntRange(1, 6).Draw(t, "steps") {
			r := Rename{rapid.SampledFrom(names).Draw(t, "from"), rapid.SampledFrom(names).Draw(t, "to")}
			table, there := after[r.From]
			switch _, taken := after[r.To]; {
			case !there && s.IfExists:
			case !there || taken: // the server refuses it
				continue
			default:
				delete(after, r.From)
				after[r.To] = table
			}
			s.Renames = append(s.Renames, r)
		}
		for _, n := range names {
			want, got := fateIn(after, n), fateOf(s.Fates(known), n)
			unfound := s.IfExists && want == "gone" && got == "taken" // by what may not have been there
			if known(n) && want != got && !unfound {
				t.Fatalf("%+v of %v: %s is %q, want %q", s, catalog, n.Table, got, want)
			}
		}
	})
}

// fateIn gives what became of a name that was there: itself, nothing, or another table.
func fateIn(after map[Name]Name, n Name) string {
	switch table, there := after[n]; {
	case !there:
		return "gone"
	case table != n:
		return "taken"
	}
	return ""
}

func fateOf(fates []Fate, n Name) string {
	for _, f := range fates {
		if f.Name == n {
			return []string{"gone", "made", "taken"}[f.Kind]
		}
	}
	return ""
}

func TestManyRenamesTakeTimeInProportion(t *testing.T) {
	var b strings.Builder
	b.WriteString("RENAME TABLE t0 TO t1")
	const steps = 20_000
	for i := 1; i < steps; i++ {
		fmt.Fprintf(&b, ", t%d TO t%d", i, i+1)
	}
	fates := Scan([]byte(b.String()), mysql()).Fates(func(n Name) bool { return n.Table == "t0" })
	if len(fates) != steps+1 || fates[0].Kind != Gone || fates[steps] != (Fate{Name{"d", "t20000"}, Taken, Name{"d", "t0"}}) {
		t.Errorf("%d fates", len(fates))
	}
}
