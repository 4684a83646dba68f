package commit

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cdcd/table/fileio"
)

// leaseLab makes leases on one object, under a clock that the test moves.
type leaseLab struct {
	dir   string
	clock atomic.Int64 // seconds
}

func newLeaseLab(t *testing.T) *leaseLab {
	l := &leaseLab{dir: filepath.Join(t.TempDir(), "warehouse")}
	l.clock.Store(1_800_000_000)
	return l
}

func (l *leaseLab) lease(owner string) *Lease {
	return NewLease(fileio.Disk{}, l.dir, "p", owner, func() time.Time { return time.Unix(l.clock.Load(), 0) })
}

func (l *leaseLab) pass(d time.Duration) { l.clock.Add(int64(d / time.Second)) }

func TestLease(t *testing.T) {
	ctx := context.Background()
	l := newLeaseLab(t)
	first, second := l.lease("one"), l.lease("two")
	if err := first.Take(ctx, false); err != nil {
		t.Fatal(err)
	}
	l.pass(LeaseTime - time.Second)
	if err := second.Take(ctx, false); !errors.Is(err, ErrLeased) || !strings.Contains(err.Error(), "one renewed its lease 14s ago") {
		t.Fatalf("a fresh lease was taken: %v", err)
	}
	if err := first.Renew(ctx); err != nil {
		t.Fatal(err)
	}
	if err := l.lease("one").Take(ctx, false); err != nil {
		t.Errorf("the owner, started again, does not get its own lease: %v", err)
	}
	if err := first.Renew(ctx); !errors.Is(err, ErrLeased) {
		t.Errorf("a lease that was taken is renewed: %v", err)
	}
	l.pass(LeaseTime)
	if err := second.Take(ctx, false); !errors.Is(err, ErrWatching) {
		t.Errorf("a lease that looks old is taken unwatched: %v", err)
	}
	l.pass(watchFor + time.Second)
	if err := second.Take(ctx, false); err != nil {
		t.Errorf("a lease that ran out is not taken: %v", err)
	}
	if err := first.Release(ctx); err != nil {
		t.Error(err)
	}
	if err := first.Take(ctx, false); !errors.Is(err, ErrLeased) {
		t.Errorf("the release of a lost lease released the owner's: %v", err)
	}
	if err := second.Release(ctx); err != nil {
		t.Fatal(err)
	}
	if err := first.Take(ctx, false); err != nil {
		t.Errorf("a released lease is not taken: %v", err)
	}
	if err := second.Take(ctx, true); err != nil {
		t.Errorf("a take-over by force failed: %v", err)
	}
}

// TestLeaseRace lets many daemons start at once: one gets the lease, in an empty warehouse
// and where a lease has run out.
func TestLeaseRace(t *testing.T) {
	l := newLeaseLab(t)
	for round := range 5 {
		var won atomic.Int32
		var g sync.WaitGroup
		leases := make([]*Lease, 8)
		for i := range leases {
			leases[i] = l.lease(fmt.Sprint(round, "x", i))
			if round > 0 {
				if err := leases[i].Take(context.Background(), false); !errors.Is(err, ErrWatching) {
					t.Fatal(err)
				}
			}
		}
		l.pass(watchFor + time.Second)
		for _, lease := range leases {
			g.Go(func() {
				switch err := lease.Take(context.Background(), false); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, ErrLeased):
					t.Error(err)
				}
			})
		}
		g.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d daemons got the lease", won.Load())
		}
		l.pass(LeaseTime)
	}
}

// TestLeaseOfNobody replaces a lease that cannot be read, and one from the future.
func TestLeaseOfNobody(t *testing.T) {
	l := newLeaseLab(t)
	lease := l.lease("one")
	if _, err := (fileio.Disk{}).Put(context.Background(), lease.name, []byte("{")); err != nil {
		t.Fatal(err)
	}
	if err := lease.Take(context.Background(), false); err != nil {
		t.Errorf("a damaged lease is not taken: %v", err)
	}
	l.pass(-time.Hour) // the clock went back, or the owner's was ahead
	two := l.lease("two")
	if err := two.Take(context.Background(), false); !errors.Is(err, ErrWatching) {
		t.Errorf("a lease from the future is taken unwatched: %v", err)
	}
	l.pass(watchFor + time.Second)
	if err := two.Take(context.Background(), false); err != nil {
		t.Errorf("a lease from the future is not taken: %v", err)
	}
}

