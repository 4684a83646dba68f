package table

import (
	"context"
	"fmt"

	"cdcd/table/fileio"
	"golang.org/x/sync/errgroup"
)

// parallelUploads bounds the files that are written at the same time.
const parallelUploads = 16

// object is a file that is ready to be uploaded.
type object struct {
	path    string
	content []byte
}

// upload writes all objects durably, several at a time.
func upload(ctx context.Context, store fileio.Store, objects []object) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelUploads)
	for _, o := range objects {
		g.Go(func() error { return store.IO(ctx).WriteFile(o.path, o.content) })
	}
	return g.Wait()
}

// namer names the objects of one attempt. Every name carries the fence and the epoch that
// it was made under, and a UUID.
type namer struct {
	location string // of the table
	prefix   string
	count    int
}

func newNamer(location string, fence, epoch int64) *namer {
	return namerOf(location, NewStem(fence, epoch))
}

func namerOf(location, stem string) *namer { return &namer{location: location, prefix: stem} }

func (n *namer) dataFile() string {
	n.count++
	return fmt.Sprintf("%s/data/%s-%d.parquet", n.location, n.prefix, n.count)
}

func (n *namer) vector() string {
	n.count++
	return fmt.Sprintf("%s/data/%s-%d.puffin", n.location, n.prefix, n.count)
}

func (n *namer) manifest() string {
	n.count++
	return fmt.Sprintf("%s/metadata/%s-m%d.avro", n.location, n.prefix, n.count)
}

func (n *namer) list(snapshot int64) string {
	return fmt.Sprintf("%s/metadata/snap-%d-%s.avro", n.location, snapshot, n.prefix)
}
