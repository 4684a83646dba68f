package commit

import (
	"cmp"
	"slices"
	"strings"
)

// kindsOf gives what can become of a call of an operation. Reads have no effect that could
// be applied and lost.
func kindsOf(op, object string) []fault {
	delayed := func(out []fault, k kind, delays ...int) []fault {
		for _, d := range delays {
			out = append(out, fault{kind: k, delay: d})
		}
		return out
	}
	switch op {
	case "commit":
		out := []fault{{kind: fails}, {kind: conflicts}, {kind: lost}, {kind: falseConflict}}
		out = delayed(out, comesLate, 1, 2, 3, 6, never)
		return delayed(out, comesTwice, 1, 2, 3, 6, never)
	case "create", "namespace":
		out := []fault{{kind: fails}, {kind: lost}}
		out = delayed(out, comesLate, 1, 2, 3)
		return delayed(out, comesTwice, 1, 2, 3)
	case "put":
		out := []fault{{kind: fails}, {kind: lost}}
		out = delayed(out, comesLate, 1, 2, 3)
		out = delayed(out, comesTwice, 1, 2, 3)
		if !strings.HasSuffix(object, " rows") {
			out = append(out, fault{kind: torn})
		}
		return out
	case "load":
		return []fault{{kind: fails}, {kind: stale}}
	case "remove":
		return []fault{{kind: fails}, {kind: lost}}
	default:
		return []fault{{kind: fails}}
	}
}

var actors = []actor{compacts, expires, rollsBack, coversUp, appends, untags, branches, retries, repoints, evolves, takesOver}

// beside gives what becomes of a commit beside which somebody else acts.
func beside() []fault {
	return []fault{
		{kind: passes},
		{kind: fails},
		{kind: lost},
		{kind: falseConflict},
		{kind: comesLate, delay: 1},
		{kind: comesLate, delay: 2},
		{kind: comesLate, delay: 3},
		{kind: comesLate, delay: 6},
		{kind: comesLate, delay: never},
		{kind: comesTwice, delay: 2},
		{kind: comesTwice, delay: never},
	}
}

// sitesOf lists the calls that a run makes.
func sitesOf(calls map[site]int) []site {
	var sites []site
	for s, n := range calls {
		for i := range n {
			sites = append(sites, site{s.op, s.object, i + 1})
		}
	}
	slices.SortFunc(sites, func(a, b site) int {
		return cmp.Or(cmp.Compare(a.op, b.op), cmp.Compare(a.object, b.object), cmp.Compare(a.n, b.n))
	})
	return sites
}

// variants adds schedules with one fault: with state kept and wiped, epochs cut in each way,
// and catalogs that check sequence numbers and that do not.
func variants(out []schedule, like schedule, f fault, n int) []schedule {
	for v := range n {
		turn := len(out)
		s := like
		s.faults, s.wiped, s.cuts, s.loose = []fault{f}, (turn+v)%2 == 0, turn/3%len(cutPlans), turn/2%2 == 0
		if n > 1 {
			s.wiped, s.cuts, s.loose = v%2 == 0, (turn+v)%len(cutPlans), v/2%2 == 0
		}
		out = append(out, s)
	}
	return out
}

// enumerate gives every schedule with one fault, for the calls that a run without faults
// makes: each call, each thing that can become of it, and for commits everybody else who can
// act right before or after it.
func enumerate(like schedule, calls map[site]int) []schedule {
	var out []schedule
	for _, at := range sitesOf(calls) {
		for _, f := range kindsOf(at.op, at.object) {
			f.at = at
			out = variants(out, like, f, map[bool]int{true: 4, false: 2}[at.op == "commit"])
		}
		if at.op != "commit" {
			continue
		}
		for _, a := range actors {
			for _, f := range beside() {
				f.at, f.actor = at, a
				out = variants(out, like, f, 1)
				f.after = true
				out = variants(out, like, f, 1)
			}
		}
	}
	return out
}

// enumerateApart gives the schedules that set tables apart from each other: one call of one
// of them fails for good, or is open when the daemon ends.
func enumerateApart(like schedule, calls map[site]int) []schedule {
	var out []schedule
	for _, at := range sitesOf(calls) {
		var faults []fault
		switch at.op {
		case "put":
			faults = []fault{{kind: fails}, {kind: lost}}
		case "commit":
			faults = []fault{{kind: lost}, {kind: comesLate, delay: 3}, {kind: comesLate, delay: never}, {kind: lost, actor: takesOver, after: true}, {kind: comesLate, delay: 6, actor: takesOver}, {kind: fails, actor: compacts}}
		default:
			continue
		}
		for _, f := range faults {
			f.at = at
			out = variants(out, like, f, 2)
		}
	}
	return out
}

// spread takes n schedules out of all, evenly; all where n is 0.
func spread(all []schedule, n int) []schedule {
	if n <= 0 || n >= len(all) {
		return all
	}
	out := make([]schedule, n)
	for i := range out {
		out[i] = all[i*len(all)/n]
	}
	return out
}
