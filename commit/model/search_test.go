package model

import (
	"hash/maphash"
	"slices"
)

// result is what a search found.
type result struct {
	states  int
	whole   bool // every state within the bounds was visited
	depth   int  // steps to the farthest state
	taken   [actions]int
	goals   map[string]int // of each goal, the steps to the nearest state that reaches it
	broken  invariant
	counter []step // that lead to broken
}

// print identifies a visited state. Two hashes of 64 bits with their own seeds stand for
// it: that two of ten million states are taken for one has a chance below 1e-24.
type print [2]uint64

// origin is how a state was first reached.
type origin struct {
	parent uint32
	choice uint8 // index of the successor in its parent's expansion
}

// search visits states breadth first: the first counterexample that it meets is one of the
// shortest.
type search struct {
	*model
	seeds   [2]maphash.Seed
	visited map[print]struct{}
	origins []origin
	ahead   queue // states that were reached and not yet visited
}

// run visits states until limit have been reached.
func (m *model) run(limit int, goals []goal) result {
	s := &search{model: m, visited: map[print]struct{}{}, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	r := result{goals: map[string]int{}}
	first := m.initial()
	s.add(&first, origin{})
	deeper := 1 // number of the first state that is farther away than those visited now
	for number := 0; number < len(s.origins) && len(s.origins) < limit && r.broken == holds; number++ {
		if number == deeper {
			r.depth++
			deeper = len(s.origins)
		}
		at := s.ahead.take()
		for _, g := range goals {
			if _, known := r.goals[g.name]; !known && g.reached(m, at) {
				r.goals[g.name] = r.depth
			}
		}
		s.visit(uint32(number), at, &r)
		r.whole = number == len(s.origins)-1
	}
	r.states = len(s.origins)
	return r
}

// visit adds the states that one step leads to from the state with a number.
func (s *search) visit(number uint32, from *state, r *result) {
	out := s.expand(from)
	for i := range out {
		o := &out[i]
		r.taken[o.step.action]++
		isNew := s.add(&o.state, origin{number, uint8(i)})
		if r.broken = o.broken; r.broken == holds && isNew {
			r.broken = s.check(&o.state)
		}
		if r.broken != holds {
			last := o.step // before the steps to here are expanded again
			r.counter = append(s.steps(number), last)
			return
		}
	}
}

// add takes a state in, if it is new.
func (s *search) add(st *state, from origin) bool {
	p := print{maphash.Comparable(s.seeds[0], *st), maphash.Comparable(s.seeds[1], *st)}
	n := len(s.visited)
	s.visited[p] = struct{}{}
	if len(s.visited) == n {
		return false
	}
	s.origins = append(s.origins, from)
	s.ahead.add(*st)
	return true
}

// steps gives the way to the state with a number, by taking it once more.
func (s *search) steps(number uint32) []step {
	var choices []uint8
	for ; number != 0; number = s.origins[number].parent {
		choices = append(choices, s.origins[number].choice)
	}
	slices.Reverse(choices)
	var steps []step
	at := s.initial()
	for _, c := range choices {
		next := s.expand(&at)[c]
		steps = append(steps, next.step)
		at = next.state
	}
	return steps
}

// queue holds states in pieces, so that what has been taken is free.
type queue struct {
	pieces [][]state
	taken  int // of the first piece
}

const piece = 1024

func (q *queue) add(s state) {
	if n := len(q.pieces); n == 0 || len(q.pieces[n-1]) == piece {
		q.pieces = append(q.pieces, make([]state, 0, piece))
	}
	last := &q.pieces[len(q.pieces)-1]
	*last = append(*last, s)
}

// take gives the oldest state; there must be one.
func (q *queue) take() *state {
	if q.taken == piece {
		q.pieces[0] = nil
		q.pieces, q.taken = q.pieces[1:], 0
	}
	q.taken++
	return &q.pieces[0][q.taken-1]
}
