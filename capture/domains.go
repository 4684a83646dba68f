package capture

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// domain is a MariaDB replication domain: everything up to last is applied but for the
// holes.
type domain struct {
	id     uint32
	server uint32 // that wrote last
	last   uint64 // 0: nothing applied
	open   []hole // sorted, none above last
}

// hole is a number that is not applied, and the transaction before it in the domain, behind
// which the log is read again: a server knows it by its number and by who wrote it. Its number
// is 0 where there is none.
type hole struct {
	number uint64
	server uint32 // that wrote the one before
	before uint64
}

func (d domain) find(n uint64) (int, bool) {
	return slices.BinarySearchFunc(d.open, n, func(h hole, n uint64) int { return cmp.Compare(h.number, n) })
}

func (d domain) contains(n uint64) bool {
	if n > d.last {
		return false
	}
	_, open := d.find(n)
	return !open
}

func (p Position) domain(id uint32) domain {
	for _, d := range p.domains {
		if d.id == id {
			return d
		}
	}
	return domain{id: id}
}

func (p *Position) setDomain(d domain) {
	i, found := slices.BinarySearchFunc(p.domains, d.id, func(d domain, id uint32) int { return int(int64(d.id) - int64(id)) })
	if found {
		p.domains[i] = d
		return
	}
	p.domains = slices.Insert(p.domains, i, d)
}

func (p *Position) advanceDomain(g GTID) error {
	d := p.domain(g.Domain)
	if i, open := d.find(g.Number); open {
		d.open = slices.Delete(slices.Clone(d.open), i, i+1)
		p.setDomain(d)
		return nil
	}
	if g.Number <= d.last {
		return fmt.Errorf("GTID %s is not above %d-%d-%d: the domain is out of order", g.Text(MariaDB), d.id, d.server, d.last)
	}
	d.server, d.last = g.Server, g.Number
	p.setDomain(d)
	return nil
}

// passDomain leaves g out, to be added later, while numbers above it are added. One that was
// left out before stays so.
func (p *Position) passDomain(g GTID) error {
	before := p.domain(g.Domain)
	if _, open := before.find(g.Number); open {
		return nil
	}
	if err := p.advanceDomain(g); err != nil {
		return err
	}
	d := p.domain(g.Domain)
	d.open = append(slices.Clone(before.open), hole{g.Number, before.server, before.last})
	p.setDomain(d)
	return nil
}

// passedDomains is p without its holes.
func (p Position) passedDomains() Position {
	out := Position{flavor: p.flavor, domains: slices.Clone(p.domains)}
	for i := range out.domains {
		out.domains[i].open = nil
	}
	return out
}

// resumeDomains gives, per domain, the last transaction before which nothing is open.
func (p Position) resumeDomains() string {
	var out []string
	for _, d := range p.domains {
		server, last := d.server, d.last
		if len(d.open) > 0 {
			server, last = d.open[0].server, d.open[0].before
		}
		if last > 0 {
			out = append(out, fmt.Sprintf("%d-%d-%d", d.id, server, last))
		}
	}
	return strings.Join(out, ",")
}

// repeats tells, per domain, up to which number a server that resumes behind ResumeFrom sends
// again what p contains.
func (p Position) repeats() map[uint32]uint64 {
	out := map[uint32]uint64{}
	for _, d := range p.domains {
		if len(d.open) > 0 {
			out[d.id] = d.last
		}
	}
	return out
}

