package table

import (
	"context"
	"errors"
	"fmt"
	"io"

	"cdcd/capture"
	"cdcd/table/datafile"
	"cdcd/table/rowset"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/iceberg-go"
)

// Pacer slows a rewrite down, and is told how far it is. Rest is called after each step of work,
// with how many rows of the inputs that was, and returns when the next one may begin.
type Pacer interface {
	Rest(ctx context.Context, rows int64) error
}

// RewriteOptions are what a rewrite is told beside its inputs.
type RewriteOptions struct {
	Stem string // of the output's name, from NewStem; no two rewrites may have the same
	Pace Pacer  // nil: as fast as it can
}

// RewriteInput is one input of a rewrite. A row that is at pos in it and that Seen does not
// hold is at Start + pos - (the number of positions in Seen below pos) in the output.
type RewriteInput struct {
	Path       string
	Start      int64   // position in the output of its first row that was live
	Seen       *bitmap // positions that were deleted; nil: none
	Rows       int64   // deleted ones included
	FirstRowID int64   // negative: it has none
}

// Rewrite is a finished rewriting of data files into one. Nothing of it is committed.
type Rewrite struct {
	Name     Name
	Snapshot int64            // that was read
	Inputs   []RewriteInput   // in the order in which the output holds their rows
	Output   iceberg.DataFile // durable; nil where no row was live
	Rows     int64            // of the output
}

// Rewrite writes the live rows of data files, in the given order of the files, into one new
// data file. The files must be of one partition. Every row keeps its _row_id and its
// _last_updated_sequence_number. Where it fails, it leaves no file.
func (s *Survey) Rewrite(ctx context.Context, paths []string, o RewriteOptions) (*Rewrite, error) {
	inputs, err := s.choose(paths)
	if err == nil && len(inputs) > 0 {
		w := &rewriter{survey: s, pace: o.Pace, out: &Rewrite{Name: s.Name, Snapshot: s.Snapshot}}
		if err = w.run(ctx, inputs, namerOf(s.location, o.Stem).dataFile()); err == nil {
			return w.out, nil
		}
	}
	return nil, fmt.Errorf("rewrite %d files of %s: %w", len(paths), s.Name, err)
}

// choose finds the inputs.
func (s *Survey) choose(paths []string) ([]surveyed, error) {
	if len(paths) == 0 {
		return nil, errors.New("there is nothing to rewrite")
	}
	chosen := map[string]bool{}
	out := make([]surveyed, 0, len(paths))
	for _, p := range paths {
		in, ok := s.inputs[p]
		switch {
		case !ok:
			return nil, fmt.Errorf("%s is not live in snapshot %d", p, s.Snapshot)
		case chosen[p]:
			return nil, fmt.Errorf("%s is there twice", p)
		case len(out) > 0 && (in.file.Spec != out[0].file.Spec || in.file.Partition != out[0].file.Partition):
			return nil, fmt.Errorf("%s is of another partition than %s", p, out[0].file.Path)
		}
		chosen[p] = true
		out = append(out, in)
	}
	return out, nil
}

// rewriter is a rewrite under way.
type rewriter struct {
	survey *Survey
	pace   Pacer
	to     *datafile.Appender
	out    *Rewrite
}

func (w *rewriter) rest(ctx context.Context, rows int64) error {
	if err := ctx.Err(); err != nil || w.pace == nil {
		return err
	}
	return w.pace.Rest(ctx, rows)
}

// run finds out where every row goes, and copies them there.
func (w *rewriter) run(ctx context.Context, inputs []surveyed, path string) (err error) {
	kept := make([][]byte, len(inputs)) // a bit for each position
	for i, in := range inputs {
		if kept[i], err = w.place(ctx, in); err != nil {
			return err
		}
	}
	if w.out.Rows == 0 {
		return nil
	}
	first := inputs[0]
	spec, ok := w.survey.specs[first.file.Spec]
	if !ok {
		return fmt.Errorf("%w: no partition spec %d", ErrCorrupt, first.file.Spec)
	}
	w.to, err = w.survey.layout.Append(w.survey.store.IO(ctx), path, spec, first.partition)
	if err != nil {
		return err
	}
	for i, in := range inputs {
		if err := w.copy(ctx, in, kept[i]); err != nil {
			return errors.Join(err, w.to.Abort())
		}
	}
	if w.to.Rows() != w.out.Rows {
		return errors.Join(fmt.Errorf("%w: %d rows were written, %d are live", ErrCorrupt, w.to.Rows(), w.out.Rows), w.to.Abort())
	}
	w.out.Output, err = w.to.Close()
	return err
}

