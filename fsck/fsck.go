package fsck

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"cdcd/table"
	"cdcd/table/fileio"
)

// Lake is what is needed of a catalog.
type Lake interface {
	Metadata(ctx context.Context, n table.Name) (location string, content []byte, ok bool, err error)
}

// Config says what to check.
type Config struct {
	Lake   Lake
	Store  fileio.Store
	Tables []table.Name
	// Cuts reads the cuts that are published; nil: none are checked.
	Cuts func(ctx context.Context) ([]Cut, error)
	// Keys checks that no key is live twice, which reads the key columns of all rows.
	Keys    bool
	Scratch string // directory for that
	// Progress is told what is being done.
	Progress func(line string)
}

// Cut is a cut as its records name it.
type Cut struct {
	Number  int64
	Members []CutMember
}

// CutMember is a table's part of a cut.
type CutMember struct {
	Table    string
	Snapshot int64
	Position string
}

// Finding is a rule that is broken.
type Finding struct {
	Rule     string `json:"rule"`
	Table    string `json:"table"`
	Snapshot int64  `json:"snapshot,omitempty"` // the newest that it shows in; 0: it is of the table
	Cut      int64  `json:"cut,omitempty"`
	Object   string `json:"object,omitempty"` // a file's name
	What     string `json:"what"`
}

// String renders a finding for people.
func (f Finding) String() string {
	text := f.Table + ": " + f.Rule + ": " + f.What
	if f.Snapshot != 0 {
		text += fmt.Sprintf(", snapshot %d", f.Snapshot)
	}
	if f.Object != "" {
		text += ": " + f.Object
	}
	return text
}

// The rules, as in the package's documentation.
const (
	ruleMissing    = "missing"
	ruleLength     = "length"
	ruleUnreadable = "unreadable"
	ruleTwice      = "twice"
	ruleVector     = "vector"
	ruleLineage    = "lineage"
	ruleCounts     = "counts"
	ruleHistory    = "history"
	rulePosition   = "position"
	ruleTimeline   = "timeline"
	ruleBase       = "base"
	ruleFence      = "fence"
	ruleMark       = "mark"
	ruleForeign    = "foreign"
	ruleKey        = "key"
	ruleCut        = "cut"
)

// Result is what was looked at in a table and what was found.
type Result struct {
	Table     string    `json:"table"`
	Snapshots int       `json:"snapshots"`
	Manifests int       `json:"manifests"`
	DataFiles int       `json:"data_files"`
	Vectors   int       `json:"vectors"`
	Bytes     int64     `json:"bytes"` // of data files and vectors
	Keys      *int64    `json:"keys,omitempty"`
	Debris    Debris    `json:"debris"`
	Findings  []Finding `json:"findings"`
	// Error is why the table could not be checked, or not all of it.
	Error string `json:"error,omitempty"`
}

// Report is the outcome.
type Report struct {
	Tables []Result  `json:"tables"`
	Cuts   int       `json:"cuts"`
	Broken []Finding `json:"broken_cuts"`
	Error  string    `json:"error,omitempty"` // why the cuts could not be checked
}

// parallel bounds the requests to the store that are open at the same time.
const parallel = 16

// checked is a table in the hands of a check.
type checked struct {
	name     table.Name
	location string // of the metadata file
	meta     *metadata
	result   Result
}

// Tables checks tables, and the cuts over them.
func Tables(ctx context.Context, cfg Config) (*Report, error) {
	out := &Report{}
	var cuts []Cut
	if cfg.Cuts != nil { // before the tables: what a cut names is older than what they show
		var err error
		if cuts, err = cfg.Cuts(ctx); err != nil {
			out.Error = err.Error()
		}
		out.Cuts = len(cuts)
	}
	metas := map[string]*metadata{}
	for i, n := range cfg.Tables {
		cfg.Progress(fmt.Sprintf("table %d of %d: %s", i+1, len(cfg.Tables), n))
		c := &checked{name: n, result: Result{Table: n.String()}}
		err := c.check(ctx, cfg)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			c.result.Error = err.Error()
		}
		if c.meta != nil {
			metas[n.String()] = c.meta
		}
		out.Tables = append(out.Tables, c.result)
	}
	out.Broken = checkCuts(cuts, metas, cfg.Tables)
	return out, out.settleCuts(ctx, cfg)
}

