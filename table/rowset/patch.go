package rowset

import (
	"errors"
	"fmt"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// errNoDocument reports a patch of a NULL, or of a column that has no documents.
var errNoDocument = errors.New("a patch of what is no document")

// patches gives the changes that have patches of a column, the oldest first. They are newer than
// the one that knows it.
func (p *Pending) patches(column, columns int) []Ref {
	newest := p.knows(column, columns)
	if newest < 0 {
		newest = len(p.Chain)
	}
	var out []Ref
	for j := newest - 1; j >= 0; j-- {
		if b := p.Patched[j]; b != nil && b[column>>3]&(1<<(column&7)) != 0 {
			out = append(out, p.Chain[j])
		}
	}
	return out
}

// patchColumn applies the patches of one column to what its values were before them. It owns the
// array that it is given, and gives one for as many rows.
func patchColumn(batches []*capture.Batch, pending []Pending, column, columns int, was arrow.Array, mem memory.Allocator) (arrow.Array, error) {
	patches, some := make([][]Ref, len(pending)), false
	for k := range pending {
		patches[k] = pending[k].patches(column, columns)
		some = some || len(patches[k]) > 0
	}
	if !some {
		return was, nil
	}
	defer was.Release()
	texts, ok := was.(*array.String)
	if !ok {
		return nil, errNoDocument
	}
	out := array.NewStringBuilder(mem)
	defer out.Release()
	for k := range pending {
		if len(patches[k]) == 0 && texts.IsNull(k) {
			out.AppendNull()
			continue
		}
		doc, err := patchText(batches, patches[k], column, texts, k)
		if err != nil {
			last := pending[k].Last
			return nil, fmt.Errorf("column %q at %s: %w", batches[0].Record.ColumnName(column), last.GTID.Text(last.Flavor), err)
		}
		out.BinaryBuilder.Append(doc)
	}
	return out.NewArray(), nil
}

// patchText applies patches to one text.
func patchText(batches []*capture.Batch, patches []Ref, column int, texts *array.String, row int) ([]byte, error) {
	doc := []byte(texts.Value(row))
	for _, r := range patches {
		held, ok := batches[r.Batch].Record.Column(column).(*array.String)
		if !ok || texts.IsNull(row) {
			return nil, errNoDocument
		}
		var err error
		if doc, err = capture.PatchJSON(doc, []byte(held.Value(int(r.Row)))); err != nil {
			return nil, err
		}
	}
	return doc, nil
}
