package table

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"cdcd/capture"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

// TestStorageRefuses holds what is said to somebody whose configuration does not fit the table.
func TestStorageRefuses(t *testing.T) {
	source := testSource(false)
	source.Table.Columns = append(source.Table.Columns,
		capture.Column{Name: "ratio", Type: capture.TypeDouble}, capture.Column{Name: "flag", Type: capture.TypeBit, Size: 1},
		capture.Column{Name: "at", Type: capture.TypeDatetime}, capture.Column{Name: "day", Type: capture.TypeDate}, capture.Column{Name: "at_day", Type: capture.TypeInt})
	fields := func(f ...PartitionField) Storage { return Storage{Place: "tables[1]", Partition: f} }
	property := func(name, value string) Storage {
		return Storage{Place: "tables[1]", Properties: map[string]string{name: value}}
	}
	day := PartitionField{Transform: "day", Column: "at"}
	tests := []struct {
		storage Storage
		want    string // "": it is fine
	}{
		{fields(day, PartitionField{Transform: "bucket", Width: 4, Column: "at"}, PartitionField{Transform: "identity", Column: "flag"}), ""},
		{fields(PartitionField{Transform: "day", Column: "gone"}), `shop.orders: tables[1].partition[0]: day(gone): there is no column "gone"`},
		{fields(day, PartitionField{Transform: "hour", Column: "day"}), `tables[1].partition[1]: hour(day): column "day" is date in the lake; hour takes timestamps`},
		{fields(PartitionField{Transform: "bucket", Width: 4, Column: "ratio"}), `column "ratio" is double in the lake; bucket takes`},
		{fields(PartitionField{Transform: "bucket", Width: 4, Column: "flag"}), `column "flag" is boolean in the lake; bucket takes`},
		{fields(PartitionField{Transform: "truncate", Width: 4, Column: "at"}), `truncate takes`},
		{fields(PartitionField{Transform: "identity", Column: "ratio"}), `identity takes every type but float and double`},
		{fields(PartitionField{Transform: "year", Column: "VAL"}), `column "val" is string in the lake; year takes`},
		{fields(day, PartitionField{Transform: "month", Column: "AT"}), `month(AT): it says nothing beside day(at)`},
		{fields(day, day), `it says nothing beside day(at)`},
		{property("write.parquet.compression-codec", "snappy"), ""},
		{property("write.parquet.compression-codec", "lzo"), `tables[1].properties: write.parquet.compression-codec: cdcd writes zstd, gzip, snappy or uncompressed, not "lzo"`},
		{property("write.parquet.compression-level", "99"), `want 1 to 22`},
		{property("cdcd.position", "x"), `tables[1].properties: cdcd.position is refused: cdcd keeps its own state in such`},
		{property("format-version", "2"), `format-version is refused`},
		{property("write.data.path", "/x"), `finds and collects files at the table's location`},
		{property("write.target-file-size-bytes", "1"), `the key target_file_size sets it`},
		{property("current-snapshot-id", "1"), `Iceberg reserves it`},
	}
	for _, tt := range tests {
		err := tt.storage.Check(source)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.storage, err, tt.want)
		}
	}
}

// TestSpecs changes the partition spec there and back: what a spec before has is taken again.
func TestSpecs(t *testing.T) {
	dir := t.TempDir()
	source := testSource(false)
	source.Table.Columns = append(source.Table.Columns, capture.Column{Name: "val_trunc_2", Type: capture.TypeInt})
	bucket, truncate := PartitionField{"bucket", 4, "id"}, PartitionField{"truncate", 2, "val"}
	l := newStoredLab(t, dir, source, Storage{Partition: []PartitionField{bucket}}, memory.DefaultAllocator)
	defer l.cat.Close()
	for _, step := range []struct {
		fields []PartitionField
		spec   int
		want   string // names and ids of fields
	}{
		{[]PartitionField{bucket}, 0, "id_bucket_4=1000"},
		{[]PartitionField{truncate, bucket}, 1, "val_trunc_2_p=1001 id_bucket_4=1000"},
		{nil, 2, ""},
		{[]PartitionField{{"bucket", 8, "id"}}, 3, "id_bucket_8=1002"},
		{[]PartitionField{bucket}, 0, "id_bucket_4=1000"},
		{[]PartitionField{truncate}, 4, "val_trunc_2_p=1001"},
		{nil, 2, ""},
	} {
		l.arrange(Storage{Partition: step.fields})
		h := l.load()
		var got []string
		spec := h.meta.PartitionSpec()
		for _, f := range spec.Fields() {
			id, _ := json.Marshal(f.FieldID)
			got = append(got, f.Name+"="+string(id))
		}
		if strings.Join(got, " ") != step.want || h.Spec != step.spec {
			t.Errorf("%v: spec %d of %v, want %d of %s", step.fields, h.Spec, got, step.spec, step.want)
		}
	}
}

// TestProperties sets, changes and removes properties, beside those of somebody else.
func TestProperties(t *testing.T) {
	l := newStoredLab(t, t.TempDir(), testSource(false), Storage{Properties: map[string]string{"a": "1", "write.parquet.compression-codec": "gzip"}}, memory.DefaultAllocator)
	defer l.cat.Close()
	l.setProperties(iceberg.Properties{"theirs": "x"})
	for _, step := range []struct {
		storage Storage
		want    string
	}{
		{Storage{Properties: map[string]string{"a": "1", "write.parquet.compression-codec": "gzip"}}, `a=1 cdcd.configured=["a","write.parquet.compression-codec"] theirs=x write.parquet.compression-codec=gzip`},
		{Storage{Properties: map[string]string{"a": "2", "b": "3"}}, `a=2 b=3 cdcd.configured=["a","b"] theirs=x write.parquet.compression-codec=zstd`},
		{Storage{NoLineage: true, TargetFileSize: 7}, `cdcd.configured=["cdcd.lineage","write.target-file-size-bytes"] cdcd.lineage=off theirs=x write.parquet.compression-codec=zstd write.target-file-size-bytes=7`},
		{Storage{}, "theirs=x write.parquet.compression-codec=zstd"},
	} {
		l.arrange(step.storage)
		if got := l.properties(); got != step.want {
			t.Errorf("%+v:\n got %s\nwant %s", step.storage, got, step.want)
		}
	}
}

// setProperties sets properties as somebody else does.
func (l *lab) setProperties(p iceberg.Properties) {
	l.t.Helper()
	h := l.load()
	a := &Attempt{Head: h, requirements: requirements(h), updates: []icetable.Update{icetable.NewSetPropertiesUpdate(p)}}
	if _, err := Swap(l.t.(*testing.T).Context(), l.cfg, a); err != nil {
		l.t.Fatal(err)
	}
}

// properties gives those that a configuration or somebody else may have set.
func (l *lab) properties() string {
	l.t.Helper()
	var out []string
	for k, v := range l.load().meta.Properties() {
		if slices.Contains([]string{"a", "b", "theirs", "write.parquet.compression-codec", targetSizeProperty, keyLineage, keyConfigured}, k) {
			out = append(out, k+"="+v)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
