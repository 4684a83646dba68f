package table

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/apache/iceberg-go"
)

// Quarantine is why a table is not replicated any more. Its rows stay as they were at the position
// of its Mark.
type Quarantine struct {
	Kind   string    `json:"kind"` // one of those below
	Reason string    `json:"reason"`
	GTID   string    `json:"gtid,omitempty"` // of the transaction that it stays before, where one is why
	Since  time.Time `json:"since"`
}

// The kinds of a Quarantine.
const (
	// Unsupported: something in the log, or a value, that the table cannot follow.
	Unsupported = "unsupported"
	// Interrupted: a load anew that a rewind has ended, or that others have changed.
	Interrupted = "interrupted"
	// Dropped: no table of the source has the name any more.
	Dropped = "dropped"
	// Replaced: another table of the source has the name.
	Replaced = "replaced"
	// Cut: the source's log does not lead on from where the table is.
	Cut = "cut"
)

// OfName reports that the table has left because its name came to mean another table, or none, or
// may have: the log that would say so is lost.
func (q *Quarantine) OfName() bool { return q.Kind == Dropped || q.Kind == Replaced || q.Kind == Cut }

// Dropped reports that it is for no error that the table is not replicated any more: the source has
// no table of its name.
func (q *Quarantine) Dropped() bool { return q != nil && q.Kind == Dropped }

// Leave makes a Delta the last one of its table: what it commits says why nothing follows.
func (d *Delta) Leave(q Quarantine) { d.leaves = &q }

// property renders why a table is not replicated, for its properties.
func (q *Quarantine) property() (iceberg.Properties, error) {
	text, err := json.Marshal(q)
	return iceberg.Properties{keyQuarantine: string(text)}, err
}

// quarantineOf reads it, nil where there is none.
func quarantineOf(props iceberg.Properties) (*Quarantine, error) {
	text, there := props[keyQuarantine]
	if !there {
		return nil, nil
	}
	q := &Quarantine{}
	if err := json.Unmarshal([]byte(text), q); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, keyQuarantine, err)
	}
	return q, nil
}

// PrepareLeave uploads a commit after which nothing follows main, whose rows and position stay.
func PrepareLeave(ctx context.Context, cfg Config, h *Head, m Mark, q Quarantine) (*Attempt, error) {
	c, err := loadContentOf(ctx, h, h.meta.CurrentSnapshot())
	if err != nil {
		return nil, err
	}
	a, err := assemble(h, c, &Delta{base: h.Snapshot, leaves: &q}, m, h.Version)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h.Name, err)
	}
	return a.finish(ctx, cfg.Now())
}
