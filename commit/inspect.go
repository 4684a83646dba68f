package commit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"cdcd/table"
)

// Inspecting is what Inspect looks at.
type Inspecting struct {
	Tables    table.Config
	Warehouse string // its location
	Control   table.Name
	Names     []table.Name // of tables, but not the control table
	Any       bool         // the tables may be anybody's: those that are not ours are passed over
	Now       time.Time
}

// Inspection is the state of a pipeline as the lake and the store show it, whether or not a
// daemon runs. The parts are read one after the other: beside a daemon they may be of
// different moments. What could not be read is among the Problems, and hides nothing else.
type Inspection struct {
	Pipeline string        `json:"pipeline"`
	Lease    *LeaseState   `json:"lease"` // nil: nobody ever took it
	Fences   FenceState    `json:"fences"`
	Tables   []TableState  `json:"tables"`
	Cuts     []CutState    `json:"cuts"`    // oldest first
	Records  []RecordState `json:"records"` // of the control table, of other kinds
	Intents  []IntentState `json:"intents"`
	Problems []Trouble     `json:"problems"`
}

// LeaseState is who owns the pipeline.
type LeaseState struct {
	Owner    string    `json:"owner"`
	Renewed  time.Time `json:"renewed"`
	Released bool      `json:"released"`
	Age      float64   `json:"age_seconds"`
	Fresh    bool      `json:"fresh"` // nobody else takes it now without being told to
}

// FenceState is which number every place holds. They differ while a daemon takes over, and
// after one that ended while it did.
type FenceState struct {
	Recorded int64 `json:"recorded"` // the newest record in the control table; 0: none
	Control  int64 `json:"control"`  // of the control table
	Agree    bool  `json:"agree"`    // all tables hold the control table's
}

// TableState is a table's part in the pipeline.
type TableState struct {
	Table     string         `json:"table"`
	Fence     int64          `json:"fence"`
	Snapshot  int64          `json:"snapshot"` // of main
	Mark      *MarkState     `json:"mark"`
	Tag       int64          `json:"tag_snapshot"`
	Property  int64          `json:"property_snapshot"`
	Agree     bool           `json:"agree"` // tag and properties name the Mark's snapshot
	Foreign   []ForeignState `json:"foreign"`
	Snapshots int            `json:"snapshots"`
	InDoubt   int            `json:"in_doubt"` // Intents
}

// MarkState is the newest Mark on main.
type MarkState struct {
	Snapshot int64      `json:"snapshot"`
	Pipeline string     `json:"pipeline"`
	Timeline int64      `json:"timeline"`
	Fence    int64      `json:"fence"`
	Epoch    int64      `json:"epoch"`
	Position string     `json:"position"`
	Commit   *time.Time `json:"commit_time,omitempty"`
	Last     string     `json:"last_transaction,omitempty"` // as in the table
	Loaded   bool       `json:"loaded"`
	Ranges   int        `json:"loaded_ranges,omitempty"`
}

// ForeignState is a snapshot on main in front of the Mark.
type ForeignState struct {
	Snapshot  int64     `json:"snapshot"`
	Operation string    `json:"operation"`
	Time      time.Time `json:"time"`
}

// Trouble is something that is not in order.
type Trouble struct {
	Table  string `json:"table,omitempty"`
	What   string `json:"what"`
	Repair string `json:"repair,omitempty"` // a command
	Human  bool   `json:"human"`            // nothing goes on until a person acts
}

// Inspect looks at everything that the protocol keeps. It writes nothing.
func Inspect(ctx context.Context, in Inspecting) *Inspection {
	out := &Inspection{Pipeline: in.Tables.Pipeline}
	out.Lease = out.readLease(ctx, in)
	intents := out.readIntents(ctx, in)
	control, records := out.readRecords(ctx, in)
	tables := map[string]*table.Inspection{}
	for _, n := range in.Names {
		if t := out.inspect(ctx, in.Tables, n, in.Any); t != nil {
			tables[n.String()] = t
			out.Tables = append(out.Tables, tableState(t))
		}
	}
	if control != nil {
		out.Tables = append(out.Tables, tableState(control))
		tables[control.Name.String()] = control
	}
	out.Fences = fencesOf(control, records, out.Tables)
	out.Cuts, out.Records = cutsOf(records, tables), othersOf(records)
	out.Intents = judgeIntents(intents, tables)
	for i := range out.Tables {
		for _, x := range out.Intents {
			if x.Table == out.Tables[i].Table && x.State == IntentInDoubt {
				out.Tables[i].InDoubt++
			}
		}
	}
	return out
}

