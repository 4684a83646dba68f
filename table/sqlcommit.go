package table

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/apache/iceberg-go/catalog"
	iceio "github.com/apache/iceberg-go/io"
	icetable "github.com/apache/iceberg-go/table"
)

// located is a table's metadata with the file that holds it. Such a file never changes.
type located struct {
	location string
	meta     icetable.Metadata
}

// knownMetadata keeps the newest metadata of every table, so that a commit need not read and
// parse what the one before has written.
type knownMetadata struct {
	mu     sync.Mutex
	tables map[Name]located
}

func (k *knownMetadata) get(n Name) located {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.tables[n]
}

func (k *knownMetadata) put(n Name, l located) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.tables == nil {
		k.tables = map[Name]located{}
	}
	k.tables[n] = l
}

// commit does what the library's CommitTable does for a table that is there, but for reading
// metadata that are known. What it does not know how to write it leaves to the library.
func (s *sqlTables) commit(ctx context.Context, lib catalog.Catalog, ident icetable.Identifier, reqs []icetable.Requirement, updates []icetable.Update) (icetable.Metadata, string, error) {
	n := Name{Namespace: strings.Join(ident[:len(ident)-1], "."), Table: ident[len(ident)-1]}
	base, err := s.base(ctx, lib, n, ident)
	if errors.Is(err, catalog.ErrNoSuchTable) || len(ident) != 2 {
		return lib.CommitTable(ctx, ident, reqs, updates)
	}
	if err != nil {
		return nil, "", untouched{err, ErrUnavailable}
	}
	version, ok := metadataVersion(base.location)
	if !ok || base.meta.Properties().Get(icetable.MetadataCompressionKey, icetable.MetadataCompressionDefault) != icetable.MetadataCompressionCodecNone {
		return lib.CommitTable(ctx, ident, reqs, updates)
	}
	for _, r := range reqs {
		if err := r.Validate(base.meta); err != nil {
			return nil, "", err
		}
	}
	next := located{}
	if next.meta, err = icetable.UpdateTableMetadata(base.meta, updates, base.location); err != nil {
		return nil, "", untouched{err, ErrMalformed}
	}
	if next.meta.Equals(base.meta) {
		return base.meta, base.location, nil
	}
	if next.location, err = writeMetadata(ctx, next.meta, version+1); err != nil {
		return nil, "", untouched{err, ErrUnavailable}
	}
	if err := s.move(ctx, n, base.location, next.location); err != nil {
		return nil, "", err
	}
	s.known.put(n, next)
	return next.meta, next.location, nil
}

// untouched is an error before the catalog was asked for anything: the table is as it was.
type untouched struct {
	error
	kind error
}

// Unwrap gives the cause, and what the error is to those who offer a commit for others.
func (u untouched) Unwrap() []error { return []error{u.error, u.kind} }

// base gives the metadata that a commit starts from.
func (s *sqlTables) base(ctx context.Context, lib catalog.Catalog, n Name, ident icetable.Identifier) (located, error) {
	location, err := s.metadataLocation(ctx, n)
	if err != nil {
		return located{}, err
	}
	if known := s.known.get(n); known.location == location {
		return known, nil
	}
	t, err := lib.LoadTable(ctx, ident)
	if err != nil {
		return located{}, err
	}
	return located{t.MetadataLocation(), t.Metadata()}, nil
}

// metadataVersion reads the number at the beginning of a metadata file's name. ok is false
// for names of another form.
func metadataVersion(location string) (version int, ok bool) {
	number, rest, found := strings.Cut(path.Base(location), "-")
	version, err := strconv.Atoi(number)
	return version, found && err == nil && version >= 0 && strings.HasSuffix(rest, ".metadata.json")
}

// writeMetadata makes a new metadata file.
func writeMetadata(ctx context.Context, meta icetable.Metadata, version int) (string, error) {
	provider, err := icetable.LoadLocationProvider(meta.Location(), meta.Properties())
	if err != nil {
		return "", err
	}
	location, err := provider.NewTableMetadataFileLocation(version)
	if err != nil {
		return "", err
	}
	content, err := encodeMetadata(meta)
	if err != nil {
		return "", err
	}
	fs, err := iceio.LoadFS(ctx, nil, location)
	if err != nil {
		return "", err
	}
	w, ok := fs.(iceio.WriteFileIO)
	if !ok {
		return "", fmt.Errorf("%s: %w", location, errors.ErrUnsupported)
	}
	return location, w.WriteFile(location, content)
}

// move lets a table's row name another metadata file, if it still names the one before. It is
// the commit.
func (s *sqlTables) move(ctx context.Context, n Name, from, to string) error {
	result, err := s.db.ExecContext(ctx, s.swap, to, from, s.catalog, namespaceKey(n.Namespace), n.Table)
	if err != nil {
		return err
	}
	moved, err := result.RowsAffected()
	if err == nil && moved == 0 {
		err = fmt.Errorf("%w: %s has other metadata by now", icetable.ErrCommitFailed, n)
	}
	return err
}
