package capture

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// GTID names one transaction. MySQL uses SID, Tag and Number; MariaDB Domain, Server and
// Number (its sequence number).
type GTID struct {
	SID    uuid.UUID
	Tag    string
	Domain uint32
	Server uint32
	Number uint64
}

// Text renders g as the server of flavor f prints it.
func (g GTID) Text(f Flavor) string {
	if f == MariaDB {
		return fmt.Sprintf("%d-%d-%d", g.Domain, g.Server, g.Number)
	}
	if g.Tag != "" {
		return fmt.Sprintf("%s:%s:%d", g.SID, g.Tag, g.Number)
	}
	return fmt.Sprintf("%s:%d", g.SID, g.Number)
}

// source is the transactions of one MySQL server (and tag).
type source struct {
	sid uuid.UUID
	tag string
	set intervals
}

// Position says which transactions have been applied: a set of GTIDs. It is compared by
// membership and inclusion only; there is no order. The zero value is the empty MySQL
// position.
//
// On MySQL it is exactly a GTID set. On MariaDB it is, per domain, the last transaction
// plus the numbers below it that are not applied (XA transactions that were prepared but
// not yet completed), each with the transaction before it in the log.
//
// A position that a stream has come to also knows the prepared XA transactions that the
// stream went past: see Passed. On MySQL its text does not tell them.
//
// A Position is a value: Union, Intersect and Subtract return new ones that share nothing
// with their operands. Only Add changes its receiver, so an owner that hands a position on
// after an Add hands on a Clone.
type Position struct {
	flavor  Flavor
	sources []source // MySQL: sorted by sid, tag; no empty set
	domains []domain // MariaDB: sorted by domain
	// passed is, on MySQL, what a stream went past and p does not contain; nil: nothing. It is
	// replaced, never changed.
	passed *Position
}

// EmptyPosition is the position before the first transaction.
func EmptyPosition(f Flavor) Position { return Position{flavor: f} }

// ParsePosition reads what String prints, which is also what the server prints for
// gtid_executed (MySQL) and gtid_binlog_pos (MariaDB). White space is ignored.
func ParsePosition(f Flavor, s string) (Position, error) {
	p := Position{flavor: f}
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		var err error
		if f == MariaDB {
			err = p.parseDomain(part)
		} else {
			err = p.parseSource(part)
		}
		if err != nil {
			return Position{}, fmt.Errorf("position %q: %w", s, err)
		}
	}
	return p, nil
}

// parseSource reads "uuid:1-5:7:tag:1-3".
func (p *Position) parseSource(s string) error {
	fields := strings.Split(s, ":")
	sid, err := uuid.Parse(strings.TrimSpace(fields[0]))
	if err != nil || len(fields) < 2 {
		return fmt.Errorf("%q is not uuid:interval", s)
	}
	tag := ""
	for _, field := range fields[1:] {
		field = strings.TrimSpace(field)
		if field == "" {
			return fmt.Errorf("%q: empty interval", s)
		}
		if c := field[0]; c < '0' || c > '9' {
			tag = strings.ToLower(field)
			continue
		}
		iv, err := parseInterval(field)
		if err != nil {
			return err
		}
		src := p.source(sid, tag)
		src.set = src.set.union(intervals{iv})
	}
	return nil
}

// source returns the entry of sid and tag, adding an empty one where there is none. The
// caller fills it.
func (p *Position) source(sid uuid.UUID, tag string) *source {
	for i := range p.sources {
		if s := &p.sources[i]; s.sid == sid && s.tag == tag {
			return s
		}
	}
	i, _ := slices.BinarySearchFunc(p.sources, source{sid: sid, tag: tag}, compareSources)
	p.sources = slices.Insert(p.sources, i, source{sid: sid, tag: tag})
	return &p.sources[i]
}

func compareSources(a, b source) int {
	if c := slices.Compare(a.sid[:], b.sid[:]); c != 0 {
		return c
	}
	return strings.Compare(a.tag, b.tag)
}

// set returns the numbers of sid and tag in p.
func (p Position) set(sid uuid.UUID, tag string) intervals {
	for i := range p.sources {
		if s := &p.sources[i]; s.sid == sid && s.tag == tag {
			return s.set
		}
	}
	return nil
}

// Flavor tells which family of servers p belongs to.
func (p Position) Flavor() Flavor { return p.flavor }

// IsEmpty reports that p holds no transaction.
func (p Position) IsEmpty() bool { return len(p.sources) == 0 && len(p.domains) == 0 }

// Contains reports whether g is in p.
func (p Position) Contains(g GTID) bool {
	if p.flavor == MariaDB {
		return p.domain(g.Domain).contains(g.Number)
	}
	return p.set(g.SID, g.Tag).contains(g.Number)
}

// Add puts g into p. On MariaDB it fails when g's number is not above the last one of its
// domain: such a stream is out of order and a position cannot describe it.
func (p *Position) Add(g GTID) error {
	if p.flavor == MariaDB {
		return p.advanceDomain(g)
	}
	s := p.source(g.SID, g.Tag)
	s.set = s.set.add(g.Number)
	p.passed = p.passed.beyond(*p)
	return nil
}

