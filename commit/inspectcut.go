package commit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"cdcd/table"
)

// CutState is a cut and what is left of it.
type CutState struct {
	Number    int64      `json:"number"`
	Position  string     `json:"position"`
	Timeline  int64      `json:"timeline"`
	Published *time.Time `json:"published,omitempty"`
	Members   []CutPart  `json:"tables"`
	Retained  bool       `json:"retained"` // every table still has its snapshot
	Tagged    bool       `json:"tagged"`   // and holds it by a ref of its own
}

// CutPart is a table's part of a cut.
type CutPart struct {
	Table    string   `json:"table"`
	Snapshot int64    `json:"snapshot"`
	Position string   `json:"position"`
	Retained bool     `json:"retained"`
	Refs     []string `json:"refs,omitempty"` // on the snapshot, but for main and ours
}

// RecordState is a record of the control table that is neither a fence nor a cut.
type RecordState struct {
	Kind     string     `json:"kind"`
	Number   int64      `json:"number"`
	Table    string     `json:"table,omitempty"`
	Snapshot int64      `json:"snapshot,omitempty"`
	Position string     `json:"position,omitempty"`
	Timeline int64      `json:"timeline"`
	Recorded *time.Time `json:"recorded,omitempty"`
	Owner    string     `json:"owner,omitempty"`
}

// ReadCuts reads the cuts of a pipeline. What is retained of them is not looked at.
func ReadCuts(ctx context.Context, cfg table.Config, control table.Name) ([]CutState, error) {
	t, err := table.Inspect(ctx, cfg, control)
	if err != nil || t == nil {
		return nil, err
	}
	records, err := readControl(ctx, t)
	return cutsOf(records, nil), err
}

// Names lists what a catalog holds.
type Names interface {
	AllTables(ctx context.Context) ([]table.Name, error)
}

// TablesOf gives the tables that belong to a pipeline, its control table among them, in
// whatever state they are.
func TablesOf(ctx context.Context, cfg table.Config, names Names) ([]table.Name, error) {
	all, err := names.AllTables(ctx)
	var out []table.Name
	for _, n := range all {
		t, err := table.Inspect(ctx, cfg, n)
		switch {
		case errors.Is(err, table.ErrCatalogAccess):
		case err != nil:
			return nil, err
		case t != nil && t.Pipeline == cfg.Pipeline:
			out = append(out, n)
		}
	}
	return out, err
}

// cutsOf gathers the cuts among records. A table that is not given counts as lost.
func cutsOf(records []record, tables map[string]*table.Inspection) []CutState {
	byNumber := map[int64]*CutState{}
	for _, r := range records {
		if r.kind != kindCut {
			continue
		}
		c := byNumber[r.number]
		if c == nil {
			c = &CutState{Number: r.number, Position: r.position, Timeline: r.timeline, Published: momentOf(r), Retained: true, Tagged: true}
			byNumber[r.number] = c
		}
		part := cutPart(r, tables[r.table])
		c.Members = append(c.Members, part)
		c.Retained = c.Retained && part.Retained
		c.Tagged = c.Tagged && len(part.Refs) > 0
	}
	out := make([]CutState, 0, len(byNumber))
	for _, c := range byNumber {
		slices.SortFunc(c.Members, func(a, b CutPart) int { return cmp.Compare(a.Table, b.Table) })
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b CutState) int { return cmp.Compare(a.Number, b.Number) })
	return out
}

func cutPart(r record, t *table.Inspection) CutPart {
	p := CutPart{Table: r.table, Snapshot: r.snapshot, Position: r.position}
	if t == nil {
		return p
	}
	p.Retained, p.Refs = t.Retained[r.snapshot], t.Held(r.snapshot)
	return p
}

// othersOf gives the records of kinds that are told by what they hold.
func othersOf(records []record) []RecordState {
	var out []RecordState
	for _, r := range records {
		if r.kind == kindCut || r.kind == kindFence {
			continue
		}
		out = append(out, RecordState{
			Kind: r.kind, Number: r.number, Table: r.table, Snapshot: r.snapshot, Position: r.position, Timeline: r.timeline,
			Recorded: momentOf(r), Owner: r.owner,
		})
	}
	slices.SortFunc(out, func(a, b RecordState) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Number, b.Number))
	})
	return out
}

