package commit

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"cdcd/capture"
	"cdcd/table"
)

// A table that has left because its name came to mean another table, or none, comes back where the
// source has a table of that name. That is not stored: it is asked at each start, when the table
// leaves (but where it was dropped before its load), and whenever the log gives the name to a table.
// What the log says of names may be long past, or be about a view, so what counts is what the source
// has.

// ask finds out whether the name of a table that has left means a table of the source, and has that
// one loaded then. One that has left for another reason waits for a person.
func (l *loop) ask(ctx context.Context, m *member) error {
	if !m.left.OfName() {
		return nil
	}
	_, there, err := l.p.cfg.Source.Member(ctx, m.name())
	if err != nil && !there {
		return fmt.Errorf("ask the source for %s: %w", m.name(), err)
	}
	why, wanted := *m.left, l.p.cfg.Renew || m.left.Kind == table.Cut
	switch {
	case !there:
		why.Kind = table.Dropped
	case why.Kind != table.Cut:
		why.Kind = table.Replaced
	}
	m.left = &why
	asked := slices.ContainsFunc(l.renewals, func(r renewal) bool { return r.table == m.Lake })
	if there && wanted && !asked {
		l.renewals = append(l.renewals, renewal{table: m.Lake})
	}
	return nil
}

// stays notes why a table that has left cannot be loaded anew, for whoever looks. It may be gone from
// the source again.
func (l *loop) stays(ctx context.Context, n table.Name, refused error) error {
	for _, m := range l.p.aside {
		if m.Lake != n {
			continue
		}
		if err := l.ask(ctx, m); err != nil {
			return err
		}
		if m.left.OfName() && !m.left.Dropped() && !strings.Contains(m.left.Reason, refused.Error()) { // it may be asked for often
			m.left.Reason += "; " + refused.Error()
		}
	}
	return nil
}

// kindOf is what a cause is called in the lake.
func kindOf(c capture.Cause) string {
	switch c {
	case capture.Dropped:
		return table.Dropped
	case capture.Replaced:
		return table.Replaced
	}
	return table.Unsupported
}
