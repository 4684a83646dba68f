package capture

import "slices"

// capturedTable is a table in the stream's hands.
type capturedTable struct {
	Capture
	buffer  *rowBuffer
	behind  bool // Applied still holds transactions that the stream has not passed
	skipped GTID // the transaction that Applied was last asked for
	skip    bool // and its answer
}

// Capture adds a table. Rows of transactions that the stream has not ended yet are
// delivered from the next TABLE_MAP on.
func (s *Stream) Capture(c Capture) error {
	buffer, err := newRowBuffer(c.Table, c.Options, c.CommitTime, s.cfg.Memory)
	if err != nil {
		return err
	}
	schema := s.tables[c.Table.Name.Schema]
	if schema == nil {
		schema = map[string]*capturedTable{}
		s.tables[c.Table.Name.Schema] = schema
	}
	behind := !s.applied.Covers(c.Applied)
	schema[c.Table.Name.Table] = &capturedTable{Capture: c, buffer: buffer, behind: behind}
	return nil
}

// Forget takes a table out between two Segments: nothing of it is delivered any more.
func (s *Stream) Forget(n Name) {
	if t := s.tables[n.Schema][n.Table]; t != nil {
		s.remove(t)
		t.buffer.free()
	}
}

// remove has what follows in the open transaction passed over for a table, as for one that is not
// captured. Its rows of that transaction are dropped; those before are left in its buffer.
func (s *Stream) remove(t *capturedTable) {
	b := t.buffer
	s.buffered -= b.bytes()
	b.drop()
	s.touched = slices.DeleteFunc(s.touched, func(x *rowBuffer) bool { return x == b })
	for id, p := range s.plans {
		if p.buffer == b {
			s.ignore(id)
		}
	}
	delete(s.tables[t.Table.Name.Schema], t.Table.Name.Table)
}

// each walks the captured tables in no order.
func (s *Stream) each() func(yield func(*capturedTable) bool) {
	return func(yield func(*capturedTable) bool) {
		for _, schema := range s.tables {
			for _, t := range schema {
				if !yield(t) {
					return
				}
			}
		}
	}
}

// lookup finds the captured table of that name, or nil. It does not allocate.
func (s *Stream) lookup(schema, name []byte) *capturedTable {
	return s.tables[string(schema)][string(name)]
}

// holds reports whether t already contains the open transaction. Of one that may be prepared
// only, that is not known before its outcome.
func (s *Stream) holds(t *capturedTable) bool {
	if !t.behind || s.tx.keeping {
		return false
	}
	if t.skipped != s.tx.gtid {
		t.skipped, t.skip = s.tx.gtid, t.Applied.Contains(s.tx.gtid)
	}
	return t.skip
}
