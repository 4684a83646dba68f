package commit

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"cdcd/capture"
)

// fakeReader reads ranges of the visible state.
type fakeReader struct{ server *fakeServer }

func (r *fakeReader) Close() {}

func (r *fakeReader) Running(context.Context) (int, error) { return r.server.threads() }

func (r *fakeReader) ids(name string, within capture.Range) []int64 {
	var out []int64
	for id := range r.server.state(name, r.server.visible) {
		if r.server.inRange(id, within, r.server.visible) {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, func(a, b int64) int {
		return cmp.Compare(r.server.rank(a, r.server.visible), r.server.rank(b, r.server.visible))
	})
	return out
}

// inRange tells whether a key is in a range, by the order that keys have after the first n transactions.
func (s *fakeServer) inRange(id int64, within capture.Range, n int) bool {
	bound := func(b capture.Bound) int64 {
		id, err := strconv.ParseInt(b[0], 10, 64)
		if err != nil {
			panic(err)
		}
		return s.rank(id, n)
	}
	rank := s.rank(id, n)
	return (len(within.After) == 0 || rank > bound(within.After)) && (len(within.UpTo) == 0 || rank <= bound(within.UpTo))
}

func (r *fakeReader) Bound(_ context.Context, t *capture.Table, within capture.Range, rows int) (capture.Bound, bool, error) {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	if r.server.shape(t.Name.Table, r.server.visible).Difference(t) != "" {
		return nil, false, capture.ErrAltered
	}
	ids := r.ids(t.Name.Table, within)
	if len(ids) < rows {
		return within.UpTo, true, nil
	}
	b := capture.Bound{strconv.FormatInt(ids[rows-1], 10)}
	return b, slices.Equal(b, within.UpTo), nil
}

// Read reads as the real reader does: it waits until what was delivered is visible, reads,
// and only then asks for the position, which may be behind what it saw by then.
func (r *fakeReader) Read(ctx context.Context, c capture.Capture, within capture.Range, after capture.Position) (*capture.Chunk, error) {
	for !r.sees(after) {
		if err := pause(ctx, time.Millisecond); err != nil {
			return nil, err
		}
	}
	s := r.server
	s.mu.Lock()
	if err := s.bad[c.Table.Name.Table]; err != nil {
		s.mu.Unlock()
		return nil, err
	}
	var cs []change
	var at []int
	if now := s.shape(c.Table.Name.Table, s.visible); now.Difference(c.Table) != "" {
		s.mu.Unlock()
		return nil, capture.ErrAltered
	}
	state, written := s.state(c.Table.Name.Table, s.visible), s.written(c.Table.Name.Table, s.visible)
	for _, id := range r.ids(c.Table.Name.Table, within) {
		v := state[id]
		cs = append(cs, change{c.Table.Name.Table, id, &v})
		at = append(at, written[id])
	}
	high, fits := s.position(s.visible), s.fits
	s.mu.Unlock()
	if s.reading != nil {
		s.reading()
	}
	if fits > 0 && len(cs) > fits {
		return nil, &capture.TooLarge{Table: c.Table.Name, Rows: fits + 1}
	}
	if err := pause(ctx, time.Duration(s.random(3))*time.Millisecond); err != nil {
		return nil, err
	}
	chunk := &capture.Chunk{Range: within, High: high}
	if len(cs) > 0 {
		chunk.Batch = fakeBatch(c.Table, cs, s.mem, at...)
		for i := range chunk.Batch.Ops {
			chunk.Batch.Ops[i] = capture.OpLoad
		}
	}
	return chunk, nil
}

func (r *fakeReader) sees(p capture.Position) bool {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	return r.server.position(r.server.visible).Covers(p)
}
