package table

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"cdcd/capture"
	"cdcd/table/datafile"
	"cdcd/table/keyindex"
	"cdcd/table/rowset"
)

// What of a table in its committer's hands depends on the format version, which a commit may
// change.

// openIndex opens the key index for a head.
func (t *Table) openIndex(h *Head) error {
	var err error
	t.index, t.Discarded, err = keyindex.Open(filepath.Join(t.cfg.IndexDir, h.UUID.String()), indexIdentity(h), h.follows)
	if err != nil {
		return fmt.Errorf("%s: open key index: %w", h.Name, err)
	}
	t.keys = rowset.NewEncoder(&h.Source.Table, t.index.Secret())
	return nil
}

// lay prepares for data files as a head has them.
func (t *Table) lay(h *Head) error {
	spec := h.meta.PartitionSpec()
	packed, _ := datafile.CompressionOf(h.meta.Properties()) // what others have set there may be nonsense
	layout, err := datafile.NewLayout(h.schema(), spec, h.Version, packed)
	if err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	parts, err := newPartitioner(h.schema(), spec)
	if err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	expected, err := capture.ArrowSchema(&h.Source.Table, h.Source.Options, h.Source.CommitTime)
	if err != nil {
		return err
	}
	if err := layout.Check(expected); err != nil {
		return fmt.Errorf("%s: %w: %w", h.Name, ErrForeignShape, err)
	}
	t.layout, t.parts = layout, parts
	return nil
}

// indexIdentity names what an index is of: another table or other key columns make it useless; a
// column may get another name, or a wider type of the same values. So does the move to version 3,
// for redirects that are older do not know the ids that rows have from then on.
func indexIdentity(h *Head) string {
	var b strings.Builder
	b.WriteString(h.UUID.String())
	if h.Version < versionVectors {
		fmt.Fprintf(&b, " format %d", h.Version)
	}
	for _, k := range h.identifying() {
		fmt.Fprintf(&b, " %d", h.schema().Field(k).ID)
	}
	return b.String()
}

// advanceUpgraded moves the table to the first head of ours of another format version: its list has
// given row ids to data files of which the attempt wrote nothing.
func (t *Table) advanceUpgraded(ctx context.Context, h *Head) error {
	old := t.head
	if err := t.Refresh(ctx, h); err != nil {
		return err
	}
	return errors.Join(removeOldMetadata(ctx, old, h), t.dropIntents(ctx))
}
