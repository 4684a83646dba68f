package tabletest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"cdcd/table/fileio"
)

const (
	// racers is how many go for a name at the same time, and races how often.
	racers = 8
	races  = 5
	// manyObjects is more than one answer of an object store lists.
	manyObjects = 1050
	// largeBytes is more than object stores are usually sent at once.
	largeBytes = 17<<20 + 123
)

// OpenStore gives a store and the beginning of the names that a test may use, which ends in
// a slash and under which there is nothing yet.
type OpenStore func(t *testing.T) (store fileio.Store, base string)

// TestStore checks that a store keeps the promises of [fileio.Store].
func TestStore(t *testing.T, open OpenStore) {
	for name, test := range map[string]func(*storeTest){
		"PutRace":      (*storeTest).putRace,
		"CreateRace":   (*storeTest).createRace,
		"Replace":      (*storeTest).replace,
		"ReplaceRace":  (*storeTest).replaceRace,
		"ReadAfter":    (*storeTest).readAfterWrite,
		"Stream":       (*storeTest).stream,
		"Ranges":       (*storeTest).ranges,
		"Large":        (*storeTest).large,
		"Missing":      (*storeTest).missing,
		"Exists":       (*storeTest).exists,
		"Names":        (*storeTest).names,
		"ListPrefix":   (*storeTest).listPrefix,
		"ListMany":     (*storeTest).listMany,
		"Cancelled":    (*storeTest).cancelled,
		"CancelledMid": (*storeTest).cancelledMidway,
		"Abort":        (*storeTest).abort,
		"IO":           (*storeTest).library,
	} {
		t.Run(name, func(t *testing.T) {
			store, base := open(t)
			test(&storeTest{T: t, Store: store, base: base})
		})
	}
}

// storeTest is one test of a store.
type storeTest struct {
	*testing.T
	fileio.Store
	base string
}

// must ends the test unless an action succeeded.
func (s *storeTest) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// wantError checks what became of an action that must fail.
func (s *storeTest) wantError(what string, err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("%s: have %v, want %v", what, err, want)
	}
}

// holds checks an object's content and gives its tag.
func (s *storeTest) holds(name string, want []byte) fileio.Tag {
	s.Helper()
	got, tag, err := s.Read(s.Context(), name)
	s.must(err)
	if !bytes.Equal(got, want) {
		s.Errorf("%s has %d bytes %.40q, want %d bytes %.40q", name, len(got), got, len(want), want)
	}
	if tag == "" {
		s.Errorf("%s has no tag", name)
	}
	return tag
}

// listed gives what a listing finds, by name.
func (s *storeTest) listed(prefix string) map[string]fileio.Object {
	s.Helper()
	out := map[string]fileio.Object{}
	for o, err := range s.List(s.Context(), prefix) {
		s.must(err)
		if _, twice := out[o.Name]; twice {
			s.Errorf("%s is listed twice", o.Name)
		}
		out[o.Name] = o
	}
	return out
}

// absent checks that there is nothing under a name.
func (s *storeTest) absent(name string) {
	s.Helper()
	_, _, err := s.Read(s.Context(), name)
	s.wantError("read "+name, err, fs.ErrNotExist)
	if found := s.listed(name); len(found) > 0 {
		s.Errorf("listed: %v", found)
	}
}

// race lets several do the same at the same time, and checks that one alone succeeds while
// the error of all others is the wanted one. It gives the winner.
func (s *storeTest) race(want error, do func(racer int) error) (winner int) {
	s.Helper()
	errs := make([]error, racers)
	var ready, done sync.WaitGroup
	ready.Add(racers)
	for i := range racers {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			errs[i] = do(i)
		})
	}
	done.Wait()
	winner = -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			s.Fatalf("%d and %d have both won", winner, i)
		case err == nil:
			winner = i
		default:
			s.wantError("the loser", err, want)
		}
	}
	if winner < 0 {
		s.Fatalf("nobody has won: %v", errs)
	}
	return winner
}

// contentOf is what a racer writes: long enough that two of them overlap.
func contentOf(racer int) []byte { return bytes.Repeat(fmt.Appendf(nil, "racer %d\n", racer), 10_000) }

func (s *storeTest) putRace() {
	for i := range races {
		name := fmt.Sprintf("%srace-%d", s.base, i)
		winner := s.race(fs.ErrExist, func(racer int) error {
			_, err := s.Put(s.Context(), name, contentOf(racer))
			return err
		})
		s.holds(name, contentOf(winner))
	}
}

func (s *storeTest) createRace() {
	for i := range races {
		name := fmt.Sprintf("%srace-%d", s.base, i)
		winner := s.race(fs.ErrExist, func(racer int) error { return s.write(name, contentOf(racer)) })
		s.holds(name, contentOf(winner))
	}
}

// write writes an object as a stream of uneven pieces.
func (s *storeTest) write(name string, content []byte) error {
	w, err := s.Create(s.Context(), name)
	if err != nil {
		return err
	}
	for piece := range slices.Chunk(content, 1<<20-7) {
		if _, err := w.Write(piece); err != nil {
			return errors.Join(err, w.Abort())
		}
	}
	if w.Size() != int64(len(content)) {
		s.Errorf("%s: the writer counts %d bytes of %d", name, w.Size(), len(content))
	}
	return w.Close()
}

