package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"cdcd/table/fileio"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// readBytes is the most that is read by one request.
const readBytes = 8 << 20

// part is a part of an object, and what its answer tells of the whole.
type part struct {
	at       int64
	content  []byte
	size     int64 // of the object
	tag      string
	modified time.Time
}

// get reads a range of an object, "" for all of it, of which at most readBytes are taken. A
// tag that is not empty must be the object's.
func (s *Store) get(ctx context.Context, o object, span, tag string) (part, error) {
	in := &s3.GetObjectInput{Bucket: &o.bucket, Key: &o.key}
	if span != "" {
		in.Range = &span
	}
	if tag != "" {
		in.IfMatch = &tag
	}
	p, err := signed(ctx, s, o, readBytes, func(ctx context.Context, as as, _ bool) (part, error) {
		out, err := s.client.GetObject(ctx, in, as)
		if err != nil {
			return part{}, err
		}
		return takePart(out)
	})
	switch {
	case statusOf(err) == http.StatusRequestedRangeNotSatisfiable:
		err = io.ErrUnexpectedEOF
	case isRefused(err):
		err = fileio.ErrChanged
	}
	return p, err
}

// takePart reads an answer. Reading it to its end lets the client compare checksums.
func takePart(out *s3.GetObjectOutput) (part, error) {
	p := part{size: aws.ToInt64(out.ContentLength), tag: aws.ToString(out.ETag), modified: aws.ToTime(out.LastModified)}
	want := p.size
	if out.ContentRange != nil {
		var last int64
		if _, err := fmt.Sscanf(*out.ContentRange, "bytes %d-%d/%d", &p.at, &last, &p.size); err != nil {
			return part{}, errors.Join(fmt.Errorf("content range %q: %w", *out.ContentRange, err), out.Body.Close())
		}
	}
	var body io.Reader = out.Body
	if want > readBytes {
		want = readBytes
		body = io.LimitReader(body, want)
	}
	content := bytes.NewBuffer(make([]byte, 0, want+bytes.MinRead))
	_, err := content.ReadFrom(body)
	if err := errors.Join(err, out.Body.Close()); err != nil {
		return part{}, err
	}
	if int64(content.Len()) != want {
		return part{}, fmt.Errorf("%d bytes of %d: %w", content.Len(), want, io.ErrUnexpectedEOF)
	}
	p.content = content.Bytes()
	return p, nil
}

// fill reads as many bytes from an offset on as into has room for.
func (s *Store) fill(ctx context.Context, o object, tag string, at int64, into []byte) error {
	for len(into) > 0 {
		n := min(len(into), readBytes)
		p, err := s.get(ctx, o, fmt.Sprintf("bytes=%d-%d", at, at+int64(n)-1), tag)
		if err != nil {
			return err
		}
		if p.at != at || len(p.content) < n {
			return fmt.Errorf("bytes %d to %d: %w", at, at+int64(n), io.ErrUnexpectedEOF)
		}
		copy(into, p.content)
		into, at, tag = into[n:], at+int64(n), p.tag
	}
	return nil
}

// ReadRange reads a part of an object.
func (s *Store) ReadRange(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	o, err := parse("read", name)
	if err != nil {
		return nil, err
	}
	out := make([]byte, length)
	if err := s.fill(ctx, o, "", offset, out); err != nil {
		return nil, o.fail("read", err)
	}
	return out, nil
}

// Read reads an object.
func (s *Store) Read(ctx context.Context, name string) ([]byte, fileio.Tag, error) {
	o, err := parse("read", name)
	if err != nil {
		return nil, "", err
	}
	p, err := s.get(ctx, o, "", "")
	if err != nil {
		return nil, "", o.fail("read", err)
	}
	if rest := p.size - int64(len(p.content)); rest > 0 {
		have := len(p.content)
		p.content = append(p.content, make([]byte, rest)...)
		if err := s.fill(ctx, o, p.tag, int64(have), p.content[have:]); err != nil {
			return nil, "", o.fail("read", err)
		}
	}
	return p.content, fileio.Tag(p.tag), nil
}
