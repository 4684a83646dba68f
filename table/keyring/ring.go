package keyring

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"cdcd/table/fileio"
	"cdcd/table/s3store"
)

// ErrNone reports a catalog that is asked for credentials of the store and gives none.
var ErrNone = errors.New("catalog.vended_credentials is set, and the catalog hands out no S3 credentials with its tables")

// Catalog is what a Ring asks for new credentials.
type Catalog interface {
	// Vend asks for a table's.
	Vend(ctx context.Context, table []string) (Answer, error)
}

const (
	// askEvery is how often a table's credentials are asked for at most. Asked at once again
	// the catalog would say the same.
	askEvery = 10 * time.Second
	// askFor bounds a question.
	askFor = time.Minute
	// spareTime is how long before their end credentials are replaced, or half of their time
	// if that is less.
	spareTime = 5 * time.Minute
)

// Ring holds the credentials of all tables that were loaded. It is used by any number of
// goroutines.
type Ring struct {
	catalog Catalog
	mu      sync.Mutex
	tables  map[string]*table // by location
}

var _ s3store.Vendor = (*Ring)(nil)

// table is what a Ring knows of a table. The Ring's mu guards what changes.
type table struct {
	name     []string
	location string
	turn     chan struct{} // holds one, of who asks the catalog
	grants   []grant       // that the catalog gave last
	answered time.Time     // when it last answered, or did not
	failure  error         // why it did not
	refused  time.Time     // when it was last asked because of the store
}

// New makes a Ring that knows no table.
func New(c Catalog) *Ring { return &Ring{catalog: c, tables: map[string]*table{}} }

// Learn notes what a catalog said when it loaded or created a table at a location.
func (r *Ring) Learn(name []string, location string, a Answer) {
	location = strings.TrimRight(location, "/")
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tables[location]
	if t == nil {
		t = &table{location: location, turn: make(chan struct{}, 1)}
		r.tables[location] = t
	}
	t.name = name
	t.take(a)
}

// take notes the credentials in an answer. One without takes none away: they may still be
// good, and who needs some asks.
func (t *table) take(a Answer) bool {
	now := time.Now()
	grants := a.grants(now)
	if len(grants) == 0 {
		return false
	}
	t.grants, t.answered, t.failure = grants, now, nil
	return true
}

// Keys gives the credentials for an object, or for all whose names begin with name; nil
// stands for the store's own.
func (r *Ring) Keys(ctx context.Context, name string) (*s3store.Keys, error) {
	t, g := r.find(name)
	switch {
	case t == nil:
		return nil, nil
	case g != nil && !g.due(time.Now()):
		return g.keys, nil
	}
	return r.ask(ctx, t, name, nil)
}

// Renew gives others in the place of those that the store refuses.
func (r *Ring) Renew(ctx context.Context, name string, refused *s3store.Keys) (*s3store.Keys, error) {
	t, _ := r.find(name)
	if t == nil || refused == nil {
		return refused, nil
	}
	return r.ask(ctx, t, name, refused)
}

// find gives the table that an object belongs to and what is granted for it. An object of no
// table may be covered by a prefix.
func (r *Ring) find(name string) (*table, *grant) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var owner, other *table
	var wide *grant
	for _, t := range r.tables {
		if covers(t.location, name) && (owner == nil || len(t.location) > len(owner.location)) {
			owner = t
		}
		if g := best(t.grants, name); g != nil && g.prefix != "" && (wide == nil || len(g.prefix) > len(wide.prefix)) {
			other, wide = t, g
		}
	}
	if owner == nil {
		return other, wide
	}
	return owner, best(owner.grants, name)
}

// due tells whether credentials are near their end.
func (g *grant) due(now time.Time) bool {
	if g.keys.Expires.IsZero() {
		return false
	}
	spare := min(spareTime, max(0, g.keys.Expires.Sub(g.issued)/2))
	return !now.Before(g.keys.Expires.Add(-spare))
}

// expired tells whether the catalog said that credentials are not good any more.
func (g *grant) expired(now time.Time) bool {
	return !g.keys.Expires.IsZero() && !now.Before(g.keys.Expires)
}

// ask asks the catalog for a table's credentials, unless that has just been done. The store
// may refuse some, or nil.
func (r *Ring) ask(ctx context.Context, t *table, name string, refused *s3store.Keys) (*s3store.Keys, error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("credentials of the store: %w", context.Cause(ctx))
	}
	ident, due := r.mayAsk(t, name, refused)
	if !due {
		return r.now(t, name)
	}
	asking, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	a, err := r.catalog.Vend(asking, ident)
	if err != nil && ctx.Err() != nil {
		return nil, err // it is the caller who does not wait
	}
	r.mu.Lock()
	if t.answered, t.failure = time.Now(), err; err == nil && !t.take(a) {
		t.failure = fmt.Errorf("%w: %w", fileio.ErrAccess, ErrNone)
	}
	r.mu.Unlock()
	return r.now(t, name)
}

// mayAsk tells whether a table's credentials are to be asked for by who has the turn. Fresh
// ones that the store refuses are replaced too, but not for every object.
func (r *Ring) mayAsk(t *table, name string, refused *s3store.Keys) (ident []string, may bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if refused == nil {
		return t.name, t.answered.IsZero() || now.Sub(t.answered) >= askEvery
	}
	if g := best(t.grants, name); g != nil && g.keys != refused || !t.refused.IsZero() && now.Sub(t.refused) < askEvery {
		return nil, false
	}
	t.refused = now
	return t.name, true
}

// now gives what is known of an object after the catalog was asked.
func (r *Ring) now(t *table, name string) (*s3store.Keys, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := best(t.grants, name)
	switch {
	case t.failure != nil && (g == nil || g.expired(time.Now())):
		return nil, fmt.Errorf("ask the catalog for credentials of the store: %w", t.failure)
	case g == nil:
		return nil, fmt.Errorf("%w: the prefixes that the catalog hands out credentials for do not cover it", fileio.ErrAccess)
	}
	return g.keys, nil // be they expired by our clock: the catalog has just given them
}