// Pass notes that the stream went past g without applying it: a prepared XA transaction.
// p does not contain g until it is added.
func (p *Position) Pass(g GTID) error {
	if p.flavor == MariaDB {
		return p.passDomain(g)
	}
	passed := Position{flavor: p.flavor}
	if p.passed != nil {
		passed = p.passed.Clone()
	}
	s := passed.source(g.SID, g.Tag)
	s.set = s.set.add(g.Number)
	p.passed = &passed
	return nil
}

// beyond gives what of passed is not in p, nil for nothing.
func (passed *Position) beyond(p Position) *Position {
	if passed == nil {
		return nil
	}
	left := passed.without(p)
	if left.IsEmpty() {
		return nil
	}
	return &left
}

// Passed is p with the XA transactions that its stream went past, which are prepared and not
// completed: nobody sees a change of theirs. So where a server shows what it has executed, and
// Passed covers it, p has all that can be seen there. Nothing may be resumed from it.
func (p Position) Passed() Position {
	if p.flavor == MariaDB {
		return p.passedDomains()
	}
	if p.passed == nil {
		return p
	}
	return p.Union(*p.passed)
}

// Prepared describes the XA transactions that p's stream went past and that are not completed, for
// people; empty for none. The server has to keep its log from the first of them.
func (p Position) Prepared() string { return p.Missing(p.Passed()) }

// Reaches reports that p has all changes that can be seen where q is executed.
func (p Position) Reaches(q Position) bool { return p.Passed().Covers(q) }

// ResumeFrom renders what a server is asked to continue after. It is p itself on MySQL; on
// MariaDB it lies before the first transaction that was passed, and what p contains beyond
// it must be dropped by membership.
func (p Position) ResumeFrom() string {
	if p.flavor == MariaDB {
		return p.resumeDomains()
	}
	return p.String()
}

// Clone returns a copy that shares nothing with p.
func (p Position) Clone() Position { return p.Union(Position{flavor: p.flavor}) }

// Union returns p ∪ q.
func (p Position) Union(q Position) Position {
	p.mustMatch(q)
	if p.flavor == MariaDB {
		return p.mergeDomains(q, unionDomain)
	}
	out := p.mergeSources(q, intervals.union)
	switch {
	case p.passed == nil:
		out.passed = q.passed.beyond(out)
	case q.passed == nil:
		out.passed = p.passed.beyond(out)
	default:
		both := p.passed.Union(*q.passed)
		out.passed = both.beyond(out)
	}
	return out
}

// Intersect returns p ∩ q. It knows of nothing that was passed on MySQL.
func (p Position) Intersect(q Position) Position {
	p.mustMatch(q)
	if p.flavor == MariaDB {
		return p.mergeDomains(q, intersectDomain)
	}
	return p.mergeSources(q, intervals.intersect)
}

// Covers reports p ⊇ q.
func (p Position) Covers(q Position) bool {
	p.mustMatch(q)
	if p.flavor == MariaDB {
		return p.coversDomains(q)
	}
	for _, s := range q.sources {
		if !p.set(s.sid, s.tag).covers(s.set) {
			return false
		}
	}
	return true
}

// Equal reports that p and q hold the same transactions.
func (p Position) Equal(q Position) bool { return p.Covers(q) && q.Covers(p) }

// Missing describes what q holds and p does not, for people: GTIDs as the server prints
// them. It is empty exactly when p covers q.
func (p Position) Missing(q Position) string {
	p.mustMatch(q)
	if p.flavor == MariaDB {
		return p.missingDomains(q)
	}
	return q.without(p).String()
}

// without returns p ∖ q. A position of MariaDB cannot be without an earlier part.
func (p Position) without(q Position) Position {
	p.mustMatch(q)
	return p.mergeSources(q, intervals.subtract)
}

// mergeSources applies op to the sets of every source of p and q.
func (p Position) mergeSources(q Position, op func(a, b intervals) intervals) Position {
	out := Position{flavor: p.flavor}
	merge := func(s source) {
		if set := op(p.set(s.sid, s.tag), q.set(s.sid, s.tag)); len(set) > 0 {
			out.source(s.sid, s.tag).set = slices.Clone(set)
		}
	}
	for _, s := range p.sources {
		merge(s)
	}
	for _, s := range q.sources {
		if p.set(s.sid, s.tag) == nil {
			merge(s)
		}
	}
	return out
}

// mustMatch asserts that two positions can be compared: the pipeline checks the server's
// flavor when it connects, so a mix here is a bug.
func (p Position) mustMatch(q Position) {
	if p.flavor != q.flavor {
		panic(fmt.Sprintf("capture: positions of %v and %v mixed", p.flavor, q.flavor))
	}
}

// String renders p as the server prints it; ParsePosition reads it back.
func (p Position) String() string {
	if p.flavor == MariaDB {
		return p.domainsText()
	}
	var b []byte
	for i, s := range p.sources {
		same := i > 0 && p.sources[i-1].sid == s.sid
		if !same {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, s.sid.String()...)
		}
		if s.tag != "" {
			b = append(append(b, ':'), s.tag...)
		}
		b = s.set.appendText(b)
	}
	return string(b)
}