func (s *storeTest) replace() {
	ctx, name := s.Context(), s.base+"state"
	first, err := s.Put(ctx, name, []byte("one"))
	s.must(err)
	if tag := s.holds(name, []byte("one")); tag != first {
		s.Errorf("put gave tag %s, read gives %s", first, tag)
	}
	second, err := s.Replace(ctx, name, []byte("two"), first)
	s.must(err)
	if tag := s.holds(name, []byte("two")); tag != second || tag == first {
		s.Errorf("tags: %s, then %s, read gives %s", first, second, tag)
	}
	_, err = s.Replace(ctx, name, []byte("three"), first)
	s.wantError("replace by an old tag", err, fileio.ErrChanged)
	s.holds(name, []byte("two"))
	s.must(s.Remove(ctx, name))
	_, err = s.Replace(ctx, name, []byte("four"), second)
	s.wantError("replace what is gone", err, fileio.ErrChanged)
	s.absent(name)
}

func (s *storeTest) replaceRace() {
	name := s.base + "state"
	tag, err := s.Put(s.Context(), name, []byte("first"))
	s.must(err)
	for range races {
		next := make([]fileio.Tag, racers)
		winner := s.race(fileio.ErrChanged, func(racer int) (err error) {
			content := fmt.Appendf(nil, "after %s by %d", tag, racer)
			next[racer], err = s.Replace(s.Context(), name, content, tag)
			return err
		})
		s.holds(name, fmt.Appendf(nil, "after %s by %d", tag, winner))
		tag = next[winner]
	}
}

func (s *storeTest) readAfterWrite() {
	for i := range 20 {
		name, content := fmt.Sprintf("%sdir/%d", s.base, i), fmt.Appendf(nil, "content %d", i)
		_, err := s.Put(s.Context(), name, content)
		s.must(err)
		s.holds(name, content)
		if o, ok := s.listed(s.base + "dir/")[name]; !ok || o.Size != int64(len(content)) || o.Modified.IsZero() {
			s.Errorf("listed as %+v", o)
		}
		if i%2 == 0 {
			continue
		}
		s.must(s.Remove(s.Context(), name))
		s.absent(name)
	}
}

func (s *storeTest) stream() {
	for _, size := range []int{0, 1, 4096, 2<<20 + 1} {
		name, content := fmt.Sprintf("%sstream-%d", s.base, size), randomBytes(size)
		s.must(s.write(name, content))
		s.holds(name, content)
		if o := s.listed(name)[name]; o.Size != int64(size) {
			s.Errorf("%d bytes are listed as %d", size, o.Size)
		}
	}
}

// randomBytes gives content that is the same every time.
func randomBytes(n int) []byte {
	out := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(out) // never fails
	return out
}

func (s *storeTest) ranges() {
	name, content := s.base+"object", randomBytes(10_000)
	_, err := s.Put(s.Context(), name, content)
	s.must(err)
	for _, r := range [][2]int64{{0, 1}, {0, 10_000}, {1, 9_999}, {5_000, 100}, {9_999, 1}, {7, 0}} {
		got, err := s.ReadRange(s.Context(), name, r[0], r[1])
		s.must(err)
		if !bytes.Equal(got, content[r[0]:r[0]+r[1]]) {
			s.Errorf("range %v has %d bytes", r, len(got))
		}
	}
	for _, r := range [][2]int64{{0, 10_001}, {9_999, 2}, {10_000, 1}, {20_000, 5}} {
		_, err := s.ReadRange(s.Context(), name, r[0], r[1])
		s.wantError(fmt.Sprint("range ", r), err, io.ErrUnexpectedEOF)
	}
}

func (s *storeTest) large() {
	name, content := s.base+"large", randomBytes(largeBytes)
	s.must(s.write(name, content))
	s.holds(name, content)
	at := int64(largeBytes - 1000)
	got, err := s.ReadRange(s.Context(), name, at, 1000)
	s.must(err)
	if !bytes.Equal(got, content[at:]) {
		s.Error("the end differs")
	}
	s.wantError("write over it", s.write(name, content[:largeBytes-1]), fs.ErrExist)
	s.holds(name, content)
	whole := s.base + "at-once"
	_, err = s.Put(s.Context(), whole, content)
	s.must(err)
	s.holds(whole, content)
}

func (s *storeTest) missing() {
	ctx, name := s.Context(), s.base+"no/such/object"
	s.absent(name)
	_, err := s.ReadRange(ctx, name, 0, 1)
	s.wantError("read a range", err, fs.ErrNotExist)
	_, err = s.IO(ctx).Open(name)
	s.wantError("open", err, fs.ErrNotExist)
	_, err = s.IO(ctx).ReadFile(name)
	s.wantError("read", err, fs.ErrNotExist)
	s.must(s.Remove(ctx, name))
	_, err = s.Replace(ctx, name, nil, "tag")
	s.wantError("replace", err, fileio.ErrChanged)
}

func (s *storeTest) exists() {
	ctx, name := s.Context(), s.base+"object"
	_, err := s.Put(ctx, name, []byte("first"))
	s.must(err)
	_, err = s.Put(ctx, name, []byte("second"))
	s.wantError("put", err, fs.ErrExist)
	s.wantError("create", s.write(name, []byte("second")), fs.ErrExist)
	s.wantError("write a file", s.IO(ctx).WriteFile(name, []byte("second")), fs.ErrExist)
	s.holds(name, []byte("first"))
}