// fail notes what could not be read.
func (o *Inspection) fail(table string, err error) {
	o.Problems = append(o.Problems, Trouble{Table: table, What: err.Error()})
}

func (o *Inspection) readLease(ctx context.Context, in Inspecting) *LeaseState {
	name := besideTables(in.Warehouse, in.Tables.Pipeline) + leaseObject
	content, _, err := in.Tables.Objects().Read(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var r leaseRecord
	if err == nil {
		err = json.Unmarshal(content, &r)
	}
	if err != nil {
		o.fail("", fmt.Errorf("read the lease %s: %w", name, err))
		return nil
	}
	age := in.Now.Sub(r.Renewed)
	return &LeaseState{Owner: r.Owner, Renewed: r.Renewed, Released: r.Released, Age: age.Seconds(), Fresh: !r.Released && age.Abs() < LeaseTime}
}

// readRecords reads the control table, also where it was set back.
func (o *Inspection) readRecords(ctx context.Context, in Inspecting) (*table.Inspection, []record) {
	control := o.inspect(ctx, in.Tables, in.Control, false)
	if control == nil {
		return nil, nil
	}
	records, err := readControl(ctx, control)
	if err != nil {
		o.fail(in.Control.String(), err)
	}
	return control, records
}

// inspect looks at a table. Its trouble is noted with the command that repairs it.
func (o *Inspection) inspect(ctx context.Context, cfg table.Config, n table.Name, anybody bool) *table.Inspection {
	t, err := table.Inspect(ctx, cfg, n)
	if t != nil && err == nil {
		err = notOurs(t.Trouble)
	}
	switch {
	case anybody && (t == nil && err == nil || notOurs(err) != nil || errors.Is(err, table.ErrCatalogAccess)):
		return nil
	case err != nil:
		o.fail(n.String(), err)
		return nil
	case t == nil:
		o.fail(n.String(), errors.New("there is no such table in the lake"))
		return nil
	case t.Trouble != nil:
		what := strings.TrimPrefix(t.Trouble.Error(), n.String()+": ")
		o.Problems = append(o.Problems, Trouble{Table: n.String(), What: what, Repair: "cdcd adopt " + n.String(), Human: true})
	case t.Quarantine != nil && !t.Quarantine.Dropped():
		what := "quarantined: " + t.Quarantine.Reason
		if t.Quarantine.GTID != "" {
			what = "quarantined before " + t.Quarantine.GTID + ": " + t.Quarantine.Reason
		}
		o.Problems = append(o.Problems, Trouble{Table: n.String(), What: what, Repair: "cdcd resnapshot " + n.String(), Human: true})
	}
	return t
}

// notOurs gives an error that says that a table is not of this pipeline, and no other.
func notOurs(err error) error {
	if errors.Is(err, table.ErrNotOurs) || errors.Is(err, table.ErrOtherPipeline) {
		return err
	}
	return nil
}

// tableState says what an inspected table is in.
func tableState(t *table.Inspection) TableState {
	s := TableState{
		Table: t.Name.String(), Fence: t.Fence, Snapshot: t.Snapshot, Tag: t.Tag, Property: t.Property, Agree: t.Agree(), Snapshots: len(t.Retained),
	}
	for _, f := range t.Foreign {
		s.Foreign = append(s.Foreign, ForeignState(f))
	}
	if t.Mark == nil {
		return s
	}
	m := t.Mark.Mark
	s.Mark = &MarkState{
		Snapshot: t.Mark.Snapshot, Pipeline: m.Pipeline, Timeline: m.Timeline, Fence: m.Fence, Epoch: m.Epoch,
		Position: m.Position.String(), Loaded: m.Load.Complete, Ranges: len(m.Load.Done),
	}
	if !m.Committed.IsZero() {
		s.Mark.Commit = &m.Committed
	}
	if !m.Last.IsZero() {
		s.Mark.Last = m.Last.String()
	}
	return s
}

// fencesOf compares the numbers of all places.
func fencesOf(control *table.Inspection, records []record, tables []TableState) FenceState {
	f := FenceState{Agree: control != nil}
	for _, r := range records {
		if r.kind == kindFence {
			f.Recorded = max(f.Recorded, r.number)
		}
	}
	if control != nil {
		f.Control = control.Fence
	}
	for _, t := range tables {
		f.Agree = f.Agree && t.Fence == f.Control
	}
	f.Agree = f.Agree && f.Recorded == f.Control
	return f
}
