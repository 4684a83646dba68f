package compaction

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"cdcd/table"
	"cdcd/table/fileio"
	"golang.org/x/sync/errgroup"
)

// ErrNotOwner reports that another daemon's fence is in force. Nothing more may be deleted.
var ErrNotOwner = errors.New("another daemon owns the pipeline")

// ErrShared reports a table at whose location there are metadata of another table. Some of the
// files may be that one's, so none is deleted.
var ErrShared = errors.New("another table's files are at the table's location")

const (
	// recheckAfter is how many files are deleted before metadata are loaded again.
	recheckAfter = 500
	// mostRemoved bounds the files of one table that are deleted in one round.
	mostRemoved = 20_000
	// parallelRemovals bounds the deletions at a time.
	parallelRemovals = 8
	// mostForeignMetadata bounds the metadata files of unknown origin that are read in one round.
	mostForeignMetadata = 200
	// intervalsAStep is by how many intervals the journal's clock moves at most from one round to
	// the next.
	intervalsAStep = 2
)

// CollectorConfig is what a Collector works with.
type CollectorConfig struct {
	Tables table.Config // the catalog, the store, and where intents are
	Dir    string       // of its own, in the state directory
	Fence  int64        // of this daemon
	Grace  time.Duration
	// Interval is how often [Collector.Collect] is called.
	Interval time.Duration
	// InFlight gives the stems of names ([table.FileName]) of what this process has uploaded, or
	// is uploading, and no snapshot may name yet. Epochs need not be in it: a table commits one
	// after the other, and those that are not decided are left alone. What is written beside
	// them, as a rewrite is, has to be in it from before the first file on until its outcome is
	// known. Nil: there is none.
	InFlight func() []string
	DryRun   bool
	Now      func() time.Time
	Logger   *slog.Logger
}

// Collector deletes the files of tables that no snapshot names and none ever will. It is used by
// one goroutine, by a daemon that has recovered: every intent that it finds is of attempts that
// are prepared or was already taken up.
type Collector struct {
	cfg     CollectorConfig
	reacher *table.Reacher
	journal *journal
	own     map[string]map[string]bool // unnamed metadata files that are a table's own, by its uuid
}

// NewCollector opens the collector's journal.
func NewCollector(cfg CollectorConfig) (*Collector, error) {
	j, damaged, err := openJournal(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("journal of garbage: %w", err)
	}
	if damaged != nil {
		cfg.Logger.Warn("the journal of garbage starts anew, and every grace", "err", damaged)
	}
	return &Collector{cfg: cfg, reacher: table.NewReacher(cfg.Tables), journal: j, own: map[string]map[string]bool{}}, nil
}

// GarbageReport is what one round came to.
type GarbageReport struct {
	Removed      int   // files
	RemovedBytes int64 // of those
	Waiting      int   // files of garbage that are there still
	WaitingBytes int64
	Tables       []TableGarbage
}

// TableGarbage is what one round came to in one table.
type TableGarbage struct {
	Name    table.Name
	Removed []Garbage
	Waiting []Garbage
	Stay    map[Verdict]int // files, by why they stay
}

// Collect looks through tables once. One that cannot be read now is passed over, and named in
// the error; after ErrNotOwner nothing more is deleted.
func (c *Collector) Collect(ctx context.Context, names []table.Name) (GarbageReport, error) {
	c.journal.tick(c.cfg.Now(), intervalsAStep*c.cfg.Interval)
	var report GarbageReport
	var errs []error
	for _, n := range names {
		t, err := c.table(ctx, n)
		report.add(t)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", n, err))
		}
		if errors.Is(err, ErrNotOwner) || ctx.Err() != nil {
			break
		}
	}
	if err := c.journal.save(c.cfg.Dir); err != nil {
		errs = append(errs, fmt.Errorf("journal of garbage: %w", err))
	}
	return report, errors.Join(errs...)
}

func (r *GarbageReport) add(t TableGarbage) {
	for _, g := range t.Removed {
		r.Removed++
		r.RemovedBytes += g.Bytes
	}
	for _, g := range t.Waiting {
		r.Waiting++
		r.WaitingBytes += g.Bytes
	}
	r.Tables = append(r.Tables, t)
}

// table looks through one table. What is listed was written before the facts were asked for.
func (c *Collector) table(ctx context.Context, n table.Name) (TableGarbage, error) {
	out := TableGarbage{Name: n}
	reach, err := c.reacher.Reach(ctx, n) // for the location
	if err != nil || reach == nil {
		return out, err
	}
	objects, err := c.list(ctx, reach.Location)
	if err != nil {
		return out, err
	}
	f, reach, err := c.facts(ctx, n)
	if err != nil || f == nil {
		return out, err
	}
	id := reach.UUID.String()
	p := planGarbage(objects, f, c.journal.Tables[id], c.journal.Clock, c.cfg.Grace)
	c.journal.note(id, p.seen)
	out.Stay, out.Waiting = p.stay, append(p.wait, p.remove...)
	if c.cfg.DryRun || len(p.remove) == 0 {
		return out, nil
	}
	if err := c.alone(ctx, objects, reach); err != nil {
		return out, err
	}
	out.Removed, err = c.remove(ctx, n, p.remove[:min(len(p.remove), mostRemoved)])
	out.Waiting = append(p.wait, p.remove[len(out.Removed):]...)
	return out, err
}

