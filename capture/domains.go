package capture

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// domain is a MariaDB replication domain: everything up to last is applied but for the
// numbers in open.
type domain struct {
	id     uint32
	server uint32   // that wrote last
	last   uint64   // 0: nothing applied
	open   []uint64 // sorted, none above last
}

func (d domain) contains(n uint64) bool {
	if n > d.last {
		return false
	}
	_, open := slices.BinarySearch(d.open, n)
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
	if i, open := slices.BinarySearch(d.open, g.Number); open {
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

// passDomain leaves g out, to be added later, while numbers above it are added.
func (p *Position) passDomain(g GTID) error {
	before := p.domain(g.Domain)
	if err := p.advanceDomain(g); err != nil {
		return err
	}
	d := p.domain(g.Domain)
	d.open = append(slices.Clone(before.open), g.Number)
	p.setDomain(d)
	return nil
}

// resumeDomains gives, per domain, the last number below which nothing is open.
func (p Position) resumeDomains() string {
	var out []string
	for _, d := range p.domains {
		last := d.last
		if len(d.open) > 0 {
			last = d.open[0] - 1
		}
		if last > 0 {
			out = append(out, fmt.Sprintf("%d-%d-%d", d.id, d.server, last))
		}
	}
	return strings.Join(out, ",")
}

// parseDomain reads "domain-server-sequence", followed by "!n" for every number below the
// sequence that is not applied.
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
		v, err := strconv.ParseUint(f, 10, 64)
		if err != nil || v == 0 || v > d.last {
			return fmt.Errorf("%q: open transaction %q", s, f)
		}
		d.open = append(d.open, v)
	}
	slices.Sort(d.open)
	d.open = slices.Compact(d.open)
	if p.domain(d.id).last != 0 {
		return fmt.Errorf("domain %d twice", d.id)
	}
	p.setDomain(d)
	return nil
}

func (p Position) domainsText() string {
	var b []byte
	for i, d := range p.domains {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "%d-%d-%d", d.id, d.server, d.last)
		for _, n := range d.open {
			b = fmt.Appendf(b, "!%d", n)
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
	for _, n := range a.open {
		if !b.contains(n) {
			out.open = append(out.open, n)
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
	for _, n := range b.open {
		if n <= a.last {
			out.open = append(out.open, n)
		}
	}
	slices.Sort(out.open)
	out.open = slices.Compact(out.open)
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
		for _, n := range mine.open {
			if d.contains(n) {
				out = append(out, fmt.Sprintf("%d-%d-%d", d.id, d.server, n))
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
