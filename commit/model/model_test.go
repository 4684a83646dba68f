package model

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"
)

var large = flag.Bool("model.large", false, "search far larger bounds: minutes, and several GB")

func goals() []goal {
	return []goal{
		{"everything is applied, and a cut says so", func(m *model, s *state) bool { return m.done(s) }},
		{"rewound", func(m *model, s *state) bool { return m.done(s) && s.control.line > 0 }},
	}
}

func TestFullRule(t *testing.T) {
	for _, b := range small() {
		t.Run(b.name, func(t *testing.T) {
			began := time.Now()
			m := &model{bounds: b}
			r := m.run(3_000_000, goals())
			t.Logf("%d states, whole=%v depth %d, %v", r.states, r.whole, r.depth, time.Since(began).Round(time.Millisecond))
			t.Log(r.goals)
			if r.broken != holds {
				t.Fatalf("I%d is broken after %d steps:\n%s", r.broken, len(r.counter), trace(r.counter))
			}
			for a := range actions {
				if os.Getenv("V") != "" {
					t.Logf("%9d  %s", r.taken[a], texts[a])
				}
			}
		})
	}
}

func TestAbl(t *testing.T) {
	for _, b := range small() {
		for a := noCAS; a <= gcDeadReuse; a++ {
			m := &model{bounds: b, without: a}
			r := m.run(1_500_000, nil)
			t.Logf("%s %d: I%d in %d steps, %d states", b.name, a, r.broken, len(r.counter), r.states)
			if os.Getenv("V") != "" {
				t.Logf("\n%s", trace(r.counter))
			}
		}
	}
}

func trace(steps []step) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteString("\t" + s.String() + "\n")
	}
	return b.String()
}

func small() []bounds {
	all := faults{crashes: 1, duplicates: 1, compactions: 1, expiries: 1, rollbacks: 1, collections: 1}
	_ = all
	return []bounds{
		{name: "reuse", tables: 1, txns: 1, ids: 4, fences: 3, reuse: true, limit: faults{crashes: 1, compactions: 1, rollbacks: 1, collections: 1}},
		{name: "reuseloose", tables: 1, txns: 1, ids: 4, fences: 3, loose: true, pinTag: true, reuse: true, limit: faults{crashes: 1, compactions: 1, rollbacks: 1, collections: 1}},
		{name: "one3", tables: 1, txns: 2, ids: 4, fences: 3, limit: faults{crashes: 1, duplicates: 1, compactions: 1, expiries: 1, rollbacks: 1, collections: 1}},
		{name: "two", tables: 2, txns: 2, ids: 3, fences: 2, limit: faults{crashes: 1, compactions: 1, collections: 1}},
		{name: "two4", tables: 2, txns: 2, ids: 4, fences: 2, limit: faults{crashes: 1}},
		{name: "rewind", tables: 1, txns: 2, ids: 5, fences: 3, limit: faults{rollbacks: 1, rewinds: 1, collections: 1, crashes: 1}},
		{name: "rewind2", tables: 2, txns: 2, ids: 4, fences: 3, limit: faults{rewinds: 1}},
	}
}
