package commit

import (
	"context"
	"errors"
	"fmt"

	"cdcd/capture"
)

// adopt takes in a table that came into being on the source. It begins where the source is
// now: it may have been dropped and created again since the log told of it. adopt gives nil
// for a table that is gone again or cannot be replicated; the latter is refused loudly, but
// stops nothing: no row of it is in the lake. A connection that breaks says nothing of the table.
func (p *Pipeline) adopt(ctx context.Context, n capture.Name, delivered capture.Position) (*member, error) {
	source, position, ok, err := p.describe(ctx, n, delivered)
	if errors.As(err, new(notDescribed)) || capture.Transient(err) {
		return nil, err
	}
	if err == nil && ok {
		err = source.Lake.Check()
	}
	if err != nil {
		p.cfg.Logger.Error("new table is not replicated", "table", n.String(), "err", err)
		p.refused = append(p.refused, Refusal{n, err.Error()})
		return nil, nil
	}
	if !ok {
		return nil, nil
	}
	m := &member{Member: source}
	h, err := p.loadOrCreate(ctx, m)
	if err != nil {
		return nil, err
	}
	m.former = h.Fence
	if h.Begun() {
		return nil, fmt.Errorf("%s: the source created %s, of which the lake has a copy: exclude it, or load it under another name (tables[].target)", m.Lake, n)
	}
	if h, err = p.setFence(ctx, h); err != nil {
		return nil, err
	}
	if err := p.openTable(ctx, m, h, position); err != nil {
		return nil, err
	}
	p.cfg.Logger.Info("table added", "table", m.Lake.String(), "source", n.String())
	return m, nil
}

// describeTries bounds how often a table that came into being is described while it is altered.
const describeTries = 20

// notDescribed is an error that is not about the table.
type notDescribed struct{ error }

// Unwrap gives the error.
func (e notDescribed) Unwrap() error { return e.error }

// describe gives a source table with a position at which it had that shape: what is altered
// later is met in the log, and nothing twice.
func (p *Pipeline) describe(ctx context.Context, n capture.Name, delivered capture.Position) (m Member, at capture.Position, ok bool, err error) {
	m, ok, err = p.cfg.Source.Member(ctx, n)
	for range describeTries {
		if err != nil || !ok {
			return m, at, ok, err
		}
		if at, err = p.cfg.Source.Position(ctx, &delivered); err != nil {
			return m, at, false, notDescribed{err}
		}
		was := m
		m, ok, err = p.cfg.Source.Member(ctx, n)
		if err == nil && ok && m.Source.SameTable(was.Source) {
			return m, at, true, nil
		}
	}
	return m, at, false, notDescribed{fmt.Errorf("%s does not come to rest while it is described", n)}
}