// list lists the files in the two directories that ours are in.
func (c *Collector) list(ctx context.Context, location string) ([]fileio.Object, error) {
	var out []fileio.Object
	for _, dir := range []string{"/data/", "/metadata/"} {
		for o, err := range c.cfg.Tables.Objects().List(ctx, location+dir) {
			if err != nil {
				return nil, fmt.Errorf("list %s: %w", location+dir, err)
			}
			out = append(out, o)
		}
	}
	return out, nil
}

// facts asks what decides about a table's files: first for what is in flight and in intents,
// then for the metadata, so that what lands in between is in one of them. It gives nil for a
// table that is gone, or not ours yet.
func (c *Collector) facts(ctx context.Context, n table.Name) (*facts, *table.Reach, error) {
	f := &facts{fence: c.cfg.Fence, noted: map[string]bool{}, inFlight: map[string]bool{}}
	if c.cfg.InFlight != nil {
		for _, stem := range c.cfg.InFlight() {
			f.inFlight[stem] = true
		}
	}
	if err := c.intents(ctx, n, f.noted); err != nil {
		return nil, nil, err
	}
	reach, err := c.reacher.Reach(ctx, n)
	if err != nil || reach == nil {
		return nil, nil, err
	}
	switch {
	case mutated("gczombie"): // it does not look who owns the table
	case reach.Fence > c.cfg.Fence:
		return nil, nil, fmt.Errorf("%w: fence %d is in force, ours is %d", ErrNotOwner, reach.Fence, c.cfg.Fence)
	case reach.Fence < c.cfg.Fence:
		return nil, nil, nil
	}
	f.location, f.named = reach.Location, reach.Names
	f.mark.fence, f.mark.epoch = reach.Mark.Fence, reach.Mark.Epoch
	return f, reach, nil
}

// intents notes the files that a table's intents name.
func (c *Collector) intents(ctx context.Context, n table.Name, noted map[string]bool) error {
	if c.cfg.Tables.Intents == "" {
		return nil
	}
	store := c.cfg.Tables.Objects()
	for o, err := range store.List(ctx, table.IntentsOf(c.cfg.Tables.Intents, n)) {
		if err != nil {
			return fmt.Errorf("list intents: %w", err)
		}
		content, _, err := store.Read(ctx, o.Name)
		if errors.Is(err, fs.ErrNotExist) { // settled since it was listed
			continue
		}
		if err != nil {
			return fmt.Errorf("read an intent: %w", err)
		}
		i, err := table.ReadIntent(content)
		if err != nil {
			return fmt.Errorf("%s: %w", o.Name, err)
		}
		for _, file := range i.Files {
			noted[base(file.Path)] = true
		}
		for _, m := range i.Manifest {
			noted[base(m.Path)] = true
		}
	}
	return nil
}

func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// alone makes sure that no other table is at a location: one that was renamed keeps its files
// where they are, and one that is made under its old name has the same location. A metadata file
// that is not whole is nobody's: a catalog names one only after it was written. It may be on
// its way, so it is looked at again.
func (c *Collector) alone(ctx context.Context, objects []fileio.Object, reach *table.Reach) error {
	id, own, read := reach.UUID.String(), map[string]bool{}, 0
	defer func() { c.own[id] = own }() // where there are too many for one round, the next one goes on
	for _, o := range objects {
		name := base(o.Name)
		if !strings.HasSuffix(name, ".metadata.json") || reach.Names(name) {
			continue
		}
		if c.own[id][name] {
			own[name] = true
			continue
		}
		if read++; read > mostForeignMetadata {
			return fmt.Errorf("%w: more than %d metadata files are not looked at yet", ErrShared, mostForeignMetadata)
		}
		content, _, err := c.cfg.Tables.Objects().Read(ctx, o.Name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var meta struct {
			UUID string `json:"table-uuid"`
		}
		if err == nil {
			err = json.NewDecoder(bytes.NewReader(content)).Decode(&meta)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", o.Name, err)
		}
		if meta.UUID != id {
			return fmt.Errorf("%w: %s", ErrShared, o.Name)
		}
		own[name] = true
	}
	return nil
}

// remove deletes files, oldest garbage first. Before each part of them everything that decides
// is asked anew: somebody may have set main back or tagged a snapshot, or taken the pipeline
// over. It gives what it deleted.
func (c *Collector) remove(ctx context.Context, n table.Name, planned []Garbage) ([]Garbage, error) {
	var out []Garbage
	for len(planned) > 0 {
		part := planned[:min(len(planned), recheckAfter)]
		planned = planned[len(part):]
		f, _, err := c.facts(ctx, n)
		if err != nil || f == nil {
			return out, err
		}
		sure := confirm(part, f)
		if err := record(c.cfg.Dir, c.lines(n, sure)); err != nil {
			return out, fmt.Errorf("record of removed files: %w", err)
		}
		if err := c.delete(ctx, sure); err != nil {
			return out, err
		}
		out = append(out, sure...)
	}
	return out, nil
}

func (c *Collector) lines(n table.Name, files []Garbage) []removal {
	out := make([]removal, len(files))
	for i, g := range files {
		out[i] = removal{
			At: c.cfg.Now().UTC(), Table: n.String(), File: g.Path, Bytes: g.Bytes, Reason: g.Reason,
			Waited: (c.journal.Clock - g.Since).Seconds(), Fence: c.cfg.Fence,
		}
	}
	return out
}

func (c *Collector) delete(ctx context.Context, files []Garbage) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelRemovals)
	for _, f := range files {
		g.Go(func() error {
			if err := c.cfg.Tables.Objects().Remove(gctx, f.Path); err != nil {
				return fmt.Errorf("remove garbage: %w", err)
			}
			return nil
		})
	}
	return g.Wait()
}
