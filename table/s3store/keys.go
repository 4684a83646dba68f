package s3store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"cdcd/table/fileio"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Keys are credentials for a part of the store, and where that part is. What is empty is not
// said.
type Keys struct {
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
	Expires         time.Time // zero: it is not said
	Endpoint        string
	Region          string
	PathStyle       bool
}

// Format writes none of the secrets, whatever the verb.
func (k Keys) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "credentials of the store") // a fmt.State has no error to hand on to
}

// Vendor hands out keys, object by object. It is used by any number of goroutines.
type Vendor interface {
	// Keys gives those for an object, or for all whose names begin with name; nil stands for
	// the store's own.
	Keys(ctx context.Context, name string) (*Keys, error)
	// Renew gives others in the place of those that the store refuses, or the same where
	// there are no others.
	Renew(ctx context.Context, name string, refused *Keys) (*Keys, error)
}

// as says with which keys, and where, a request is made.
type as = func(*s3.Options)

// signed makes attempts at a request for an object, as [retry] does. The keys are those in
// force when an attempt begins. If the store refuses them, others are asked for, once a call.
func signed[T any](ctx context.Context, s *Store, o object, bytes int, attempt func(ctx context.Context, as as, again bool) (T, error)) (T, error) {
	if s.vendor == nil {
		return retry(ctx, bytes, func(ctx context.Context, again bool) (T, error) { return attempt(ctx, func(*s3.Options) {}, again) })
	}
	renewed := false
	return retry(ctx, bytes, func(ctx context.Context, again bool) (out T, err error) {
		keys, err := s.vendor.Keys(ctx, o.name)
		if err != nil {
			return out, err
		}
		as, err := s.signer(ctx, keys)
		if err != nil {
			return out, err
		}
		out, err = attempt(ctx, as, again)
		if renewed || keys == nil || !refusesKeys(err) {
			return out, err
		}
		renewed = true
		others, renewErr := s.vendor.Renew(ctx, o.name, keys)
		if renewErr != nil {
			return out, fmt.Errorf("%w; and there are no new credentials: %w", err, renewErr)
		}
		if others == nil || others == keys {
			return out, err
		}
		if as, err = s.signer(ctx, others); err != nil {
			return out, err
		}
		return attempt(ctx, as, again) // what was refused has done nothing
	})
}

// signer applies keys. What the configuration says of the server's address comes first.
func (s *Store) signer(ctx context.Context, k *Keys) (as, error) {
	if k == nil {
		_, err := s.own.Retrieve(ctx)
		if err != nil {
			return nil, fmt.Errorf("%w: the catalog hands out no credentials for it, for it is outside of its tables' locations, and there are none of our own: %w", fileio.ErrAccess, err)
		}
		if s.region == "" {
			return nil, errRegion
		}
		return func(*s3.Options) {}, nil
	}
	endpoint := cmp.Or(s.config.Endpoint, k.Endpoint)
	region := cmp.Or(s.config.Region, k.Region, s.region)
	if region == "" && endpoint != "" {
		region = someRegion
	}
	if region == "" {
		return nil, errRegion
	}
	return func(o *s3.Options) {
		o.Region, o.UsePathStyle = region, s.config.PathStyle || k.PathStyle
		if endpoint != "" {
			o.BaseEndpoint = &endpoint
		}
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.SecretAccessKey, SessionToken: k.SessionToken}, nil
		})
	}, nil
}

// errRegion reports that nobody says where the bucket is.
var errRegion = fmt.Errorf("%w: %w", fileio.ErrAccess, errors.New("the region is not known: set warehouse.s3.region or AWS_REGION"))

// refusesKeys reports an answer that other keys may change.
func refusesKeys(err error) bool {
	return statusOf(err) == http.StatusForbidden || slices.Contains([]string{"ExpiredToken", "InvalidToken", "TokenRefreshRequired"}, codeOf(err))
}
