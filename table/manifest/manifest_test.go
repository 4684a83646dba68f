package manifest

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strconv"
	"testing"

	"github.com/apache/iceberg-go"
)

var (
	testSpec   = iceberg.NewPartitionSpecID(3)
	testSchema = iceberg.NewSchema(7,
		iceberg.NestedField{ID: 1, Name: "id", Type: iceberg.PrimitiveTypes.Int64, Required: true},
		iceberg.NestedField{ID: 2, Name: "val", Type: iceberg.PrimitiveTypes.String})
)

const (
	testSnapshot = int64(1) << 60
	testSequence = 41
	testFirstRow = 1000
)

func dataFile(t testing.TB, n int) iceberg.DataFile {
	t.Helper()
	b, err := iceberg.NewDataFileBuilder(testSpec, iceberg.EntryContentData, "file:///lake/f"+strconv.Itoa(n)+".parquet", iceberg.ParquetFile, nil, nil, nil, int64(n+1), int64(100*n+1))
	if err != nil {
		t.Fatal(err)
	}
	b.ColumnSizes(map[int]int64{1: 10}).ValueCounts(map[int]int64{1: 3}).NullValueCounts(map[int]int64{2: 1}).
		LowerBoundValues(map[int][]byte{1: {1, 2}}).UpperBoundValues(map[int][]byte{1: {3, 4}}).SplitOffsets([]int64{4})
	if n%3 == 2 {
		b.FirstRowID(int64(n))
	}
	return b.Build()
}

func vector(t testing.TB, n int) iceberg.DataFile {
	t.Helper()
	b, err := iceberg.NewDataFileBuilder(testSpec, iceberg.EntryContentPosDeletes, "file:///lake/v"+strconv.Itoa(n)+".puffin", iceberg.PuffinFile, nil, nil, nil, int64(n+1), 50)
	if err != nil {
		t.Fatal(err)
	}
	return b.ReferencedDataFile("file:///lake/f" + strconv.Itoa(n) + ".parquet").ContentOffset(4).ContentSizeInBytes(40).Build()
}

// entries gives entries of each status, of files that make draws.
func entries(t testing.TB, draw func(testing.TB, int) iceberg.DataFile) (added, existing, deleted []iceberg.ManifestEntry) {
	t.Helper()
	old, sequence, file := testSnapshot-1, int64(7), int64(6)
	for n := range 40 {
		switch n % 4 {
		case 0:
			deleted = append(deleted, iceberg.NewManifestEntry(iceberg.EntryStatusEXISTING, &old, &sequence, &file, draw(t, n)))
		case 1:
			existing = append(existing, iceberg.NewManifestEntry(iceberg.EntryStatusADDED, &old, &sequence, &file, draw(t, n)))
		default:
			added = append(added, iceberg.NewManifestEntry(iceberg.EntryStatusADDED, nil, nil, nil, draw(t, n)))
		}
	}
	return added, existing, deleted
}

// kinds are the files that each content draws.
func kinds() map[iceberg.ManifestContent]func(testing.TB, int) iceberg.DataFile {
	return map[iceberg.ManifestContent]func(testing.TB, int) iceberg.DataFile{
		iceberg.ManifestContentData: dataFile, iceberg.ManifestContentDeletes: vector,
	}
}

// TestSameAsLibrary compares what is written and read here with the library's doing.
func TestSameAsLibrary(t *testing.T) {
	for content, draw := range kinds() {
		ours, described := write(t, 3, content, draw)
		theirs, wanted := writeByLibrary(t, 3, content, draw)
		a, b := mustOpen(t, ours), mustOpen(t, theirs)
		if !reflect.DeepEqual(a.meta, b.meta) {
			t.Errorf("%s: metadata\n%q\nwant\n%q", content, a.meta, b.meta)
		}
		n, data, err := a.block()
		m, want, err2 := b.block()
		if err != nil || err2 != nil || n != m || !bytes.Equal(data, want) {
			t.Errorf("%s: %d entries, want %d (%v, %v)\n%x\nwant\n%x", content, n, m, err, err2, data, want)
		}
		if !reflect.DeepEqual(described, wanted) {
			t.Errorf("%s: described as\n%+v\nwant\n%+v", content, described, wanted)
		}
		compareReading(t, ours, described)
	}
}

