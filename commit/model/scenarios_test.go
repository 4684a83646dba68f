package model

// scenarios are the bounds of every test run. No single one has all faults at once: the
// number of states is that of the combinations.
func scenarios() []bounds {
	return []bounds{
		oneTable(), looseCatalog(), reusedUploads(), reusedOften(), twoTables(), twoTablesLonger(), rewoundTable(), rewoundTables(),
	}
}

func oneTable() bounds {
	return bounds{
		name: "one table, every fault", tables: 1, txns: 2, ids: 4, fences: 2,
		limit: faults{crashes: 1, duplicates: 1, compactions: 1, expiries: 1, rollbacks: 1, collections: 1},
	}
}

func looseCatalog() bounds {
	b := oneTable()
	b.name, b.loose, b.pinTag = "one table, the tag asserted in place of sequence numbers", true, true
	return b
}

func reusedUploads() bounds {
	return bounds{
		name: "uploads reused after dead attempts", tables: 1, txns: 2, ids: 5, fences: 2, reuse: true, loose: true, pinTag: true,
		limit: faults{compactions: 1, rollbacks: 1, collections: 1},
	}
}

func reusedOften() bounds {
	return bounds{
		name: "uploads reused by two successors", tables: 1, txns: 2, ids: 4, fences: 3, reuse: true,
		limit: faults{crashes: 1, compactions: 1, rollbacks: 1, collections: 1},
	}
}

func twoTables() bounds {
	return bounds{
		name: "two tables", tables: 2, txns: 2, ids: 3, fences: 2,
		limit: faults{crashes: 1, compactions: 1, collections: 1},
	}
}

func twoTablesLonger() bounds {
	return bounds{name: "two tables, more attempts", tables: 2, txns: 2, ids: 4, fences: 2, limit: faults{crashes: 1}}
}

func rewoundTable() bounds {
	return bounds{
		name: "rewind", tables: 1, txns: 2, ids: 5, fences: 3,
		limit: faults{crashes: 1, rollbacks: 1, rewinds: 1, collections: 1},
	}
}

func rewoundTables() bounds {
	return bounds{name: "rewind of two tables", tables: 2, txns: 1, ids: 3, fences: 3, limit: faults{rollbacks: 1, rewinds: 1}}
}

// largeScenarios are for a long run.
func largeScenarios() []bounds {
	one := oneTable()
	one.name, one.fences = "one table, every fault, three fences", 3
	twice := oneTable()
	twice.name, twice.ids, twice.limit.compactions, twice.limit.rollbacks = "one table, two compactions and rollbacks", 5, 2, 2
	loose := looseCatalog()
	loose.name, loose.ids = "one table, the tag asserted, more attempts", 5
	reused := reusedOften()
	reused.name, reused.ids, reused.limit.duplicates, reused.limit.expiries = "uploads reused, every fault", 5, 1, 1
	two := twoTables()
	two.name, two.ids, two.limit.rollbacks, two.limit.expiries = "two tables, every fault", 4, 1, 1
	three := twoTables()
	three.name, three.txns, three.limit.collections = "two tables, three transactions", 3, 0
	rewound := rewoundTables()
	rewound.name, rewound.txns, rewound.ids, rewound.limit.rollbacks = "rewind of two tables, two transactions", 2, 4, 0
	return []bounds{one, twice, loose, reused, two, three, rewound}
}

// goal is a kind of state that must be reachable: without it, that nothing is broken may
// only mean that nothing happens.
type goal struct {
	name    string
	within  func(*bounds) bool // bounds that allow it; nil: all
	reached func(*model, *state) bool
}

func goals() []goal {
	return []goal{
		{"everything is applied and cut", nil, func(m *model, s *state) bool {
			return m.done(s)
		}},
		{"the same, under a second owner", nil, func(m *model, s *state) bool {
			return m.done(s) && s.tables[0].fence > 1 && s.spent.rewinds == 0
		}},
		{"the same, after another program's compaction", func(b *bounds) bool { return b.limit.compactions > 0 }, func(m *model, s *state) bool {
			return m.done(s) && s.spent.compactions > 0
		}},
		{"the same, after files were deleted", func(b *bounds) bool { return b.limit.collections > 0 }, func(m *model, s *state) bool {
			return m.done(s) && s.tables[0].gone != 0
		}},
		{"the same, after a rewind", func(b *bounds) bool { return b.limit.rewinds > 0 }, func(m *model, s *state) bool {
			return m.done(s) && s.control.line > 0 && m.rewound(s)
		}},
	}
}

// goalsWithin are the goals that the bounds allow.
func goalsWithin(b *bounds) []goal {
	var out []goal
	for _, g := range goals() {
		if g.within == nil || g.within(b) {
			out = append(out, g)
		}
	}
	return out
}
