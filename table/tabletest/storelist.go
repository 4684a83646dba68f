package tabletest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"
)

// oddNames have characters that URLs, shells or signatures treat specially.
func oddNames() []string {
	return []string{
		"plain.parquet", "with space", "plus+sign", "per%20cent", "per%cent", "a=1/b=2/c", "tilde~2f", "ünïcödé/日本", "quo'te\"d", "semi;colon&amp",
		"que?stion", "ha#sh", "back\\slash", "(paren)[brackets]{braces}", "star*dollar$", "at@colon:comma,", "a.b-c_d!e", "<tag>", "pipe|caret^tick`",
	}
}

func (s *storeTest) names() {
	all := map[string]string{}
	for i, n := range oddNames() {
		name, content := s.base+n, fmt.Sprint("object ", i)
		_, err := s.Put(s.Context(), name, []byte(content))
		s.must(err)
		all[name] = content
	}
	found := s.listed(s.base)
	if have, want := slices.Sorted(maps.Keys(found)), slices.Sorted(maps.Keys(all)); !slices.Equal(have, want) {
		s.Errorf("listed %q, want %q", have, want)
	}
	for name, content := range all {
		s.holds(name, []byte(content))
		if o, ok := s.listed(name)[name]; !ok || o.Size != int64(len(content)) {
			s.Errorf("%s is listed as %+v", name, o)
		}
		s.must(s.Remove(s.Context(), name))
	}
	if left := s.listed(s.base); len(left) > 0 {
		s.Errorf("left: %v", left)
	}
}

func (s *storeTest) listPrefix() {
	for _, n := range []string{"a/1", "a/2", "a/b/3", "ab/4", "b/5"} {
		_, err := s.Put(s.Context(), s.base+n, []byte(n))
		s.must(err)
	}
	for prefix, want := range map[string][]string{
		"":     {"a/1", "a/2", "a/b/3", "ab/4", "b/5"},
		"a":    {"a/1", "a/2", "a/b/3", "ab/4"},
		"a/":   {"a/1", "a/2", "a/b/3"},
		"a/b":  {"a/b/3"},
		"a/b/": {"a/b/3"},
		"b/5":  {"b/5"},
		"c":    nil,
		"c/d/": nil,
	} {
		for i := range want {
			want[i] = s.base + want[i]
		}
		if have := slices.Sorted(maps.Keys(s.listed(s.base + prefix))); !slices.Equal(have, want) {
			s.Errorf("prefix %q: %q, want %q", prefix, have, want)
		}
	}
	for range s.List(s.Context(), s.base) {
		break // a listing need not be read to its end
	}
}

func (s *storeTest) listMany() {
	g, ctx := errgroup.WithContext(s.Context())
	g.SetLimit(racers)
	for i := range manyObjects {
		g.Go(func() error {
			_, err := s.Put(ctx, fmt.Sprintf("%smany/%05d", s.base, i), []byte("x"))
			return err
		})
	}
	s.must(g.Wait())
	found := s.listed(s.base + "many/")
	for i := range manyObjects {
		if name := fmt.Sprintf("%smany/%05d", s.base, i); found[name].Size != 1 {
			s.Errorf("%s is listed as %+v", name, found[name])
		}
	}
	if len(found) != manyObjects {
		s.Errorf("%d objects are listed", len(found))
	}
}

// cancelled asks for everything with a context that has ended: nothing may happen.
func (s *storeTest) cancelled() {
	kept := s.base + "kept"
	tag, err := s.Put(s.Context(), kept, []byte("kept"))
	s.must(err)
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	name := s.base + "cancelled"
	_, err = s.Put(ctx, name, []byte("x"))
	s.wantError("put", err, context.Canceled)
	_, err = s.Replace(ctx, kept, []byte("x"), tag)
	s.wantError("replace", err, context.Canceled)
	s.wantError("remove", s.Remove(ctx, kept), context.Canceled)
	_, _, err = s.Read(ctx, kept)
	s.wantError("read", err, context.Canceled)
	_, err = s.ReadRange(ctx, kept, 0, 1)
	s.wantError("read a range", err, context.Canceled)
	s.wantError("write a file", s.IO(ctx).WriteFile(name, []byte("x")), context.Canceled)
	for _, err = range s.List(ctx, s.base) {
		break
	}
	s.wantError("list", err, context.Canceled)
	s.holds(kept, []byte("kept"))
	s.absent(name)
}