// TestVersion2 compares with the library where it leaves the reference out: nothing else may
// differ, and the library has to read it.
func TestVersion2(t *testing.T) {
	for content, draw := range kinds() {
		ours, described := write(t, 2, content, draw)
		theirs, wanted := writeByLibrary(t, 2, content, draw)
		a, b := mustOpen(t, ours), mustOpen(t, theirs)
		delete(a.meta, "avro.schema")
		delete(b.meta, "avro.schema")
		if !reflect.DeepEqual(a.meta, b.meta) || !reflect.DeepEqual(described, wanted) {
			t.Errorf("%s: metadata\n%q\nwant\n%q", content, a.meta, b.meta)
		}
		compareReading(t, ours, described)
		got, err := readByLibrary(described, ours)
		without, err2 := readByLibrary(wanted, theirs)
		if err != nil || err2 != nil || len(got) != len(without) || len(got) == 0 {
			t.Fatal(len(got), err, len(without), err2)
		}
		for i := range got {
			a, b := see(got[i]), see(without[i])
			if of := got[i].DataFile().ReferencedDataFile(); (of == nil) != (content == iceberg.ManifestContentData) {
				t.Errorf("%s: the reference is %v", content, of)
			}
			a.of, b.of = nil, nil
			if !reflect.DeepEqual(a, b) {
				t.Errorf("entry\n%+v\nwant\n%+v", a, b)
			}
		}
	}
}

func write(t *testing.T, version int, content iceberg.ManifestContent, draw func(testing.TB, int) iceberg.DataFile) ([]byte, iceberg.ManifestFile) {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, version, testSpec, testSchema, testSnapshot, content)
	if err != nil {
		t.Fatal(err)
	}
	added, existing, deleted := entries(t, draw)
	for _, e := range existing {
		err = errors.Join(err, w.Existing(e))
	}
	for _, e := range deleted {
		err = errors.Join(err, w.Delete(e))
	}
	for _, e := range added {
		err = errors.Join(err, w.Add(e.DataFile()))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	file, err := w.File("file:///lake/m.avro", 77)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), file
}

func writeByLibrary(t *testing.T, version int, content iceberg.ManifestContent, draw func(testing.TB, int) iceberg.DataFile) ([]byte, iceberg.ManifestFile) {
	t.Helper()
	var out bytes.Buffer
	w, err := iceberg.NewManifestWriter(version, &out, testSpec, testSchema, testSnapshot, iceberg.WithManifestWriterContent(content))
	if err != nil {
		t.Fatal(err)
	}
	added, existing, deleted := entries(t, draw)
	for _, e := range existing {
		err = errors.Join(err, w.Existing(e))
	}
	for _, e := range deleted {
		err = errors.Join(err, w.Delete(e))
	}
	for _, e := range added {
		err = errors.Join(err, w.Add(e))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	f, err := w.ToManifestFile("file:///lake/m.avro", 77)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), f
}

func mustOpen(t *testing.T, raw []byte) *container {
	t.Helper()
	c, err := openContainer(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// compareReading reads a list with the manifest, and the manifest as the list has it.
func compareReading(t *testing.T, raw []byte, described iceberg.ManifestFile) {
	t.Helper()
	var list bytes.Buffer
	w, err := listWriter(&list, described.Version())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.AddManifests([]iceberg.ManifestFile{described, described}), w.Close()); err != nil {
		t.Fatal(err)
	}
	got, err := ReadList(list.Bytes())
	want, err2 := iceberg.ReadManifestList(bytes.NewReader(list.Bytes()))
	if err != nil || err2 != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("list: %v, %v\n%+v\nwant\n%+v", err, err2, got, want)
	}
	for _, m := range got {
		entries, err := Read(m, raw)
		wanted, err2 := readByLibrary(m, raw)
		if err != nil || err2 != nil || len(entries) != len(wanted) || len(entries) == 0 {
			t.Fatalf("%d entries, want %d (%v, %v)", len(entries), len(wanted), err, err2)
		}
		for i, e := range entries {
			compareEntries(t, e, wanted[i])
		}
	}
}

func listWriter(out io.Writer, version int) (*iceberg.ManifestListWriter, error) {
	if version == 2 {
		return iceberg.NewManifestListWriterV2(out, testSnapshot, testSequence, nil)
	}
	return iceberg.NewManifestListWriterV3(out, testSnapshot, testSequence, testFirstRow, nil)
}

