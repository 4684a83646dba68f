package s3store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"

	"cdcd/table/fileio"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// List lists objects, as many at a time as the server gives.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[fileio.Object, error] {
	return func(yield func(fileio.Object, error) bool) {
		rest, ok := strings.CutPrefix(prefix, Scheme+"://")
		bucket, key, _ := strings.Cut(rest, "/")
		o := object{prefix, bucket, key}
		if !ok || bucket == "" {
			yield(fileio.Object{}, o.fail("list", fs.ErrInvalid))
			return
		}
		var next *string
		for {
			page, err := s.page(ctx, o, next)
			if err != nil {
				yield(fileio.Object{}, o.fail("list", err))
				return
			}
			for _, c := range page.Contents {
				name := fmt.Sprintf("%s://%s/%s", Scheme, bucket, aws.ToString(c.Key))
				if !yield(fileio.Object{Name: name, Size: aws.ToInt64(c.Size), Modified: aws.ToTime(c.LastModified)}, nil) {
					return
				}
			}
			if next = page.NextContinuationToken; next == nil {
				return
			}
		}
	}
}

// page lists what comes behind a token.
func (s *Store) page(ctx context.Context, o object, token *string) (*s3.ListObjectsV2Output, error) {
	page, err := signed(ctx, s, o, 0, func(ctx context.Context, as as, _ bool) (*s3.ListObjectsV2Output, error) {
		return s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &o.bucket, Prefix: &o.key, ContinuationToken: token}, as)
	})
	switch {
	case err != nil:
		return nil, err
	case !aws.ToBool(page.IsTruncated):
		page.NextContinuationToken = nil
	case page.NextContinuationToken == nil || token != nil && *token == *page.NextContinuationToken:
		return nil, errors.New("the server does not say where the listing goes on")
	}
	return page, nil
}
