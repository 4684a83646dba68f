package capture

import (
	"bytes"
	"fmt"
	"slices"

	"cdcd/capture/binlog"
)

// cutAfter splits an after image.
func (p *plan) cutAfter(m *imageShape, image []byte, to []cell) ([]byte, error) {
	if !m.partial {
		return p.cutCells(image, m.columns[1], to, nil)
	}
	diffs, rest, err := binlog.CutPartial(image, len(p.json))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.buffer.table.Name, err)
	}
	return p.cutCells(rest, m.columns[1], to, diffs)
}

// hasDiffs tells whether a column's part of an image is diffs.
func (p *plan) hasDiffs(diffs []byte, column int) bool {
	at := slices.Index(p.json, column)
	return at >= 0 && bitSet(diffs, at)
}

// appendDiffs appends what a JSON column becomes by diffs; where its document is not known the
// diffs themselves, as a patch.
func (p *plan) appendDiffs(column int, c cell) error {
	v := &p.buffer.columns[column]
	if !c.has {
		v.data.appendBytes(c.diffs)
		return nil
	}
	stored, _, err := p.columns[column].span.content(c.stored)
	if err != nil {
		return err
	}
	doc, err := appendJSON(nil, stored)
	if err != nil {
		return err
	}
	if doc, err = PatchJSON(doc, c.diffs); err != nil {
		return err
	}
	v.data.appendBytes(doc)
	return nil
}

// told gives what an updated row knows, and of which columns it has patches. nil stands for all,
// and for none.
func (p *plan) told(m *imageShape, row []cell) (known, patched []byte) {
	known = m.known
	if !m.partial {
		return known, nil
	}
	for _, i := range p.json {
		if row[i].has || !bitSet(m.held, i) {
			continue
		}
		if known == nil || &known[0] == &m.held[0] {
			known = bytes.Clone(m.held)
		}
		known[i>>3] &^= 1 << (i & 7)
		if row[i].diffs == nil {
			continue
		}
		if patched == nil {
			patched = make([]byte, len(known))
		}
		patched[i>>3] |= 1 << (i & 7)
	}
	return known, patched
}