// parseDomain reads "domain-server-sequence", followed by "!n" for every number up to the
// sequence that is not applied; "!n@s-m" where the transaction before it is not n-1 of the same
// server, but m of server s.
func (p *Position) parseDomain(s string) error {
	head, tail, _ := strings.Cut(s, "!")
	var n [3]uint64
	fields := strings.Split(head, "-")
	if len(fields) != 3 {
		return fmt.Errorf("%q is not domain-server-sequence", s)
	}
	for i, width := range []int{32, 32, 64} {
		v, err := strconv.ParseUint(fields[i], 10, width)
		if err != nil {
			return fmt.Errorf("%q is not domain-server-sequence", s)
		}
		n[i] = v
	}
	d := domain{id: uint32(n[0]), server: uint32(n[1]), last: n[2]}
	for _, f := range strings.FieldsFunc(tail, func(r rune) bool { return r == '!' }) {
		h, err := d.parseHole(f)
		if err != nil {
			return fmt.Errorf("%q: open transaction %q", s, f)
		}
		d.open = append(d.open, h)
	}
	d.open = sortHoles(d.open)
	if p.domain(d.id).last != 0 {
		return fmt.Errorf("domain %d twice", d.id)
	}
	p.setDomain(d)
	return nil
}

var errHole = errors.New("not a hole")

func (d domain) parseHole(s string) (hole, error) {
	number, other, has := strings.Cut(s, "@")
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil || n == 0 || n > d.last {
		return hole{}, errHole
	}
	if !has {
		return hole{n, d.server, n - 1}, nil
	}
	server, before, _ := strings.Cut(other, "-")
	by, err := strconv.ParseUint(server, 10, 32)
	m, err2 := strconv.ParseUint(before, 10, 64)
	if err != nil || err2 != nil || m >= n {
		return hole{}, errHole
	}
	return hole{n, uint32(by), m}, nil
}

func sortHoles(hs []hole) []hole {
	slices.SortFunc(hs, func(a, b hole) int { return cmp.Compare(a.number, b.number) })
	return slices.CompactFunc(hs, func(a, b hole) bool { return a.number == b.number })
}

func (p Position) domainsText() string {
	var b []byte
	for i, d := range p.domains {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "%d-%d-%d", d.id, d.server, d.last)
		for _, h := range d.open {
			b = fmt.Appendf(b, "!%d", h.number)
			if h.before != h.number-1 || h.server != d.server {
				b = fmt.Appendf(b, "@%d-%d", h.server, h.before)
			}
		}
	}
	return string(b)
}

func (p Position) mergeDomains(q Position, op func(a, b domain) domain) Position {
	out := Position{flavor: p.flavor}
	for _, list := range [][]domain{p.domains, q.domains} {
		for _, d := range list {
			if m := op(p.domain(d.id), q.domain(d.id)); m.last > 0 {
				out.setDomain(m)
			}
		}
	}
	return out
}

// unionDomain holds what is in a or in b.
func unionDomain(a, b domain) domain {
	if b.last > a.last {
		a, b = b, a
	}
	out := domain{id: a.id, server: a.server, last: a.last}
	for _, h := range a.open {
		if !b.contains(h.number) {
			out.open = append(out.open, h)
		}
	}
	return out
}

// intersectDomain holds what is in a and in b.
func intersectDomain(a, b domain) domain {
	if b.last < a.last {
		a, b = b, a
	}
	out := domain{id: a.id, server: a.server, last: a.last, open: slices.Clone(a.open)}
	for _, h := range b.open {
		if h.number <= a.last {
			out.open = append(out.open, h)
		}
	}
	out.open = sortHoles(out.open)
	return out
}

func (p Position) coversDomains(q Position) bool {
	return p.missingDomains(q) == ""
}

// missingDomains lists what q holds and p does not: ranges of numbers a domain.
func (p Position) missingDomains(q Position) string {
	var out []string
	for _, d := range q.domains {
		mine := p.domain(d.id)
		for _, h := range mine.open {
			if d.contains(h.number) {
				out = append(out, fmt.Sprintf("%d-%d-%d", d.id, d.server, h.number))
			}
		}
		lo, hi := mine.last+1, d.last
		for hi >= lo && !d.contains(hi) {
			hi--
		}
		for lo < hi && !d.contains(lo) {
			lo++
		}
		switch {
		case lo == hi:
			out = append(out, fmt.Sprintf("%d-%d-%d", d.id, d.server, hi))
		case lo < hi:
			out = append(out, fmt.Sprintf("%d-%d-%d..%d", d.id, d.server, lo, hi))
		}
	}
	return strings.Join(out, ",")
}