// place notes where an input's rows go, and gives which of its positions are live, nil for
// all.
func (w *rewriter) place(ctx context.Context, in surveyed) ([]byte, error) {
	seen, err := w.survey.deleted(ctx, in)
	if err != nil {
		return nil, err
	}
	w.out.Inputs = append(w.out.Inputs, RewriteInput{
		Path: in.file.Path, Start: w.out.Rows, Seen: seen, Rows: in.file.Rows, FirstRowID: in.firstRowID,
	})
	w.out.Rows += in.file.Rows - in.file.Deleted
	if seen == nil {
		return nil, nil
	}
	kept := seen.KeepMaskBytes(in.file.Rows)
	if live := int64(bitutil.CountSetBits(kept, 0, int(in.file.Rows))); live != in.file.Rows-in.file.Deleted {
		return nil, fmt.Errorf("%w: the deletion vector of %s has positions behind its %d rows", ErrCorrupt, in.file.Path, in.file.Rows)
	}
	return kept, nil
}

// copy appends the live rows of an input.
func (w *rewriter) copy(ctx context.Context, in surveyed, kept []byte) (err error) {
	if in.file.Rows == in.file.Deleted {
		return nil
	}
	r, err := w.survey.layout.OpenReader(ctx, w.survey.store.IO(ctx), in.file.Path, w.survey.mem)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if r.NumRows() != in.file.Rows {
		return fmt.Errorf("%w: %s has %d rows, its manifest entry says %d", ErrCorrupt, in.file.Path, r.NumRows(), in.file.Rows)
	}
	for {
		rows, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		err = w.append(in, rows, kept)
		n := rows.Record.NumRows()
		rows.Release()
		if err != nil {
			return fmt.Errorf("%s: %w", in.file.Path, err)
		}
		if err := w.rest(ctx, n); err != nil {
			return err
		}
	}
}

// append appends the live ones of some rows.
func (w *rewriter) append(in surveyed, rows *datafile.Rows, kept []byte) error {
	n := int(rows.Record.NumRows())
	refs := make([]rowset.Ref, 0, n)
	rowIDs, sequences := make([]int64, 0, n), make([]int64, 0, n)
	for i := range n {
		pos := rows.Base + int64(i)
		if kept != nil && kept[pos>>3]&(1<<(pos&7)) == 0 {
			continue
		}
		refs = append(refs, rowset.Ref{Row: int32(i)})
		rowIDs = append(rowIDs, valueOr(rows.RowIDs, i, in.rowID(pos)))
		sequences = append(sequences, valueOr(rows.Sequences, i, in.file.Sequence))
		mutantLineage(rowIDs, sequences)
	}
	if len(refs) == 0 {
		return nil
	}
	columns := rows.Record.Columns()
	if len(refs) < n {
		taken, err := rowset.Take([]*capture.Batch{{Record: rows.Record}}, refs, w.survey.mem)
		if err != nil {
			return err
		}
		defer func() {
			for _, c := range taken {
				c.Release()
			}
		}()
		columns = taken
	}
	return w.to.Add(columns, rowIDs, sequences)
}

// rowID is the row id that the row at a position takes from its file, negative for none.
func (in surveyed) rowID(pos int64) int64 {
	if in.firstRowID < 0 {
		return firstRowUnknown
	}
	return in.firstRowID + pos
}

// valueOr gives what a row inherits where its file does not say it.
func valueOr(column *array.Int64, i int, inherited int64) int64 {
	if column == nil || column.IsNull(i) {
		return inherited
	}
	return column.Value(i)
}
