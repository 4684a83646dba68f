package table

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"cdcd/table/datafile"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

// Storage is how the rows of a table are kept in files, as the user wants it. Unlike a
// [Source] it may change: [PrepareStorage] brings a table to it. The zero value is a table
// about which nothing is said.
type Storage struct {
	Partition      []PartitionField
	Properties     map[string]string // of Iceberg, beside those that every table of ours has
	NoLineage      bool              // a row gets a new _row_id with each change
	TargetFileSize int64             // in bytes; 0: DefaultTargetFileSize
	Place          string            // in the configuration, for messages: tables[2]
}

// DefaultTargetFileSize is how large a data file may get, about.
const DefaultTargetFileSize = 256 << 20

// The keys of table properties that come from a Storage.
const (
	keyLineage    = "cdcd.lineage"    // off: rows get new ids with each change
	keyConfigured = "cdcd.configured" // the names of the properties that the configuration set
)

// targetSizeProperty is Iceberg's: engines that rewrite files go by it, too.
const targetSizeProperty = "write.target-file-size-bytes"

// lineageOff is the only value of keyLineage.
const lineageOff = "off"

// basicProperties are what every table is created with. A configured property may take the
// place of the last one only.
func basicProperties() iceberg.Properties {
	return iceberg.Properties{
		"format-version":    "3",
		"write.delete.mode": "merge-on-read", "write.update.mode": "merge-on-read", "write.merge.mode": "merge-on-read", "write.delete.granularity": "file",
		"write.metadata.delete-after-commit.enabled": "true", "write.metadata.previous-versions-max": fmt.Sprint(previousVersions),
		"write.parquet.compression-codec": "zstd",
	}
}

// properties are those that a table has because the configuration says so.
func (s Storage) properties() iceberg.Properties {
	p := iceberg.Properties{}
	maps.Copy(p, s.Properties)
	if s.NoLineage {
		p[keyLineage] = lineageOff
	}
	if s.TargetFileSize != 0 && s.TargetFileSize != DefaultTargetFileSize {
		p[targetSizeProperty] = strconv.FormatInt(s.TargetFileSize, 10)
	}
	return p
}

// created gives the properties of a new table.
func (s Storage) created() (iceberg.Properties, error) {
	all, own := basicProperties(), s.properties()
	maps.Copy(all, own)
	if len(own) > 0 {
		names, err := json.Marshal(slices.Sorted(maps.Keys(own)))
		if err != nil {
			return nil, err
		}
		all[keyConfigured] = string(names)
	}
	return all, nil
}

// propertyChange is what a table's properties lack.
type propertyChange struct {
	set    iceberg.Properties
	remove []string
}

func (c propertyChange) empty() bool { return len(c.set) == 0 && len(c.remove) == 0 }

// change compares a table's properties with what they should be. What a configuration before
// has set and this one does not goes, or goes back to what it was at creation.
func (s Storage) change(now iceberg.Properties) (propertyChange, error) {
	c := propertyChange{set: iceberg.Properties{}}
	want, err := s.created()
	if err != nil {
		return c, err
	}
	var before []string
	if text, ok := now[keyConfigured]; ok {
		if err := json.Unmarshal([]byte(text), &before); err != nil {
			return c, fmt.Errorf("%w: %s: %w", ErrCorrupt, keyConfigured, err)
		}
		before = append(before, keyConfigured)
	}
	own := s.properties()
	for name, value := range want {
		_, configured := own[name]
		if (configured || name == keyConfigured || slices.Contains(before, name)) && now[name] != value {
			c.set[name] = value
		}
	}
	for _, name := range before {
		if _, wanted := want[name]; !wanted {
			c.remove = append(c.remove, name)
		}
	}
	return c, nil
}

// Check tells why a source table's lake table cannot be kept as s says, nil where it can.
func (s Storage) Check(source Source) error {
	schema, err := icebergSchema(source)
	if err != nil {
		return err
	}
	return s.check(source.Table.Name.String(), schema)
}

func (s Storage) check(table string, schema *iceberg.Schema) error {
	if _, err := s.spec(table, schema); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if why := refusedProperty(name); why != "" {
			return fmt.Errorf("%s: %s.properties: %s is refused: %s", table, s.Place, name, why)
		}
	}
	if _, err := datafile.CompressionOf(s.Properties); err != nil {
		return fmt.Errorf("%s: %s.properties: %w", table, s.Place, err)
	}
	return nil
}