func momentOf(r record) *time.Time {
	if r.recorded.IsZero() {
		return nil
	}
	at := r.recorded.UTC()
	return &at
}

// What can be said of an Intent.
const (
	IntentInDoubt = "in doubt" // the swap that it announces may still land
	IntentLanded  = "landed"
	IntentDead    = "dead"    // it did not land, and can no more
	IntentSettled = "settled" // it is landed or dead; the table no longer tells which
	IntentUnknown = "unknown" // its name or content tells nothing
)

// IntentState is an Intent in the store.
type IntentState struct {
	Object  string    `json:"object"`
	Table   string    `json:"table"`
	Fence   int64     `json:"fence"`
	Epoch   int64     `json:"epoch"`
	Attempt string    `json:"attempt"`
	Written time.Time `json:"written"`
	State   string    `json:"state"`
}

// intentsListed bounds the Intents that are looked at.
const intentsListed = 1000

// foundIntent is an Intent as the store gives it.
type foundIntent struct {
	IntentState
	path    string // below the pipeline's Intents
	content []byte
}

// readIntents reads the Intents. It is done before the tables are looked at, so that a table
// tells what became of each. An owner removes those that are settled: one that is gone when it
// is read is none.
func (o *Inspection) readIntents(ctx context.Context, in Inspecting) []foundIntent {
	var out []foundIntent
	prefix := IntentsIn(in.Warehouse, in.Tables.Pipeline) + "/"
	for object, err := range in.Tables.Objects().List(ctx, prefix) {
		if err != nil {
			o.fail("", fmt.Errorf("list the intents: %w", err))
			return out
		}
		if len(out) == intentsListed {
			o.fail("", fmt.Errorf("there are more than %d intents below %s", intentsListed, prefix))
			return out
		}
		x := foundIntent{path: strings.TrimPrefix(object.Name, prefix)}
		x.Object, x.Written = object.Name, object.Modified.UTC()
		content, _, err := in.Tables.Objects().Read(ctx, object.Name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			x.parse(nil)
			o.fail(x.Table, fmt.Errorf("read the intent %s: %w", object.Name, err))
		}
		x.content = content
		out = append(out, x)
	}
	return out
}

// judgeIntents says of each Intent what became of it.
func judgeIntents(found []foundIntent, tables map[string]*table.Inspection) []IntentState {
	var out []IntentState
	for _, f := range found {
		t := f.parse(tables)
		f.State = judgeIntent(f.IntentState, f.content, t)
		out = append(out, f.IntentState)
	}
	slices.SortFunc(out, func(a, b IntentState) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Fence, b.Fence), cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Attempt, b.Attempt))
	})
	return out
}

// parse takes an Intent's name apart: <table>/e<fence>-k<epoch>-a<attempt>.json. Names of
// other forms keep what can be told.
func (f *foundIntent) parse(tables map[string]*table.Inspection) *table.Inspection {
	dir, file := path.Split(f.path)
	dir = strings.Trim(dir, "/")
	f.Table = strings.ReplaceAll(dir, "/", ".")
	if _, err := fmt.Sscanf(file, "e%d-k%d-", &f.Fence, &f.Epoch); err == nil {
		_, attempt, _ := strings.Cut(strings.TrimSuffix(file, ".json"), "-a")
		f.Attempt = attempt
	}
	for n, t := range tables {
		if n == f.Table || t.Name.Path() == dir {
			f.Table = n
			return t
		}
	}
	return nil
}

// judgeIntent says what became of the swap that an Intent announces.
func judgeIntent(x IntentState, content []byte, t *table.Inspection) string {
	said, err := table.ReadIntent(content)
	if err != nil || t == nil || x.Fence == 0 || said.Snapshot == 0 {
		return IntentUnknown
	}
	_, landed := t.Main[said.Snapshot]
	_, baseKept := t.Main[said.Base]
	switch {
	case landed:
		return IntentLanded
	case x.Fence >= t.Fence && said.Base == t.Snapshot:
		return IntentInDoubt
	case baseKept:
		return IntentDead
	}
	return IntentSettled
}
