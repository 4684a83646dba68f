package fileio

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
)

// ErrUnfit reports a store that breaks a promise of [Store].
var ErrUnfit = errors.New("the store of the warehouse is refused")

// Probe finds out whether a store does conditional writes, and whether we may do all that is
// needed there. It makes one object below a location, and removes it. Some servers take the
// conditions and do not look at them; the error then is [ErrUnfit], with the reason.
func Probe(ctx context.Context, s Store, location string) (err error) {
	name := location + "/_cdcd/probe-" + rand.Text()
	defer func() {
		if err != nil {
			err = fmt.Errorf("probe of the warehouse's store: %w", err)
		}
	}()
	first, second := []byte("first"), []byte("second")
	tag, err := s.Put(ctx, name, first)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Remove(context.WithoutCancel(ctx), name)) }()
	if _, err := s.Put(ctx, name, second); !errors.Is(err, fs.ErrExist) {
		return unfit("it makes an object although there is one", err)
	}
	now, err := s.Replace(ctx, name, second, tag)
	if err != nil {
		return err
	}
	if _, err := s.Replace(ctx, name, first, tag); !errors.Is(err, ErrChanged) {
		return unfit("it replaces an object that is not the one to be replaced", err)
	}
	content, last, err := s.Read(ctx, name)
	if err != nil {
		return err
	}
	if !bytes.Equal(content, second) || last != now {
		return unfit("a read does not give what was written last", nil)
	}
	for o, err := range s.List(ctx, name) {
		if err != nil {
			return err
		}
		if o.Name == name && o.Size == int64(len(second)) {
			return nil
		}
	}
	return unfit("a listing lacks what was written", nil)
}

// unfit is the error about what a store did, which has no error of its own where it did
// what it must not.
func unfit(what string, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", ErrUnfit, what)
}