// cancelledMidway ends the context of a writer that has been given something.
func (s *storeTest) cancelledMidway() {
	for _, size := range []int{10, largeBytes} {
		ctx, cancel := context.WithCancel(s.Context())
		name := fmt.Sprintf("%scancelled-%d", s.base, size)
		w, err := s.Create(ctx, name)
		s.must(err)
		_, err = w.Write(randomBytes(size))
		s.must(err)
		cancel()
		_, err = w.Write([]byte("more"))
		s.wantError("write", errors.Join(err, w.Close()), context.Canceled)
		s.absent(name)
	}
}

func (s *storeTest) abort() {
	for _, size := range []int{0, 10, largeBytes} {
		name := fmt.Sprintf("%saborted-%d", s.base, size)
		w, err := s.Create(s.Context(), name)
		s.must(err)
		_, err = w.Write(randomBytes(size))
		s.must(err)
		s.must(w.Abort())
		s.must(w.Abort())
		s.absent(name)
	}
	name := s.base + "closed"
	w, err := s.Create(s.Context(), name)
	s.must(err)
	_, err = w.Write([]byte("content"))
	s.must(err)
	s.must(w.Close())
	s.must(w.Abort())
	if err := w.Close(); err == nil {
		s.Error("closed twice")
	}
	s.holds(name, []byte("content"))
}

// library uses a store as the Iceberg library does.
func (s *storeTest) library() {
	io := s.IO(s.Context())
	for name, size := range map[string]int{"m.avro": 100, "d.parquet": 3 << 20, "v.puffin": 70_000, "long.avro": 3 << 20, "empty": 0} {
		name, content := s.base+name, randomBytes(size)
		w, err := io.Create(name)
		s.must(err)
		n, err := w.ReadFrom(bytes.NewReader(content))
		s.must(err)
		if n != int64(size) {
			s.Errorf("%s: %d bytes read of %d", name, n, size)
		}
		s.must(w.Close())
		s.reads(name, content)
	}
	s.must(io.WriteFile(s.base+"whole", []byte("whole")))
	got, err := io.ReadFile(s.base + "whole")
	s.must(err)
	if string(got) != "whole" {
		s.Errorf("%q", got)
	}
	s.must(io.Remove(s.base + "whole"))
	s.absent(s.base + "whole")
}

// reads opens an object and reads it in all ways.
func (s *storeTest) reads(name string, content []byte) {
	f, err := s.IO(s.Context()).Open(name)
	s.must(err)
	info, err := f.Stat()
	s.must(err)
	if info.Size() != int64(len(content)) {
		s.Errorf("%s: size %d of %d", name, info.Size(), len(content))
	}
	got, err := io.ReadAll(f)
	s.must(err)
	if !bytes.Equal(got, content) {
		s.Errorf("%s: %d bytes read of %d", name, len(got), len(content))
	}
	end, err := f.Seek(0, io.SeekEnd)
	s.must(err)
	if end != int64(len(content)) {
		s.Errorf("%s: the end is at %d of %d", name, end, len(content))
	}
	for _, at := range []int{0, len(content) / 3, len(content) - 8} {
		part := make([]byte, min(len(content), 8))
		at = max(0, at)
		_, err = f.Seek(int64(at), io.SeekStart)
		s.must(err)
		_, err := io.ReadFull(f, part)
		s.must(err)
		again := make([]byte, len(part))
		_, err = f.ReadAt(again, int64(at))
		s.must(err)
		if !bytes.Equal(part, content[at:at+len(part)]) || !bytes.Equal(part, again) {
			s.Errorf("%s: at %d: %x and %x", name, at, part, again)
		}
	}
	n, err := f.ReadAt(make([]byte, len(content)+1), 0)
	if n != len(content) || !errors.Is(err, io.EOF) {
		s.Errorf("%s: reading beyond the end: %d, %v", name, n, err)
	}
	s.must(f.Close())
}
