package compaction

import (
	"context"
	"errors"

	"cdcd/table"
	"cdcd/table/tabletest"
)

// files gives what of a kind is in the store: files of our names below the table.
func (l *lab) files() map[string]bool {
	out := map[string]bool{}
	for _, path := range l.store.Names() {
		if _, ours := table.ParseFileName(base(path)); ours {
			out[path] = true
		}
	}
	return out
}

// check reads every retained snapshot that is known, whose rows must be what they were.
func (l *lab) check() {
	l.t.Helper()
	h := l.head()
	for snapshot, want := range l.shown {
		if h.Retains(snapshot) {
			l.compare(snapshot, want)
		}
	}
}

// compare compares the rows of a snapshot, their ids and their ages. Ids that are new are learnt.
func (l *lab) compare(snapshot int64, want truth) {
	l.t.Helper()
	got, err := l.rows(snapshot)
	switch {
	case errors.Is(err, tabletest.ErrAbsent):
		l.t.Fatalf("absent: snapshot %d: %v", snapshot, err)
	case errors.Is(err, tabletest.ErrListing):
		l.t.Fatalf("listing: snapshot %d: %v", snapshot, err)
	case err != nil:
		l.t.Fatalf("snapshot %d: %v", snapshot, err)
	}
	ids := map[int64]bool{}
	for key, r := range want {
		is := got[key]
		switch {
		case is == nil || is.val != r.val:
			l.t.Fatalf("rows: snapshot %d: %d is %v, want %v", snapshot, key, is, r)
		case r.id >= 0 && is.id != r.id, ids[is.id]:
			l.t.Fatalf("row ids: snapshot %d: %d is %v, want %v", snapshot, key, is, r)
		case is.written != r.written:
			l.t.Fatalf("ages: snapshot %d: %d is %v, want %v", snapshot, key, is, r)
		}
		r.id, ids[is.id] = is.id, true
	}
	if len(got) != len(want) {
		l.t.Fatalf("rows: snapshot %d has %d, want %d", snapshot, len(got), len(want))
	}
}

func (l *lab) rows(snapshot int64) (truth, error) {
	rows, err := l.reader.Rows(l.meta().SnapshotByID(snapshot))
	out := truth{}
	for _, r := range rows {
		if out[r.Key] != nil {
			l.t.Fatalf("keys: snapshot %d: %d is live twice", snapshot, r.Key)
		}
		out[r.Key] = &row{r.Val, r.ID, r.Written}
	}
	return out, err
}

// unnamed gives the files of our names that no snapshot names.
func (l *lab) unnamed() (out []string) {
	l.t.Helper()
	reach, err := table.NewReacher(l.cfg).Reach(context.Background(), l.name)
	l.must(err)
	for path := range l.files() {
		if !reach.Names(base(path)) {
			out = append(out, path)
		}
	}
	return out
}
