package commit

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
		p.refuse(n, err)
		return nil, nil
	}
	p.refuse(n, nil)
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

// mostRefused bounds the refusals that are shown. Where there are more, the oldest go.
const mostRefused = 1000

// refuse notes that a table cannot be replicated, or that it can, or is gone, with nil.
func (p *Pipeline) refuse(n capture.Name, why error) {
	p.refused = slices.DeleteFunc(p.refused, func(r Refusal) bool { return r.Table == n })
	if why == nil {
		return
	}
	p.refused = append(p.refused, Refusal{n, why.Error()})
	p.refused = p.refused[max(0, len(p.refused)-mostRefused):]
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
