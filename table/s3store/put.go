package s3store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io/fs"

	"cdcd/table/fileio"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/cenkalti/backoff/v5"
)

const (
	// anyObject is the condition that there is none.
	anyObject = "*"
	// writeToken is the metadata that names the write which made an object.
	writeToken = "cdcd-write"
)

// Put makes an object.
func (s *Store) Put(ctx context.Context, name string, content []byte) (fileio.Tag, error) {
	o, err := parse("put", name)
	if err != nil {
		return "", err
	}
	return s.put(ctx, o, content)
}

func (s *Store) put(ctx context.Context, o object, content []byte) (fileio.Tag, error) {
	tag, err := s.write(ctx, o, content, func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String(anyObject) })
	if isRefused(err) {
		err = fs.ErrExist
	}
	return tag, o.fail("put", err)
}

// Replace replaces an object.
func (s *Store) Replace(ctx context.Context, name string, content []byte, old fileio.Tag) (fileio.Tag, error) {
	o, err := parse("replace", name)
	if err != nil {
		return "", err
	}
	tag, err := s.write(ctx, o, content, func(in *s3.PutObjectInput) { in.IfMatch = aws.String(string(old)) })
	switch {
	case isRefused(err):
		err = fileio.ErrChanged
	case isMissing(err):
		err = fmt.Errorf("%w: it is gone", fileio.ErrChanged)
	}
	return tag, o.fail("replace", err)
}

// write writes an object in one request, under a condition.
func (s *Store) write(ctx context.Context, o object, content []byte, condition func(*s3.PutObjectInput)) (fileio.Tag, error) {
	token, sum := rand.Text(), checksum(content)
	return signed(ctx, s, o, len(content), func(ctx context.Context, as as, again bool) (fileio.Tag, error) {
		in := &s3.PutObjectInput{
			Bucket: &o.bucket, Key: &o.key, Body: bytes.NewReader(content), ContentLength: aws.Int64(int64(len(content))),
			ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c, ChecksumCRC32C: &sum, Metadata: map[string]string{writeToken: token},
		}
		condition(in)
		out, err := s.client.PutObject(ctx, in, as)
		if again && (isRefused(err) || isMissing(err)) {
			return s.written(ctx, as, o, token, err)
		}
		if err != nil {
			return "", err
		}
		return fileio.Tag(aws.ToString(out.ETag)), sameSum(sum, out.ChecksumCRC32C)
	})
}

// written finds out whether a write that was refused has been done by an attempt before.
func (s *Store) written(ctx context.Context, as as, o object, token string, refused error) (fileio.Tag, error) {
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &o.bucket, Key: &o.key}, as)
	switch {
	case isMissing(err):
		return "", refused
	case err != nil:
		return "", err
	case out.Metadata[writeToken] != token:
		return "", refused
	}
	return fileio.Tag(aws.ToString(out.ETag)), nil
}

// checksum is CRC-32C as S3 writes it.
func checksum(content []byte) string {
	sum := crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli))
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}

// sameSum compares what was sent with what the server says it got. Servers that say nothing
// have checked the signature, which covers the content, or got it through TLS.
func sameSum(sent string, got *string) error {
	if got == nil || *got == sent {
		return nil
	}
	return backoff.Permanent(fmt.Errorf("the server got other content than was sent: CRC-32C %s, not %s", *got, sent))
}
