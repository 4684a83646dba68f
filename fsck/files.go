package fsck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Debris is what lies at a table's location and no retained snapshot names. Beside a daemon
// some of it may be on its way into one.
type Debris struct {
	Files   int      `json:"files"`             // with names of ours
	Bytes   int64    `json:"bytes"`             // of those
	Fresh   int      `json:"files_fresh"`       // of those, under the fence in force: a daemon may need them
	Foreign int      `json:"files_foreign"`     // with other names
	Names   []string `json:"names,omitempty"`   // of ours, the first namedDebris
	Others  []string `json:"foreign,omitempty"` // the first namedDebris
}

// namedDebris is how many files are named.
const namedDebris = 100

// checkFiles looks for every data file and vector: in a listing of the table's location, and
// one by one where they are elsewhere.
func (c *checked) checkFiles(ctx context.Context, cfg Config, used map[string]*usedFile, r *reader) error {
	sizes, err := c.list(ctx, cfg)
	if err != nil {
		return err
	}
	var missing []string
	for path, f := range used {
		if size, listed := sizes[local(path)]; !listed {
			missing = append(missing, path)
		} else if size != f.bytes {
			c.add(wrongLength(path, f, size))
		}
	}
	slices.Sort(missing)
	found := make([]*Finding, len(missing))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, path := range missing {
		g.Go(func() (err error) {
			found[i], err = lookFor(gctx, cfg, path, used[path])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, f := range found {
		if f != nil {
			c.add(*f)
		}
	}
	c.result.Debris = debris(c.meta, sizes, c.named(used, r))
	return nil
}

// besideTables begins what a pipeline keeps beside its tables. Where the catalog hands out the
// credentials of the store, that is at the control table's location.
const besideTables = "_cdcd/"

// list gives the sizes of all of the table's files at its location.
func (c *checked) list(ctx context.Context, cfg Config) (map[string]int64, error) {
	prefix := strings.TrimSuffix(c.meta.Location, "/") + "/"
	sizes := map[string]int64{}
	for o, err := range cfg.Store.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		if !strings.HasPrefix(o.Name, prefix+besideTables) {
			sizes[local(o.Name)] = o.Size
		}
	}
	return sizes, nil
}

func wrongLength(path string, f *usedFile, size int64) Finding {
	return Finding{Rule: ruleLength, Snapshot: f.snapshot, Object: path, What: fmt.Sprintf("it has %d bytes, and its entry says %d", size, f.bytes)}
}

// lookFor looks for one file.
func lookFor(ctx context.Context, cfg Config, path string, f *usedFile) (*Finding, error) {
	file, err := cfg.Store.IO(ctx).Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Finding{Rule: ruleMissing, Snapshot: f.snapshot, Object: path, What: "the file is not there"}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", path, err)
	}
	info, err := file.Stat()
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("look for %s: %w", path, err)
	}
	if info.Size() != f.bytes {
		found := wrongLength(path, f, info.Size())
		return &found, nil
	}
	return nil, nil
}

// local gives a name as it is compared: writers differ in how they begin a local one, and
// in what they call S3.
func local(name string) string {
	for _, prefix := range []string{"file://", "file:"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			return rest
		}
	}
	for _, scheme := range []string{"s3a://", "s3n://"} {
		if rest, ok := strings.CutPrefix(name, scheme); ok {
			return "s3://" + rest
		}
	}
	return name
}

// named gives everything that the table names, old metadata files included.
func (c *checked) named(used map[string]*usedFile, r *reader) map[string]bool {
	out := map[string]bool{local(c.location): true}
	for path := range used {
		out[local(path)] = true
	}
	for path := range r.manifests {
		out[local(path)] = true
	}
	for i := range c.meta.Snapshots {
		out[local(c.meta.Snapshots[i].List)] = true
	}
	for _, p := range c.meta.Previous {
		out[local(p.File)] = true
	}
	return out
}

// ourName takes the fence number out of a name that a commit gave.
func ourName(file string) (fence int64, ok bool) {
	if rest, list := strings.CutPrefix(file, "snap-"); list {
		_, file, _ = strings.Cut(rest, "-")
	}
	dot := strings.LastIndexByte(file, '.')
	if dot < 0 || !slices.Contains([]string{".parquet", ".puffin", ".avro"}, file[dot:]) {
		return 0, false
	}
	var epoch int64
	n, _ := fmt.Sscanf(file, "e%d-k%d-", &fence, &epoch)
	return fence, n == 2
}

// debris sorts what is listed and not named.
func debris(m *metadata, sizes map[string]int64, named map[string]bool) Debris {
	var d Debris
	fence := m.fence()
	for path, size := range sizes {
		if named[path] {
			continue
		}
		file := path[strings.LastIndexByte(path, '/')+1:]
		under, ours := ourName(file)
		if !ours && !strings.HasSuffix(file, ".metadata.json") { // which the catalogs write for us
			d.Others = append(d.Others, path)
			d.Foreign++
			continue
		}
		d.Names = append(d.Names, path)
		d.Files, d.Bytes = d.Files+1, d.Bytes+size
		if ours && under >= fence {
			d.Fresh++
		}
	}
	slices.Sort(d.Names)
	slices.Sort(d.Others)
	d.Names, d.Others = d.Names[:min(len(d.Names), namedDebris)], d.Others[:min(len(d.Others), namedDebris)]
	return d
}
