package commit

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"cdcd/table/fileio"
)

// Lease keeps two daemons from taking a pipeline from each other again and again. It is an
// object beside the tables that its owner renews. Nothing of what is exact rests on it:
// that is the fence's work, and a lease that lies costs at most a take-over.
type Lease struct {
	store fileio.Store
	name  string // of the object
	owner string
	now   func() time.Time
	tag   fileio.Tag
	held  bool
	sent  string // the nonce of the newest content that was offered

	seen   fileio.Tag // of somebody else's lease
	seenAt time.Time  // when it was first seen
	looked time.Time  // when it was looked at last
}

// LeaseTime is how long a lease is good for after it was renewed.
const LeaseTime = 15 * time.Second

// renewals is how often a lease is renewed within its time.
const renewals = 3

// RenewEvery is how often the owner renews.
const RenewEvery = LeaseTime / renewals

// watchFor is how long a lease that looks old by the clocks is watched before it is taken:
// an owner whose clock is another renews it meanwhile.
const watchFor = RenewEvery + RenewEvery/2

// ErrWatching comes with [ErrLeased] where the lease looks old: the caller is to try again,
// and gets it, or [ErrLeased] alone, within watchFor.
var ErrWatching = errors.New("it looks old, and is watched")

// ErrLeased reports that another daemon owns the pipeline and is alive.
var ErrLeased = errors.New("another daemon owns the pipeline")

// leaseRecord is the object's content.
type leaseRecord struct {
	Owner    string    `json:"owner"`
	Renewed  time.Time `json:"renewed"`
	Released bool      `json:"released,omitempty"`
	Nonce    string    `json:"nonce"` // no two contents are the same
}

// NewLease names the lease of a pipeline in a warehouse. owner tells daemons apart: a daemon
// that is started again under the same name takes its own lease at once.
func NewLease(store fileio.Store, warehouse, pipeline, owner string, now func() time.Time) *Lease {
	return &Lease{store: store, name: besideTables(warehouse, pipeline) + leaseObject, owner: owner, now: now}
}

// leaseObject is the name of the lease there.
const leaseObject = "lease.json"

// besideTables is below what a pipeline's own objects go. warehouse is the location of the
// warehouse, outside of every table's, or that of the control table, where nothing else can be
// reached.
func besideTables(warehouse, pipeline string) string { return warehouse + "/_cdcd/" + pipeline + "/" }

// IntentsIn is where a pipeline keeps its intents, as [table.Config] wants it.
func IntentsIn(warehouse, pipeline string) string {
	return besideTables(warehouse, pipeline) + "intent"
}

// Take takes the lease. It is ErrLeased while another owner renews it, unless force is set;
// with ErrWatching that is not known yet.
func (l *Lease) Take(ctx context.Context, force bool) error {
	content, tag, err := l.store.Read(ctx, l.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if l.tag, err = l.store.Put(ctx, l.name, l.record(false)); errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%w: it has just started", ErrLeased)
		}
	case err != nil:
	default:
		if err := l.free(content, tag, force); err != nil {
			return err
		}
		if l.tag, err = l.store.Replace(ctx, l.name, l.record(false), tag); errors.Is(err, fileio.ErrChanged) {
			return fmt.Errorf("%w: it has just taken or renewed its lease", ErrLeased)
		}
	}
	if err != nil {
		return fmt.Errorf("take the lease %s: %w", l.name, err)
	}
	l.held = true
	return nil
}

// free reports whether a lease with this content may be taken. Clocks differ: what counts is
// whether its owner still renews it, as far as this daemon has seen.
func (l *Lease) free(content []byte, tag fileio.Tag, force bool) error {
	var r leaseRecord
	if err := json.Unmarshal(content, &r); err != nil {
		return nil // nobody who is alive wrote that
	}
	if force || r.Released || r.Owner == l.owner {
		return nil
	}
	now := l.now()
	// It was renewed while this daemon watched.
	alive := l.seen != "" && tag != l.seen && now.Sub(l.looked) < RenewEvery
	l.looked = now
	if tag != l.seen {
		l.seen, l.seenAt = tag, now
	}
	age, watched := now.Sub(r.Renewed), now.Sub(l.seenAt)
	looksOld := age >= LeaseTime || age <= -LeaseTime
	switch {
	case watched >= LeaseTime, looksOld && watched >= watchFor:
		return nil
	case looksOld && !alive:
		return fmt.Errorf("%w: %s, by its clock %v ago; %w", ErrLeased, r.Owner, age.Round(time.Second), ErrWatching)
	}
	return fmt.Errorf("%w: %s renewed its lease %v ago (run --take-over takes it anyway)", ErrLeased, r.Owner, age.Round(time.Second))
}

// Renew renews the lease. ErrLeased says that another daemon has taken it.
func (l *Lease) Renew(ctx context.Context) error {
	tag, err := l.replace(ctx, false)
	switch {
	case errors.Is(err, fileio.ErrChanged):
		l.held = false
		return fmt.Errorf("%w: it took the lease", ErrLeased)
	case err != nil:
		return fmt.Errorf("renew the lease %s: %w", l.name, err)
	}
	l.tag = tag
	return nil
}

// replace writes the lease anew, where it is still this daemon's; else it is ErrChanged. The answer
// to what it wrote last may have been lost.
func (l *Lease) replace(ctx context.Context, released bool) (fileio.Tag, error) {
	own := l.sent
	tag, err := l.store.Replace(ctx, l.name, l.record(released), l.tag)
	if !errors.Is(err, fileio.ErrChanged) {
		return tag, err
	}
	if tag, err = l.reread(ctx, own); err != nil {
		return "", err
	}
	return l.store.Replace(ctx, l.name, l.record(released), tag)
}

// reread gives the tag of the lease where it is what this daemon wrote last. Else another one
// took it, which is ErrChanged.
func (l *Lease) reread(ctx context.Context, nonce string) (fileio.Tag, error) {
	content, tag, err := l.store.Read(ctx, l.name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fileio.ErrChanged
	}
	if err != nil {
		return "", err
	}
	var r leaseRecord
	if json.Unmarshal(content, &r) != nil || r.Nonce != nonce {
		return "", fileio.ErrChanged
	}
	return tag, nil
}

// Release lets the next daemon in at once. A lease that another has taken stays as it is.
func (l *Lease) Release(ctx context.Context) error {
	if !l.held {
		return nil
	}
	l.held = false
	_, err := l.replace(ctx, true)
	if errors.Is(err, fileio.ErrChanged) {
		return nil
	}
	return err
}

func (l *Lease) record(released bool) []byte {
	l.sent = rand.Text()
	b, err := json.Marshal(leaseRecord{l.owner, l.now().UTC(), released, l.sent})
	if err != nil {
		panic("commit: " + err.Error()) // strings and times can be rendered
	}
	return b
}
