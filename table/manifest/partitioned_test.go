package manifest

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/iceberg-go"
)

// partitionCase is one kind of partition value: its source, what is made of it, a low and a
// high value, and their form when they are read.
type partitionCase struct {
	typ       iceberg.Type
	transform iceberg.Transform
	low, high any
}

func partitionCases() []partitionCase {
	identity, types := iceberg.IdentityTransform{}, iceberg.PrimitiveTypes
	dec := func(n int64) iceberg.Decimal { return iceberg.Decimal{Val: decimal128.FromI64(n), Scale: 2} }
	return []partitionCase{
		{types.Bool, identity, false, true},
		{types.Int32, identity, int32(-5), int32(7)},
		{types.Int64, identity, int64(-1) << 62, int64(1) << 62},
		{types.String, identity, "", "z\x00ü"},
		{types.Binary, identity, []byte{}, []byte{0xff, 0}},
		{types.Date, identity, iceberg.Date(-354285), iceberg.Date(2932896)},
		{types.Timestamp, identity, iceberg.Timestamp(-30610224000000000), iceberg.Timestamp(253402300799999999)},
		{types.TimestampTz, identity, iceberg.Timestamp(-1), iceberg.Timestamp(1)},
		{iceberg.DecimalTypeOf(12, 2), identity, dec(-12345), dec(999999999999)},
		{iceberg.DecimalTypeOf(38, 2), identity, dec(-1), dec(1 << 62)},
		{types.Int64, iceberg.BucketTransform{NumBuckets: 16}, int32(0), int32(15)},
		{types.String, iceberg.TruncateTransform{Width: 3}, "abc", "xyz"},
		{iceberg.DecimalTypeOf(12, 2), iceberg.TruncateTransform{Width: 50}, dec(-50), dec(50)},
		{types.Timestamp, iceberg.YearTransform{}, int32(-970), int32(8029)},
		{types.Timestamp, iceberg.MonthTransform{}, int32(-1), int32(0)},
		{types.Timestamp, iceberg.DayTransform{}, iceberg.Date(-1), iceberg.Date(0)},
		{types.TimestampTz, iceberg.HourTransform{}, int32(-1), int32(0)},
	}
}

// plain gives a value in one form: decimals are read as literals.
func plain(v any) any {
	if l, ok := v.(iceberg.Literal); ok {
		return l.Any()
	}
	return v
}

// TestPartitionValues writes values of every kind, reads them, lists what was read as old and as
// removed, and reads that.
func TestPartitionValues(t *testing.T) {
	for _, c := range partitionCases() {
		t.Run(c.transform.String()+" "+c.typ.String(), func(t *testing.T) {
			schema := iceberg.NewSchema(7, iceberg.NestedField{ID: 1, Name: "c", Type: c.typ})
			spec := iceberg.NewPartitionSpecID(5, iceberg.PartitionField{SourceIDs: []int{1}, FieldID: 1003, Name: "p", Transform: c.transform})
			var files []iceberg.DataFile
			for _, v := range []any{c.low, nil, c.high} {
				b, err := iceberg.NewDataFileBuilder(spec, iceberg.EntryContentData, "file:///lake/f.parquet", iceberg.ParquetFile, map[int]any{1003: v}, nil, nil, 10, 100)
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, b.Build())
			}
			first := rewrite(t, spec, schema, func(w *Writer) error {
				return errors.Join(w.Add(files[0]), w.Add(files[1]), w.Add(files[2]))
			}, c)
			second := rewrite(t, spec, schema, func(w *Writer) error {
				return errors.Join(w.Existing(first[0].ManifestEntry), w.Existing(first[1].ManifestEntry), w.Existing(first[2].ManifestEntry))
			}, c)
			if !reflect.DeepEqual(second[0].DataFile().Partition(), first[0].DataFile().Partition()) || *second[2].FirstRowID != *first[2].FirstRowID {
				t.Errorf("%v after %v", second[0].DataFile().Partition(), first[0].DataFile().Partition())
			}
		})
	}
}

// rewrite writes a manifest and reads it again.
func rewrite(t *testing.T, spec iceberg.PartitionSpec, schema *iceberg.Schema, fill func(*Writer) error, c partitionCase) []Entry {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, 3, spec, schema, testSnapshot, iceberg.ManifestContentData)
	if err == nil {
		err = errors.Join(fill(w), w.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	described, err := w.File("m", int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	checkSummary(t, described, c)
	m := iceberg.NewManifestFile(3, "m", int64(out.Len()), 5, testSnapshot).SequenceNum(testSequence, testSequence).Build()
	list := withFirstRow(t, m)
	entries, err := Read(list, out.Bytes())
	if err != nil || len(entries) != 3 {
		t.Fatal(len(entries), err)
	}
	for i, want := range []any{c.low, nil, c.high} {
		f := entries[i].DataFile()
		if got := plain(f.Partition()[1003]); !reflect.DeepEqual(got, want) || f.SpecID() != 5 {
			t.Errorf("value %d: %#v of spec %d, want %#v", i, got, f.SpecID(), want)
		}
		if entries[i].FirstRowID == nil || *entries[i].FirstRowID != int64(testFirstRow+10*i) {
			t.Errorf("value %d: first row id %v", i, entries[i].FirstRowID)
		}
	}
	return entries
}

// withFirstRow gives a manifest as a list has it: with the first row id of its files.
func withFirstRow(t *testing.T, m iceberg.ManifestFile) iceberg.ManifestFile {
	t.Helper()
	var out bytes.Buffer
	w, err := iceberg.NewManifestListWriterV3(&out, testSnapshot, testSequence, testFirstRow, nil)
	if err == nil {
		err = errors.Join(w.AddManifests([]iceberg.ManifestFile{m}), w.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	list, err := ReadList(out.Bytes())
	if err != nil || len(list) != 1 {
		t.Fatal(len(list), err)
	}
	return list[0]
}

// checkSummary compares what the list is told with the values.
func checkSummary(t *testing.T, m iceberg.ManifestFile, c partitionCase) {
	t.Helper()
	sums := m.Partitions()
	if len(sums) != 1 || !sums[0].ContainsNull || sums[0].LowerBound == nil || sums[0].UpperBound == nil {
		t.Fatalf("%+v", sums)
	}
	typ := c.transform.ResultType(c.typ)
	for i, bound := range []*[]byte{sums[0].LowerBound, sums[0].UpperBound} {
		want := []any{c.low, c.high}[i]
		if want == "" && len(*bound) == 0 { // of which the library reads no text
			continue
		}
		l, err := iceberg.LiteralFromBytes(typ, *bound)
		if err != nil || !reflect.DeepEqual(l.Any(), want) {
			t.Errorf("bound %d: %v (%v), want %v", i, l, err, want)
		}
	}
}
