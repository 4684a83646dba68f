package table

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"cdcd/capture"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

// Mark is the position record of a snapshot: which source transactions its rows stand for.
type Mark struct {
	Pipeline string
	Timeline int64 // counts rewinds; positions compare only inside one
	Fence    int64 // of the daemon that wrote the snapshot
	Epoch    int64
	Position capture.Position
	// Committed is the commit time of the newest source transaction in Position.
	Committed time.Time
	// Last is of a transaction in Position, a late one; zero where none is known. A start asks the
	// source for it.
	Last capture.Witness
	Load Load
}

// Load is how far a table's initial load has come.
type Load struct {
	Complete bool            `json:"complete"`
	Done     []capture.Range `json:"done,omitempty"` // in key order, not touching; empty once complete
}

// The keys of a Mark in a snapshot's summary.
const (
	keyPipeline  = "cdcd.pipeline"
	keyTimeline  = "cdcd.timeline"
	keyFence     = "cdcd.fence"
	keyEpoch     = "cdcd.epoch"
	keyFlavor    = "cdcd.source"
	keyPosition  = "cdcd.position"
	keyCommitted = "cdcd.commit-time"
	keyLast      = "cdcd.last-transaction"
	keyLoad      = "cdcd.load"
)

// The keys of table properties. A Mark's keys are repeated there as they are.
const (
	keySnapshot = "cdcd.position-snapshot" // the snapshot that carries the repeated Mark
	keySource   = "cdcd.source-table"      // the captured table's shape and options
	keySetBack  = "cdcd.set-back"          // the sequence number at which main was last set back or adopted

	keyQuarantine = "cdcd.quarantine"        // why the table is not replicated any more
	keyLoadSource = "cdcd.load-source-table" // keySource of a load anew
)

// flavors names the server families in marks.
func flavorName(f capture.Flavor) string {
	if f == capture.MariaDB {
		return "mariadb"
	}
	return "mysql"
}

// properties renders the Mark for a summary or for table properties.
func (m Mark) properties() (iceberg.Properties, error) {
	load, err := json.Marshal(m.Load)
	if err != nil {
		return nil, err
	}
	p := iceberg.Properties{
		keyPipeline: m.Pipeline,
		keyTimeline: strconv.FormatInt(m.Timeline, 10),
		keyFence:    strconv.FormatInt(m.Fence, 10),
		keyEpoch:    strconv.FormatInt(m.Epoch, 10),
		keyFlavor:   flavorName(m.Position.Flavor()),
		keyPosition: m.Position.String(),
		keyLoad:     string(load),
	}
	if !m.Committed.IsZero() {
		p[keyCommitted] = m.Committed.UTC().Format(time.RFC3339Nano)
	}
	if !m.Last.IsZero() {
		if !m.Position.Contains(m.Last.GTID) {
			panic(fmt.Sprintf("table: the Mark's transaction %s is not in its position %s", m.Last, m.Position))
		}
		p[keyLast] = m.Last.String()
	}
	return p, nil
}

// parseMark reads what properties wrote. ok is false where there is no Mark.
func parseMark(p iceberg.Properties) (m Mark, ok bool, err error) {
	if _, ok := p[keyPosition]; !ok {
		return Mark{}, false, nil
	}
	m.Pipeline = p[keyPipeline]
	for key, to := range map[string]*int64{keyTimeline: &m.Timeline, keyFence: &m.Fence, keyEpoch: &m.Epoch} {
		if *to, err = strconv.ParseInt(p[key], 10, 64); err != nil {
			return Mark{}, false, fmt.Errorf("%s: %w", key, err)
		}
	}
	flavor := capture.MySQL
	switch p[keyFlavor] {
	case "mysql":
	case "mariadb":
		flavor = capture.MariaDB
	default:
		return Mark{}, false, fmt.Errorf("%s %q is not known", keyFlavor, p[keyFlavor])
	}
	if m.Position, err = capture.ParsePosition(flavor, p[keyPosition]); err != nil {
		return Mark{}, false, err
	}
	if err := json.Unmarshal([]byte(p[keyLoad]), &m.Load); err != nil {
		return Mark{}, false, fmt.Errorf("%s: %w", keyLoad, err)
	}
	if text, ok := p[keyCommitted]; ok {
		if m.Committed, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return Mark{}, false, fmt.Errorf("%s: %w", keyCommitted, err)
		}
	}
	if text, ok := p[keyLast]; ok {
		if m.Last, err = capture.ParseWitness(text); err != nil {
			return Mark{}, false, fmt.Errorf("%s: %w", keyLast, err)
		}
	}
	return m, true, nil
}

// markOf reads the Mark of a snapshot.
func markOf(s *icetable.Snapshot) (Mark, bool, error) {
	if s.Summary == nil {
		return Mark{}, false, nil
	}
	m, ok, err := parseMark(s.Summary.Properties)
	if err != nil {
		return Mark{}, false, fmt.Errorf("%w: snapshot %d: %w", ErrCorrupt, s.SnapshotID, err)
	}
	return m, ok, nil
}
