package statement

// FateKind is what became of a name.
type FateKind uint8

// The kinds of fate.
const (
	Gone  FateKind = iota // no table has the name any more
	Made                  // a table has it that the statement created
	Taken                 // a table has it that had another name before
)

// Fate is what a statement made of a name.
type Fate struct {
	Name Name
	Kind FateKind
	Was  Name // where it is Taken: the name that the table had before
}

// Fates gives the names that mean another table behind the statement than before it, or none, in
// the order in which they appear. What happens to a name on the way does not count: of a table
// that gets its old name back nothing is said. there tells which names are known to mean a table
// before the statement. The answer is complete for a Certain statement; that of DROP DATABASE,
// which names no tables, is empty.
//
// A table may be one in name only: a statement may rename a view, and with IF EXISTS it may not
// have found what it names. Who acts on Made or Taken looks at the source.
func (s Statement) Fates(there func(Name) bool) []Fate {
	if s.Temporary {
		return nil
	}
	h := holders{there: there, now: map[Name]holder{}}
	switch s.Kind {
	case CreateTable:
		for _, n := range s.Tables {
			if !s.IfNotExists || !there(n) {
				h.put(n, holder{kind: made})
			}
		}
	case DropTable:
		for _, n := range s.Tables {
			h.put(n, holder{kind: nobody})
		}
	case RenameTable, AlterTable:
		for _, r := range s.Renames {
			h.rename(r, s.IfExists)
		}
	}
	return h.fates()
}

// holders follows which table has which name through the steps of one statement.
type holders struct {
	there func(Name) bool
	now   map[Name]holder // of the names that a step has touched
	order []Name          // those names, as they were first touched
}

// holder is who has a name.
type holder struct {
	kind holderKind
	was  Name // of a table that was there: its name before the statement
	// unsure tells that it is not known whether that table was there at all.
	unsure bool
}

type holderKind uint8

const (
	before holderKind = iota // a table that was there before the statement
	made                     // one that the statement created
	nobody
)

func (h *holders) put(n Name, to holder) {
	if _, touched := h.now[n]; !touched {
		h.order = append(h.order, n)
	}
	h.now[n] = to
}

// of gives who has a name. Of one that no step has touched that is what had it before.
func (h *holders) of(n Name) holder {
	if now, touched := h.now[n]; touched {
		return now
	}
	return holder{was: n, unsure: !h.there(n)}
}

// rename takes one step of RENAME TABLE. With IF EXISTS the server passes over a table that is not
// there. It never renames onto a name that a table has: where one is known to have it, there was
// nothing to rename.
func (h *holders) rename(r Rename, ifExists bool) {
	from, to := h.of(r.From), h.of(r.To)
	nothing := from.kind == nobody || from.unsure && to.kind != nobody && !to.unsure
	if ifExists && nothing {
		return
	}
	h.put(r.From, holder{kind: nobody})
	h.put(r.To, from)
}

// fates gives the names that mean something else than before.
func (h *holders) fates() []Fate {
	var out []Fate
	for _, n := range h.order {
		switch now := h.now[n]; {
		case now.kind == nobody:
			out = append(out, Fate{Name: n, Kind: Gone})
		case now.kind == made:
			out = append(out, Fate{Name: n, Kind: Made})
		case now.was != n:
			out = append(out, Fate{Name: n, Kind: Taken, Was: now.was})
		}
	}
	return out
}
