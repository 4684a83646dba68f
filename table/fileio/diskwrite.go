package fileio

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	filePerm = 0o644
	dirPerm  = 0o755
)

// Create makes a file, which others can see before it is complete.
func (Disk) Create(ctx context.Context, name string) (Writer, error) {
	p, err := begin(ctx, name)
	if err != nil {
		return nil, err
	}
	f, err := createFile(p)
	if err != nil {
		return nil, err
	}
	return &fileWriter{ctx: ctx, file: f}, nil
}

// createFile makes a file that is not there yet, in a directory that may not be either.
func createFile(path string) (*os.File, error) {
	if err := makeDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePerm)
}

// fileWriter is a file being written. Its interface has no place for a context but the
// call that made it.
type fileWriter struct {
	ctx  context.Context
	file *os.File
	size int64
	done bool
}

// Write writes on.
func (w *fileWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.file.Write(p)
	w.size += int64(n)
	return n, err
}

// ReadFrom copies all of r.
func (w *fileWriter) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(onlyWriter{w}, r)
	return n, err
}

// onlyWriter hides a writer's ReadFrom.
type onlyWriter struct{ io.Writer }

// Size is how many bytes were written.
func (w *fileWriter) Size() int64 { return w.size }

// Close makes the file durable.
func (w *fileWriter) Close() error {
	if w.done {
		return fs.ErrClosed
	}
	if err := w.ctx.Err(); err != nil {
		return errors.Join(err, w.Abort())
	}
	if err := w.file.Sync(); err != nil {
		return errors.Join(err, w.Abort())
	}
	w.done = true
	if err := w.file.Close(); err != nil {
		return errors.Join(err, os.Remove(w.file.Name()))
	}
	return syncDir(filepath.Dir(w.file.Name()))
}

// Abort removes the file.
func (w *fileWriter) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	return errors.Join(w.file.Close(), os.Remove(w.file.Name()))
}

// Put makes a file at once: a reader sees all of it or nothing.
func (Disk) Put(ctx context.Context, name string, content []byte) (Tag, error) {
	p, err := begin(ctx, name)
	if err != nil {
		return "", err
	}
	return tagOf(content), place(ctx, p, content, os.Link)
}

// Replace puts a file in the place of another at once.
func (Disk) Replace(ctx context.Context, name string, content []byte, old Tag) (tag Tag, err error) {
	p, err := begin(ctx, name)
	if err != nil {
		return "", err
	}
	unlock, err := lockDir(ctx, filepath.Dir(p))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s: %w: it is gone", name, ErrChanged)
	}
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	switch now, err := os.ReadFile(p); {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%s: %w: it is gone", name, ErrChanged)
	case err != nil:
		return "", err
	case tagOf(now) != old:
		return "", fmt.Errorf("%s: %w", name, ErrChanged)
	}
	return tagOf(content), place(ctx, p, content, os.Rename)
}

// place writes a durable file beside path and brings it there by os.Link, which fails where
// something is in the way, or by os.Rename, which replaces it.
func place(ctx context.Context, path string, content []byte, bring func(from, to string) error) error {
	dir := filepath.Dir(path)
	f, err := createFile(filepath.Join(dir, temporary+rand.Text()))
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close(), ctx.Err())
	if err == nil {
		err = bring(f.Name(), path)
	}
	if gone := os.Remove(f.Name()); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	if err != nil {
		return err
	}
	return syncDir(dir)
}

// temporary begins the names of files that are not in their place yet.
const temporary = ".cdcd-tmp-"

func isTemporary(name string) bool { return strings.HasPrefix(name, temporary) }

const (
	// dirLockWait bounds how long a replacement or removal waits for another in the same
	// directory; each holds the lock while it syncs one file.
	dirLockWait = 10 * time.Second
	dirLockPoll = 2 * time.Millisecond
)

// lockDir keeps others, of this process and of any, from replacing and removing files of a
// directory, so that looking at a file and replacing it are one step.
func lockDir(ctx context.Context, dir string) (unlock func() error, err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(dirLockWait); ; {
		err = syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			break
		}
		if err = ctx.Err(); err != nil || time.Now().After(deadline) {
			err = errors.Join(err, fmt.Errorf("%w: %s stayed locked by another process for up to %v", ErrBusy, dir, dirLockWait))
			break
		}
		time.Sleep(dirLockPoll)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), d.Close())
	}
	return d.Close, nil
}

// makeDir makes a directory and its parents durable.
func makeDir(dir string) error {
	switch _, err := os.Stat(dir); {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(dir)
	if err := makeDir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, dirPerm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