// check checks one table. An error leaves it open whether the table is in order.
func (c *checked) check(ctx context.Context, cfg Config) error {
	if err := c.load(ctx, cfg); err != nil {
		return err
	}
	return errors.Join(c.examine(ctx, cfg), c.settle(ctx, cfg)) // what stood in the way may be an expired snapshot's
}

// examine applies all rules to the table as it was loaded.
func (c *checked) examine(ctx context.Context, cfg Config) error {
	c.add(checkHistory(c.meta)...)
	r := newReader(cfg.Store)
	if err := r.readAll(ctx, c.meta); err != nil {
		return err
	}
	c.add(r.findings...)
	for i := range c.meta.Snapshots {
		s := &c.meta.Snapshots[i]
		if list, ok := r.lists[s.ID]; ok {
			c.add(checkSnapshot(c.meta, s, list, r.manifests)...)
		}
	}
	c.add(checkShrunk(c.meta, r)...)
	used := r.files(c.meta)
	if err := c.checkFiles(ctx, cfg, used, r); err != nil {
		return err
	}
	found, err := r.checkVectors(ctx, used)
	c.add(found...)
	if err != nil {
		return err
	}
	c.count(r, used)
	return c.checkKeys(ctx, cfg, r)
}

// load reads the table's metadata.
func (c *checked) load(ctx context.Context, cfg Config) error {
	location, content, ok, err := cfg.Lake.Metadata(ctx, c.name)
	switch {
	case err != nil:
		return fmt.Errorf("read the metadata of %s: %w", c.name, err)
	case !ok:
		return errors.New("there is no such table in the lake")
	}
	c.location = location
	if c.meta, err = parseMetadata(content); err != nil {
		return fmt.Errorf("metadata file %s: %w", location, err)
	}
	return nil
}

func (c *checked) add(found ...Finding) {
	for _, f := range found {
		f.Table = c.name.String()
		c.result.Findings = append(c.result.Findings, f)
	}
}

func (c *checked) count(r *reader, used map[string]*usedFile) {
	c.result.Snapshots, c.result.Manifests = len(c.meta.Snapshots), len(r.manifests)
	for _, f := range used {
		c.result.Bytes += f.bytes
		if f.vector != nil {
			c.result.Vectors++
		} else {
			c.result.DataFiles++
		}
	}
}

// settle drops what was found in snapshots that are gone by now: a daemon expires them, and
// what only they named may go too.
func (c *checked) settle(ctx context.Context, cfg Config) error {
	slices.SortStableFunc(c.result.Findings, func(a, b Finding) int { return cmp.Compare(a.Rule, b.Rule) })
	if len(c.result.Findings) == 0 {
		return nil
	}
	now := &checked{name: c.name}
	if err := now.load(ctx, cfg); err != nil {
		return err
	}
	c.result.Findings = slices.DeleteFunc(c.result.Findings, func(f Finding) bool {
		return f.Snapshot != 0 && c.meta.byID[f.Snapshot] != nil && now.meta.byID[f.Snapshot] == nil
	})
	return nil
}

// settleCuts drops what was found in cuts that are withdrawn by now.
func (r *Report) settleCuts(ctx context.Context, cfg Config) error {
	if len(r.Broken) == 0 {
		return nil
	}
	cuts, err := cfg.Cuts(ctx)
	if err != nil {
		return err
	}
	published := map[int64]bool{}
	for _, c := range cuts {
		published[c.Number] = true
	}
	r.Broken = slices.DeleteFunc(r.Broken, func(f Finding) bool { return !published[f.Cut] })
	return nil
}
