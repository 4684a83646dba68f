package table

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

// What follows commits without a [Table]: no row is looked up, so no key index is opened.

// PrepareMark uploads a commit of a Mark alone on main's snapshot, which needs no Mark before.
// It is for a main that somebody has set back: indexes of snapshots before are useless from
// then on.
func PrepareMark(ctx context.Context, cfg Config, h *Head, m Mark) (*Attempt, error) {
	return prepareOn(ctx, cfg, h, h.Snapshot, m, nil, false)
}

// PrepareReturn uploads a commit that sets main back: a snapshot with the content of an older
// one, which becomes its parent, so that main's history is that snapshot's. What came in
// between stays until it expires. The tags of the given cuts are removed, and a quarantine ends.
func PrepareReturn(ctx context.Context, cfg Config, h *Head, snapshot int64, m Mark, cuts []int64) (*Attempt, error) {
	return prepareOn(ctx, cfg, h, snapshot, m, cuts, true)
}

func prepareOn(ctx context.Context, cfg Config, h *Head, snapshot int64, m Mark, cuts []int64, back bool) (*Attempt, error) {
	if err := h.Restorable(snapshot); err != nil {
		return nil, err
	}
	on := h.meta.SnapshotByID(snapshot)
	c, err := loadContentOf(ctx, h, on)
	if err != nil {
		return nil, err
	}
	a, err := assemble(h, c, &Delta{base: snapshot}, m, h.Version)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h.Name, err)
	}
	a.parent = on
	attempt, err := a.finish(ctx, cfg.Now())
	if err != nil {
		return nil, err
	}
	attempt.updates = append(attempt.updates, icetable.NewSetPropertiesUpdate(iceberg.Properties{keySetBack: strconv.FormatInt(h.Sequence+1, 10)}))
	attempt.updates = append(attempt.updates, removeTags(cuts)...)
	aside, err := asideUpdates(h, back, m, cfg.Now())
	attempt.updates = append(attempt.updates, aside...)
	return attempt, err
}

// asideUpdates end what a table that goes to another timeline has beside main: a load anew, for
// positions of two have nothing to do with each other, and, where it goes back, a quarantine, for
// what was met is met again. One that stays where it was while it is loaded anew leaves: its
// position may be one that the log does not reach back to.
func asideUpdates(h *Head, back bool, m Mark, now time.Time) ([]icetable.Update, error) {
	var out []icetable.Update
	if m.Timeline != h.Mark.Timeline && h.meta.SnapshotByName(refLoad) != nil {
		out = endUpdates()
	}
	switch {
	case back && h.Quarantine != nil:
		out = append(out, icetable.NewRemovePropertiesUpdate([]string{keyQuarantine}))
	case !back && out != nil && h.Quarantine == nil:
		q := Quarantine{Kind: Interrupted, Reason: "it was loaded anew when it was rewound or adopted", Since: now.UTC()}
		props, err := q.property()
		return append(out, icetable.NewSetPropertiesUpdate(props)), err
	}
	return out, nil
}

// Restorable reports why main cannot be set to a snapshot: it is gone, or has another schema
// than the table has now.
func (h *Head) Restorable(snapshot int64) error {
	s := h.meta.SnapshotByID(snapshot)
	switch {
	case s == nil:
		return fmt.Errorf("%s: %w: snapshot %d has expired", h.Name, ErrGone, snapshot)
	case s.SchemaID == nil || *s.SchemaID != h.Schema:
		return fmt.Errorf("%s: %w: snapshot %d has another schema", h.Name, ErrOtherShape, snapshot)
	}
	return nil
}

// Retains reports whether a snapshot is still there.
func (h *Head) Retains(snapshot int64) bool { return h.meta.SnapshotByID(snapshot) != nil }

// Evidence is what shows which position the rows of a table stand for whose main somebody has
// changed.
type Evidence struct {
	Marked
	// Compare says that the Mark's snapshot is not main's: others rewrote it, or main's history
	// does not lead there. The Mark is main's only if main's rows are those of that snapshot.
	Compare bool
}

// Evidence looks for a Mark that main may stand for: the newest in its history with nothing
// but rewrites in front; else that of the tag's snapshot.
func (h *Head) Evidence() (Evidence, error) {
	for s := h.meta.CurrentSnapshot(); s != nil; s = parentOf(h.meta, s) {
		m, ok, err := markOf(s)
		if err != nil {
			return Evidence{}, fmt.Errorf("%s: %w", h.Name, err)
		}
		if ok {
			return Evidence{Marked: Marked{s.SnapshotID, m}, Compare: s.SnapshotID != h.Snapshot}, nil
		}
		if s.Summary == nil || s.Summary.Operation != icetable.OpReplace {
			break
		}
	}
	tag := h.meta.SnapshotByName(refPosition)
	if tag == nil {
		return Evidence{}, fmt.Errorf("%s: %w: main's history shows no position, and the tag %s is gone", h.Name, ErrRolledBack, refPosition)
	}
	m, ok, err := markOf(tag)
	if err == nil && !ok {
		err = fmt.Errorf("%w: the tag %s is on snapshot %d, which has no position", ErrRolledBack, refPosition, tag.SnapshotID)
	}
	if err != nil {
		return Evidence{}, fmt.Errorf("%s: %w", h.Name, err)
	}
	return Evidence{Marked: Marked{tag.SnapshotID, m}, Compare: true}, nil
}