// TestLeaseUnderOtherClocks has two machines whose clocks are apart, by less than the lease's
// time and by more: while the owner renews, nobody takes its lease, and when it ends the other
// one gets it in time.
func TestLeaseUnderOtherClocks(t *testing.T) {
	ctx := context.Background()
	for _, apart := range []time.Duration{-time.Hour, -time.Minute, -10 * time.Second, 10 * time.Second, time.Minute, time.Hour} {
		l := newLeaseLab(t)
		owner := NewLease(fileio.Disk{}, l.dir, "p", "one", func() time.Time { return time.Unix(l.clock.Load(), 0).Add(apart) })
		other := l.lease("two")
		if err := owner.Take(ctx, false); err != nil {
			t.Fatal(err)
		}
		found := time.Duration(-1) // when it was known that the owner is alive
		for second := range 60 {
			if second%int(RenewEvery/time.Second) == 0 {
				if err := owner.Renew(ctx); err != nil {
					t.Fatal(err)
				}
			}
			if err := other.Take(ctx, false); !errors.Is(err, ErrLeased) {
				t.Fatalf("clocks %v apart: taken from its owner after %d s: %v", apart, second, err)
			} else if found < 0 && !errors.Is(err, ErrWatching) {
				found = time.Duration(second) * time.Second
			}
			l.pass(time.Second)
		}
		if found < 0 || found > watchFor {
			t.Errorf("clocks %v apart: known to be alive after %v", apart, found)
		}
		waited := time.Duration(0)
		for ; other.Take(ctx, false) != nil; waited += time.Second {
			l.pass(time.Second)
		}
		if waited > LeaseTime {
			t.Errorf("clocks %v apart: taken over after %v", apart, waited)
		}
	}
}

// lossyStore replaces objects and loses the answer.
type lossyStore struct {
	fileio.Disk
	lose bool
}

func (s *lossyStore) Replace(ctx context.Context, name string, content []byte, old fileio.Tag) (fileio.Tag, error) {
	tag, err := s.Disk.Replace(ctx, name, content, old)
	if s.lose && err == nil {
		s.lose = false
		return "", errInjected
	}
	return tag, err
}

// answerLost gives a lease that was taken, and of which the answer to the first renewal was lost.
func (l *leaseLab) answerLost(t *testing.T) (*Lease, *lossyStore) {
	t.Helper()
	ctx, store := context.Background(), &lossyStore{}
	owner := NewLease(store, l.dir, "p", "one", func() time.Time { return time.Unix(l.clock.Load(), 0) })
	if err := owner.Take(ctx, false); err != nil {
		t.Fatal(err)
	}
	store.lose = true
	if err := owner.Renew(ctx); !errors.Is(err, errInjected) {
		t.Fatal(err)
	}
	return owner, store
}

// TestLeaseAnswerIsLost renews where the answer to the renewal before was lost: the lease is
// still the owner's.
func TestLeaseAnswerIsLost(t *testing.T) {
	ctx := context.Background()
	l := newLeaseLab(t)
	owner, store := l.answerLost(t)
	if err := owner.Renew(ctx); err != nil {
		t.Errorf("its own lease is not renewed: %v", err)
	}
	store.lose = true
	if err := owner.Renew(ctx); !errors.Is(err, errInjected) {
		t.Fatal(err)
	}
	if err := l.lease("two").Take(ctx, true); err != nil {
		t.Fatal(err)
	}
	if err := owner.Renew(ctx); !errors.Is(err, ErrLeased) {
		t.Errorf("a lease that was taken is renewed: %v", err)
	}
}

// TestLeaseIsReleasedBehindLostAnswer ends a daemon while it renews: the next one need not wait.
func TestLeaseIsReleasedBehindLostAnswer(t *testing.T) {
	ctx := context.Background()
	l := newLeaseLab(t)
	owner, _ := l.answerLost(t)
	if err := owner.Release(ctx); err != nil {
		t.Fatal(err)
	}
	if err := l.lease("two").Take(ctx, false); err != nil {
		t.Errorf("it was not released: %v", err)
	}
}
