package s3store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"

	"cdcd/table/fileio"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

const (
	// partBytes is the size of a part of a large object. What fits in one is put at once.
	partBytes = 8 << 20
	// partsInFlight bounds the parts of one object that are in memory beside the one being
	// filled.
	partsInFlight = 2
)

// Create begins an object. Nothing is sent before a part is full.
func (s *Store) Create(ctx context.Context, name string) (fileio.Writer, error) {
	o, err := parse("create", name)
	if err != nil {
		return nil, err
	}
	return &writer{ctx: ctx, store: s, object: o}, nil
}

// writer is an object being written. The ctx is that of Create, for the interface has no
// place for another.
type writer struct {
	ctx    context.Context
	store  *Store
	object object
	buf    []byte
	size   int64
	upload *upload // nil until a part is full
	done   bool
}

// Write writes on.
func (w *writer) Write(p []byte) (int, error) {
	if w.done {
		return 0, w.object.fail("write", fs.ErrClosed)
	}
	if err := w.ctx.Err(); err != nil {
		return 0, w.object.fail("write", err)
	}
	rest := p
	for len(rest) > 0 {
		if len(w.buf) == partBytes {
			if err := w.flush(); err != nil {
				return len(p) - len(rest), w.object.fail("write", err)
			}
		}
		n := min(len(rest), partBytes-len(w.buf))
		w.buf = append(w.buf, rest[:n]...)
		w.size += int64(n)
		rest = rest[n:]
	}
	return len(p), nil
}

// ReadFrom copies all of r.
func (w *writer) ReadFrom(r io.Reader) (int64, error) { return io.Copy(onlyWriter{w}, r) }

// onlyWriter hides a writer's ReadFrom.
type onlyWriter struct{ io.Writer }

// Size is how many bytes were written.
func (w *writer) Size() int64 { return w.size }

// flush sends what is collected as a part.
func (w *writer) flush() error {
	if w.upload == nil {
		u, err := w.store.begin(w.ctx, w.object)
		if err != nil {
			return err
		}
		w.upload = u
	}
	content := w.buf
	w.buf = make([]byte, 0, partBytes)
	return w.upload.add(content)
}

// Close makes the object.
func (w *writer) Close() error {
	switch {
	case w.done:
		return w.object.fail("close", fs.ErrClosed)
	case w.ctx.Err() != nil:
		return errors.Join(w.object.fail("close", w.ctx.Err()), w.Abort())
	case w.upload == nil:
		w.done = true
		_, err := w.store.put(w.ctx, w.object, w.buf)
		return err
	}
	err := w.flush()
	if err == nil {
		err = w.upload.complete(w.ctx, w.size)
	}
	if err != nil {
		return errors.Join(w.object.fail("close", err), w.Abort())
	}
	w.done, w.buf = true, nil
	return nil
}

// Abort drops the object.
func (w *writer) Abort() error {
	if w.done {
		return nil
	}
	w.done, w.buf = true, nil
	if w.upload == nil {
		return nil
	}
	return w.object.fail("abort", w.upload.abort(context.WithoutCancel(w.ctx)))
}

// upload is an object that is sent in parts. It shows once it is complete.
type upload struct {
	store  *Store
	object object
	id     string
	token  string // of the write
	ctx    context.Context
	group  *errgroup.Group
	parts  []*types.CompletedPart
}

// begin begins an upload. One whose answer is lost is left behind, and has no parts.
func (s *Store) begin(ctx context.Context, o object) (*upload, error) {
	u := &upload{store: s, object: o, token: rand.Text()}
	out, err := signed(ctx, s, o, 0, func(ctx context.Context, as as, _ bool) (*s3.CreateMultipartUploadOutput, error) {
		return s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
			Bucket: &o.bucket, Key: &o.key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c, Metadata: map[string]string{writeToken: u.token},
		}, as)
	})
	if err != nil {
		return nil, err
	}
	u.id = aws.ToString(out.UploadId)
	u.group, u.ctx = errgroup.WithContext(ctx)
	u.group.SetLimit(partsInFlight)
	return u, nil
}

// add sends a part, in the background where there is room.
func (u *upload) add(content []byte) error {
	if err := context.Cause(u.ctx); err != nil {
		return err // of an earlier part
	}
	sum := checksum(content)
	done := &types.CompletedPart{PartNumber: aws.Int32(int32(len(u.parts) + 1)), ChecksumCRC32C: &sum}
	u.parts = append(u.parts, done)
	u.group.Go(func() error {
		_, err := signed(u.ctx, u.store, u.object, partsInFlight*len(content), func(ctx context.Context, as as, _ bool) (struct{}, error) {
			out, err := u.store.client.UploadPart(ctx, &s3.UploadPartInput{
				Bucket: &u.object.bucket, Key: &u.object.key, UploadId: &u.id, PartNumber: done.PartNumber,
				Body: bytes.NewReader(content), ContentLength: aws.Int64(int64(len(content))),
				ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c, ChecksumCRC32C: &sum,
			}, as)
			if err != nil {
				return struct{}{}, err
			}
			done.ETag = out.ETag
			return struct{}{}, sameSum(sum, out.ChecksumCRC32C)
		})
		return err
	})
	return nil
}

// complete waits for the parts and makes the object of them, unless there is one.
func (u *upload) complete(ctx context.Context, size int64) error {
	if err := u.group.Wait(); err != nil {
		return err
	}
	parts := make([]types.CompletedPart, len(u.parts))
	for i, p := range u.parts {
		parts[i] = *p
	}
	_, err := signed(ctx, u.store, u.object, 0, func(ctx context.Context, as as, again bool) (struct{}, error) {
		_, err := u.store.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: &u.object.bucket, Key: &u.object.key, UploadId: &u.id, MpuObjectSize: &size, IfNoneMatch: aws.String(anyObject),
			MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		}, as)
		if again && (isRefused(err) || codeOf(err) == noSuchUpload) {
			_, err = u.store.written(ctx, as, u.object, u.token, err)
		}
		return struct{}{}, err
	})
	if isRefused(err) {
		return fs.ErrExist
	}
	return err
}

// noSuchUpload is answered once an upload is complete or was dropped.
const noSuchUpload = "NoSuchUpload"

// abort drops the parts.
func (u *upload) abort(ctx context.Context) error {
	_ = u.group.Wait() // its error is why there is an abort, if there is one
	_, err := signed(ctx, u.store, u.object, 0, func(ctx context.Context, as as, _ bool) (*s3.AbortMultipartUploadOutput, error) {
		return u.store.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &u.object.bucket, Key: &u.object.key, UploadId: &u.id}, as)
	})
	if codeOf(err) == noSuchUpload {
		return nil
	}
	return err
}