// view is all that is to be seen of an entry.
type view struct {
	status             iceberg.ManifestEntryStatus
	snapshot, sequence int64
	file, first        *int64
	path               string
	of                 *string
	spec               int32
	rows, bytes        int64
	offset, size       *int64
	sizes              map[int]int64
	lower              map[int][]byte
}

func see(e Entry) view {
	d := e.DataFile()
	return view{
		e.Status(), e.SnapshotID(), e.SequenceNum(), e.FileSequenceNum(), e.FirstRowID, d.FilePath(), d.ReferencedDataFile(), d.SpecID(), d.Count(), d.FileSizeBytes(),
		d.ContentOffset(), d.ContentSizeInBytes(), d.ColumnSizes(), d.LowerBoundValues(),
	}
}

func compareEntries(t *testing.T, got, want Entry) {
	t.Helper()
	if a, b := see(got), see(want); !reflect.DeepEqual(a, b) {
		t.Errorf("entry\n%+v\nwant\n%+v", a, b)
	}
}

// TestRefused writes what does not belong into a manifest.
func TestRefused(t *testing.T) {
	w, err := NewWriter(&bytes.Buffer{}, 3, testSpec, testSchema, testSnapshot, iceberg.ManifestContentData)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(vector(t, 1)); err == nil {
		t.Error("a vector among data files")
	}
	if err := w.Existing(iceberg.NewManifestEntry(iceberg.EntryStatusADDED, nil, nil, nil, dataFile(t, 1))); !errors.Is(err, errSequence) {
		t.Error("an old entry without a sequence number:", err)
	}
	if err := w.Close(); !errors.Is(err, iceberg.ErrEmptyManifest) {
		t.Error("a manifest without entries:", err)
	}
	if _, err := NewWriter(&bytes.Buffer{}, 1, testSpec, testSchema, testSnapshot, iceberg.ManifestContentData); err == nil {
		t.Error("a manifest of version 1")
	}
}

// FuzzRead reads damaged manifests and lists. What is read here must also be read by the library.
func FuzzRead(f *testing.F) {
	file := iceberg.NewManifestFile(3, "m", 0, 3, testSnapshot).SequenceNum(testSequence, testSequence).Build()
	var out bytes.Buffer
	w, err := NewWriter(&out, 3, testSpec, testSchema, testSnapshot, iceberg.ManifestContentData)
	if err == nil {
		err = errors.Join(w.Add(dataFile(f, 1)), w.Add(dataFile(f, 2)), w.Close())
	}
	if err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		entries, err := Read(file, raw)
		if err == nil {
			wanted, err := readByLibrary(file, raw)
			if err != nil || len(wanted) != len(entries) {
				t.Errorf("%d entries, by the library %d, %v", len(entries), len(wanted), err)
			}
		}
		_, _ = ReadList(raw)
	})
}

// TestInheritance reads entries that have nothing of their own, also old ones, which writers refuse.
func TestInheritance(t *testing.T) {
	for _, sequence := range []int64{0, testSequence} {
		var out bytes.Buffer
		w, err := NewWriter(&out, 3, testSpec, testSchema, testSnapshot, iceberg.ManifestContentData)
		if err != nil {
			t.Fatal(err)
		}
		file, err := encodeFile(dataFile(t, 1), 3, testSpec, testSchema)
		if err != nil {
			t.Fatal(err)
		}
		for _, status := range []iceberg.ManifestEntryStatus{iceberg.EntryStatusEXISTING, iceberg.EntryStatusADDED} {
			if _, err := w.out.Write(append(encodeFields(status, nil, nil, nil), file...)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.out.Close(); err != nil {
			t.Fatal(err)
		}
		m := iceberg.NewManifestFile(3, "m", 0, 3, testSnapshot).SequenceNum(sequence, sequence).Build()
		got, err := Read(m, out.Bytes())
		want, err2 := readByLibrary(m, out.Bytes())
		if err != nil || err2 != nil || len(got) != 2 || len(want) != 2 {
			t.Fatal(len(got), err, len(want), err2)
		}
		for i := range got {
			compareEntries(t, got[i], want[i])
		}
	}
}
