package table

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"cdcd/capture"
	"cdcd/table/manifest"
	"github.com/apache/iceberg-go"
)

// Intent is the prepare record of an attempt that adds data files: written when all its
// objects are durable, before the catalog is asked. What is in the table never depends on it.
// The next owner of the table takes from it the files that it need not upload again.
type Intent struct {
	Format   int    `json:"format"`
	Pipeline string `json:"pipeline"`
	Table    string `json:"table"`
	UUID     string `json:"table-uuid"`
	Fence    int64  `json:"fence"`
	Epoch    int64  `json:"epoch"`
	Attempt  int64  `json:"attempt"`
	Timeline int64  `json:"timeline"`
	Base     int64  `json:"base"`     // 0: none
	Snapshot int64  `json:"snapshot"` // that the attempt makes
	Source   string `json:"source"`
	Position string `json:"position"` // of that snapshot

	Written  time.Time        `json:"written"`
	Manifest []IntentManifest `json:"manifests"`
	Files    []IntentFile     `json:"data-files"`
}

// IntentManifest is a manifest that lists the attempt's data files.
type IntentManifest struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
	Spec  int32  `json:"spec-id"`
}

// IntentFile is a data file of an attempt. Digest names what is in it.
type IntentFile struct {
	Path   string `json:"path"`
	Bytes  int64  `json:"bytes"`
	Digest string `json:"digest"`
}

// intentFormat is the version of the record.
const intentFormat = 1

// ReadIntent reads an intent record.
func ReadIntent(content []byte) (Intent, error) {
	var i Intent
	if err := json.Unmarshal(content, &i); err != nil {
		return Intent{}, fmt.Errorf("intent: %w", err)
	}
	if i.Format != intentFormat {
		return Intent{}, fmt.Errorf("intent: format %d is not known", i.Format)
	}
	return i, nil
}

// IntentsOf is what the names of a table's intents begin with. intents is [Config.Intents].
func IntentsOf(intents string, n Name) string { return intents + "/" + n.Path() + "/" }

// intend writes the intent of an attempt whose objects are all durable.
func (t *Table) intend(ctx context.Context, a *assembly, at time.Time) error {
	if t.cfg.Intents == "" || len(a.delta.files) == 0 || a.delta.replaces != nil {
		return nil
	}
	t.attempts++
	i := Intent{
		Format: intentFormat, Pipeline: a.mark.Pipeline, Table: t.Name().String(), UUID: t.head.UUID.String(),
		Fence: a.mark.Fence, Epoch: a.mark.Epoch, Attempt: t.attempts, Timeline: a.mark.Timeline, Base: t.head.Snapshot, Snapshot: a.id,
		Source: flavorName(a.mark.Position.Flavor()), Position: a.mark.Position.String(), Written: at.UTC(), Manifest: a.listing,
	}
	for n, f := range a.delta.files {
		i.Files = append(i.Files, IntentFile{f.FilePath(), f.FileSizeBytes(), hex.EncodeToString(a.delta.digests[n][:])})
	}
	content, err := json.Marshal(i)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%se%d-k%d-a%d.json", IntentsOf(t.cfg.Intents, t.Name()), i.Fence, i.Epoch, i.Attempt)
	t.intents = append(t.intents, name) // it may be there though an error says otherwise
	if _, err := t.head.store.Put(ctx, name, content); err != nil {
		return fmt.Errorf("write the intent: %w", err)
	}
	return nil
}

// Keep takes the data files of a Delta whose attempt can never land: the next Delta uses
// those of them that it would have to write the same.
func (t *Table) Keep(d *Delta) {
	for n, f := range d.files {
		t.keep(d.digests[n], f)
	}
}

func (t *Table) keep(sum digest, f iceberg.DataFile) {
	if sum == (digest{}) {
		return
	}
	if t.uploads == nil {
		t.uploads = map[digest]iceberg.DataFile{}
	}
	t.uploads[sum] = f
}

// dropIntents removes the intents of attempts that are settled, and forgets the uploads that
// they were kept for.
func (t *Table) dropIntents(ctx context.Context) error {
	var errs []error
	for _, name := range t.intents {
		if err := t.head.store.Remove(ctx, name); err != nil {
			errs = append(errs, err)
		}
	}
	t.intents, t.uploads = nil, nil
	if len(errs) > 0 {
		return fmt.Errorf("%s: %w: %w", t.Name(), ErrDebris, errors.Join(errs...))
	}
	return nil
}

// Recovered is what the former owner of a table left prepared.
type Recovered struct {
	Files     int                // data files that can be used
	Positions []capture.Position // that its open attempts would have moved the table to
}

// Recover looks for what the former owner, whose fence number is given, had prepared on the
// table's snapshot when it ended. Only the owner directly before this one counts: what was
// left by older ones may be on somebody's list to be deleted. The intents of all former
// owners are removed with the next commit.
func (t *Table) Recover(ctx context.Context, fence int64) (Recovered, error) {
	var out Recovered
	if t.cfg.Intents == "" {
		return out, nil
	}
	for o, err := range t.head.store.List(ctx, IntentsOf(t.cfg.Intents, t.Name())) {
		if err != nil {
			return out, fmt.Errorf("%s: list intents: %w", t.Name(), err)
		}
		t.intents = append(t.intents, o.Name)
		if err := t.recoverFrom(ctx, o.Name, fence, &out); err != nil {
			return out, fmt.Errorf("%s: %s: %w", t.Name(), o.Name, err)
		}
	}
	return out, nil
}

// recoverFrom takes the uploads of one intent, where it is of the right owner and snapshot.
func (t *Table) recoverFrom(ctx context.Context, name string, fence int64, out *Recovered) error {
	content, _, err := t.head.store.Read(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a former owner that is still there has settled it
	}
	if err != nil {
		return err
	}
	i, err := ReadIntent(content)
	if err != nil {
		return err
	}
	if i.UUID != t.head.UUID.String() || i.Fence != fence || i.Base != t.head.Snapshot || i.Timeline != t.head.Mark.Timeline {
		return nil
	}
	listed, err := t.listed(ctx, i)
	if err != nil {
		return err
	}
	for _, f := range i.Files {
		var sum digest
		n, err := hex.Decode(sum[:], []byte(f.Digest))
		if file := listed[f.Path]; err == nil && n == len(sum) && file != nil && t.durable(ctx, f) {
			t.keep(sum, file)
			out.Files++
		}
	}
	p, err := capture.ParsePosition(t.head.Mark.Position.Flavor(), i.Position)
	if err == nil {
		out.Positions = append(out.Positions, p)
	}
	return err
}

// listed reads an intent's manifests.
func (t *Table) listed(ctx context.Context, i Intent) (map[string]iceberg.DataFile, error) {
	out := map[string]iceberg.DataFile{}
	fs := t.head.store.IO(ctx)
	for _, m := range i.Manifest {
		file := iceberg.NewManifestFile(t.head.meta.Version(), m.Path, m.Bytes, m.Spec, i.Snapshot).Build()
		err := eachEntry(fs, file, func(_ iceberg.ManifestFile, e manifest.Entry) error {
			out[e.DataFile().FilePath()] = e.DataFile()
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// parquetEnd ends every Parquet file.
const parquetEnd = "PAR1"

// durable reports whether a data file is there in its full length.
func (t *Table) durable(ctx context.Context, f IntentFile) bool {
	end, err := t.head.store.ReadRange(ctx, f.Path, f.Bytes-int64(len(parquetEnd)), int64(len(parquetEnd)))
	return err == nil && string(end) == parquetEnd
}
