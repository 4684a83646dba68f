package fsck

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"cdcd/capture"
)

// The names that the checks know, written down once more: see the package's documentation.
const (
	branchMain  = "main"
	branchFence = "cdcd_fence"
	tagPosition = "cdcd_pos"

	keyTimeline = "cdcd.timeline"
	keyFence    = "cdcd.fence"
	keyFlavor   = "cdcd.source"
	keyPosition = "cdcd.position"
	keySnapshot = "cdcd.position-snapshot"
	keySource   = "cdcd.source-table"
	keySetBack  = "cdcd.set-back"
	keyPrefix   = "cdcd."

	columnCopy = "_cdcd_copy"
)

// metadata is what the checks need of a table's metadata file.
type metadata struct {
	Version      int               `json:"format-version"`
	Location     string            `json:"location"`
	LastSequence int64             `json:"last-sequence-number"`
	NextRow      int64             `json:"next-row-id"`
	Current      int64             `json:"current-snapshot-id"`
	Schema       int               `json:"current-schema-id"`
	Schemas      []schema          `json:"schemas"`
	Snapshots    []snapshot        `json:"snapshots"`
	Refs         map[string]ref    `json:"refs"`
	Properties   map[string]string `json:"properties"`
	Previous     []struct {
		File string `json:"metadata-file"`
	} `json:"metadata-log"`
	// lineage is the sequence number of the first retained snapshot with row ids: from there on
	// the table was of version 3.
	lineage int64
	byID    map[int64]*snapshot
	main    []*snapshot // main's history as far as it is retained, newest first
}

type schema struct {
	ID     int `json:"schema-id"`
	Fields []struct {
		ID   int    `json:"id"`
		Name string `json:"name"`
	} `json:"fields"`
}

type ref struct {
	Snapshot int64  `json:"snapshot-id"`
	Type     string `json:"type"`
}

// snapshot is a retained snapshot.
type snapshot struct {
	ID        int64             `json:"snapshot-id"`
	Parent    int64             `json:"parent-snapshot-id"` // 0: none
	Sequence  int64             `json:"sequence-number"`
	List      string            `json:"manifest-list"`
	FirstRow  *int64            `json:"first-row-id"`
	AddedRows *int64            `json:"added-rows"`
	Summary   map[string]string `json:"summary"`
	mark      *mark             // nil: it carries none
	broken    error             // of reading its Mark
}

// mark is what the checks need of a Mark.
type mark struct {
	timeline, fence int64
	position        capture.Position
}

func parseMetadata(content []byte) (*metadata, error) {
	m := &metadata{byID: map[int64]*snapshot{}, lineage: math.MaxInt64}
	if err := json.Unmarshal(content, m); err != nil {
		return nil, err
	}
	if m.Version == 0 || m.Location == "" {
		return nil, errors.New("it is no table's metadata")
	}
	for i := range m.Snapshots {
		s := &m.Snapshots[i]
		s.mark, s.broken = parseMark(s.Summary)
		m.byID[s.ID] = s
		if s.FirstRow != nil {
			m.lineage = min(m.lineage, s.Sequence)
		}
	}
	seen := map[int64]bool{}
	for s := m.byID[m.Current]; s != nil && !seen[s.ID]; s = m.byID[s.Parent] {
		seen[s.ID] = true
		m.main = append(m.main, s)
	}
	return m, nil
}

// parseMark reads the Mark of a summary, nil where there is none.
func parseMark(p map[string]string) (*mark, error) {
	text, ok := p[keyPosition]
	if !ok {
		return nil, nil
	}
	flavor := capture.MySQL
	if p[keyFlavor] == "mariadb" {
		flavor = capture.MariaDB
	}
	position, err := capture.ParsePosition(flavor, text)
	if err != nil {
		return nil, err
	}
	m := &mark{position: position}
	for key, to := range map[string]*int64{keyTimeline: &m.timeline, keyFence: &m.fence} {
		if *to, err = strconv.ParseInt(p[key], 10, 64); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	return m, nil
}

// accepted is the sequence number up to which an operator accepted what others had done;
// 0: there was no need.
func (m *metadata) accepted() int64 {
	n, err := strconv.ParseInt(m.Properties[keySetBack], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// fence is the number on the fence branch; 0: there is none.
func (m *metadata) fence() int64 {
	s := m.byID[m.Refs[branchFence].Snapshot]
	if s == nil {
		return 0
	}
	n, err := strconv.ParseInt(s.Summary[keyFence], 10, 64)
	if err != nil {
		return 0
	}
	return n
}
