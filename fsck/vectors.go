package fsck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/puffin"
	"github.com/apache/iceberg-go/table/dv"
	"golang.org/x/sync/errgroup"
)

// checkVectors decodes every deletion vector that a retained snapshot names, and every file of
// positions that a commit of ours wrote.
func (r *reader) checkVectors(ctx context.Context, used map[string]*usedFile) ([]Finding, error) {
	paths := slices.DeleteFunc(slices.Sorted(maps.Keys(used)), func(p string) bool {
		v := used[p].vector
		_, ours := ourName(p[strings.LastIndexByte(p, '/')+1:])
		return v == nil || referenced(v) == "" || !isVector(v) && !(isPositions(v) && ours)
	})
	found := make([]*Finding, len(paths))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, path := range paths {
		g.Go(func() (err error) {
			found[i], err = r.checkVector(gctx, path, used[path])
			return err
		})
	}
	err := g.Wait()
	var out []Finding
	for _, f := range found {
		if f != nil {
			out = append(out, *f)
		}
	}
	return out, err
}

// checkVector checks one. That it is there at all is checked elsewhere.
func (r *reader) checkVector(ctx context.Context, path string, f *usedFile) (*Finding, error) {
	found := func(what string) (*Finding, error) {
		return &Finding{Rule: ruleVector, Snapshot: f.snapshot, Object: path, What: what}, nil
	}
	content, _, err := r.store.Read(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	decode := func() (*dv.RoaringPositionBitmap, error) { return decodeVector(content, f.vector) }
	if !isVector(f.vector) {
		decode = func() (*dv.RoaringPositionBitmap, error) { return r.decodePositions(ctx, path, f.vector) }
	}
	bits, err := decode()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return found("the delete file is damaged: " + err.Error())
	}
	if f.rows < 0 {
		return nil, nil // that it names no live file is found elsewhere
	}
	beyond := 0
	for p := range bits.Positions() {
		if p >= uint64(f.rows) {
			beyond++
		}
	}
	if beyond > 0 {
		return found(fmt.Sprintf("%d positions of the delete file are beyond the %d rows of its data file", beyond, f.rows))
	}
	return nil, nil
}

// decodeVector takes a vector out of its Puffin file and compares it with its entry.
func decodeVector(content []byte, e iceberg.DataFile) (*dv.RoaringPositionBitmap, error) {
	p, err := puffin.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	if e.ContentOffset() == nil || e.ContentSizeInBytes() == nil {
		return nil, errors.New("its entry has no offset and size")
	}
	offset, size := *e.ContentOffset(), *e.ContentSizeInBytes()
	at := slices.IndexFunc(p.Blobs(), func(b puffin.BlobMetadata) bool { return b.Offset == offset })
	if at < 0 || p.Blobs()[at].Length != size || offset < 0 || size < 0 || offset+size > int64(len(content)) {
		return nil, fmt.Errorf("there is no blob of %d bytes at %d", size, offset)
	}
	blob := p.Blobs()[at]
	switch {
	case blob.Type != puffin.BlobTypeDeletionVector || blob.CompressionCodec != nil:
		return nil, fmt.Errorf("the blob is of type %q, or compressed", blob.Type)
	case blob.Properties["referenced-data-file"] != *e.ReferencedDataFile():
		return nil, errors.New("the blob names another data file than its entry")
	case blob.Properties["cardinality"] != strconv.FormatInt(e.Count(), 10):
		return nil, fmt.Errorf("the blob has %q positions, and its entry says %d", blob.Properties["cardinality"], e.Count())
	}
	return dv.DeserializeDV(content[offset:offset+size], e.Count())
}