// refusedProperty tells why a property is not the user's to set, "" where it is.
func refusedProperty(name string) string {
	reasons := map[string]string{
		"format-version":                             "cdcd writes format version 3",
		targetSizeProperty:                           "the key target_file_size sets it",
		"write.delete.mode":                          "cdcd writes deletion vectors, and nobody else changes rows",
		"write.update.mode":                          "cdcd writes deletion vectors, and nobody else changes rows",
		"write.merge.mode":                           "cdcd writes deletion vectors, and nobody else changes rows",
		"write.format.default":                       "cdcd writes Parquet",
		"write.metadata.delete-after-commit.enabled": "cdcd removes old metadata files",
		"write.metadata.previous-versions-max":       "cdcd removes old metadata files, and readers need some of them",
		"write.metadata.compression-codec":           "cdcd keeps metadata files as they are served",
		"write.data.path":                            "cdcd finds and collects files at the table's location",
		"write.metadata.path":                        "cdcd finds and collects files at the table's location",
		"write.object-storage.enabled":               "cdcd finds and collects files at the table's location",
		"write.object-storage.path":                  "cdcd finds and collects files at the table's location",
		"write.folder-storage.path":                  "cdcd finds and collects files at the table's location",
		"write.location-provider.impl":               "cdcd finds and collects files at the table's location",
	}
	if why := reasons[name]; why != "" {
		return why
	}
	switch {
	case name == "" || strings.TrimSpace(name) != name:
		return "it is no name"
	case strings.HasPrefix(name, "cdcd."):
		return "cdcd keeps its own state in such"
	case strings.HasPrefix(name, "encryption."):
		return "cdcd does not encrypt files"
	case slices.Contains(reservedProperties(), name):
		return "Iceberg reserves it"
	}
	return ""
}

// reservedProperties are names that Iceberg's catalogs give a meaning of their own.
func reservedProperties() []string {
	return []string{"uuid", "snapshot-count", "current-snapshot-summary", "current-snapshot-id", "current-snapshot-timestamp-ms", "current-schema", "default-partition-spec", "default-sort-order"}
}

// Lineage reports whether rows keep their _row_id when they change.
func (h *Head) Lineage() bool { return h.meta.Properties()[keyLineage] != lineageOff }

// TargetFileSize is how many bytes a data file of the table may have, about.
func (h *Head) TargetFileSize() int64 {
	n, err := strconv.ParseInt(h.meta.Properties()[targetSizeProperty], 10, 64)
	if err != nil || n <= 0 {
		return DefaultTargetFileSize
	}
	return n
}

// Partitioning describes the partition spec of new files, as the configuration has it.
func (h *Head) Partitioning() []string {
	var out []string
	spec := h.meta.PartitionSpec()
	for _, f := range spec.Fields() {
		out = append(out, fieldText(h.meta.CurrentSchema(), f))
	}
	return out
}

// restorage is what an attempt that changes spec and properties alone wants of them.
type restorage struct{ want Storage }

// landed reports that a table is as it is wanted.
func (r *restorage) landed(h *Head) bool {
	change, err := r.want.change(h.meta.Properties())
	if err != nil || !change.empty() {
		return false
	}
	want, err := r.want.spec(h.Name.String(), h.meta.CurrentSchema())
	now := h.meta.PartitionSpec()
	return err == nil && want.CompatibleWith(&now)
}

// PrepareStorage makes the attempt that brings a table's partition spec and properties to what
// is wanted, nil where they are so. Files that are there keep their spec. It adds no snapshot,
// and nothing is uploaded; it is pinned like any other.
func PrepareStorage(h *Head, s Storage) (*Attempt, error) {
	if err := s.check(h.Name.String(), h.meta.CurrentSchema()); err != nil {
		return nil, err
	}
	r := &restorage{s}
	if r.landed(h) {
		return nil, nil
	}
	change, err := s.change(h.meta.Properties())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h.Name, err)
	}
	updates, err := s.specUpdates(h)
	if err != nil {
		return nil, err
	}
	if len(change.set) > 0 {
		updates = append(updates, icetable.NewSetPropertiesUpdate(change.set))
	}
	if len(change.remove) > 0 {
		updates = append(updates, icetable.NewRemovePropertiesUpdate(change.remove))
	}
	reqs := requirements(h)
	if id := h.meta.LastPartitionSpecID(); id != nil {
		reqs = append(reqs, icetable.AssertLastAssignedPartitionID(*id))
	}
	return &Attempt{Head: h, requirements: reqs, updates: updates, storage: r}, nil
}

// specUpdates gives the updates that make the wanted spec the default. One that the table had
// before is taken again.
func (s Storage) specUpdates(h *Head) ([]icetable.Update, error) {
	want, err := s.spec(h.Name.String(), h.meta.CurrentSchema())
	if err != nil {
		return nil, err
	}
	now := h.meta.PartitionSpec()
	if want.CompatibleWith(&now) {
		return nil, nil
	}
	for _, old := range h.meta.PartitionSpecs() {
		if want.CompatibleWith(&old) {
			return []icetable.Update{icetable.NewSetDefaultSpecUpdate(old.ID())}, nil
		}
	}
	numbered := numberFields(want, h.meta)
	return []icetable.Update{icetable.NewAddPartitionSpecUpdate(&numbered, false), icetable.NewSetDefaultSpecUpdate(lastAdded)}, nil
}

// lastAdded stands for the spec that the same commit adds.
const lastAdded = -1

// Reshapes reports whether an attempt changes how a table's rows are kept in files, or its
// schema, or main's.
func (a *Attempt) Reshapes() bool { return a.storage != nil || a.evolves != nil || a.publishes }
