package s3store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"cdcd/table/fileio"
	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Scheme is that of the objects' names, which are s3://bucket/key.
const Scheme = "s3"

// Config says where the buckets are.
type Config struct {
	Endpoint  string // URL; "": that of AWS
	Region    string // "": that of the environment
	PathStyle bool   // the bucket is in the path and not in the host name
	// Vendor hands out credentials; nil: they come from where the AWS SDK finds them.
	Vendor Vendor
}

// Store is S3. One client, and so one set of connections, serves all calls.
type Store struct {
	client *s3.Client
	config Config
	vendor Vendor
	own    aws.CredentialsProvider
	region string // of the configuration or the environment
}

var _ fileio.Store = (*Store)(nil)

const (
	// openFor bounds the search for credentials.
	openFor = 30 * time.Second
	// idleConnections is how many are kept for the next call: as many objects are uploaded
	// at the same time, for several tables.
	idleConnections = 64
	// someRegion is what servers other than AWS's take for a region.
	someRegion = "us-east-1"
)

// Open makes a client. It looks for credentials, where no vendor is to hand them out, and does
// not call S3.
func Open(ctx context.Context, c Config) (*Store, error) {
	ctx, cancel := context.WithTimeout(ctx, openFor)
	defer cancel()
	transport := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = idleConnections })
	loaded, err := config.LoadDefaultConfig(ctx, config.WithRegion(c.Region), config.WithHTTPClient(transport))
	if err != nil {
		return nil, fmt.Errorf("S3: %w", err)
	}
	if c.Endpoint != "" {
		loaded.Region = cmp.Or(loaded.Region, someRegion)
	}
	if loaded.Region == "" && c.Vendor == nil {
		return nil, errors.New("S3: the region is not known: set warehouse.s3.region or AWS_REGION")
	}
	if c.Vendor == nil {
		if _, err := loaded.Credentials.Retrieve(ctx); err != nil {
			return nil, fmt.Errorf("S3: no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give a profile or a role: %w", err)
		}
	}
	client := s3.NewFromConfig(loaded, func(o *s3.Options) {
		o.UsePathStyle = c.PathStyle
		if c.Endpoint != "" {
			o.BaseEndpoint = &c.Endpoint
		}
		o.Retryer = aws.NopRetryer{} // what an earlier attempt may have done matters to the next
		o.ClientLogMode = 0
		o.DisableLogOutputChecksumValidationSkipped = true
	})
	return &Store{client: client, config: c, vendor: c.Vendor, own: loaded.Credentials, region: loaded.Region}, nil
}

// object is a name, taken apart.
type object struct{ name, bucket, key string }

// parse takes a name apart. Names that some servers and proxies change are refused.
func parse(op, name string) (object, error) {
	rest, ok := strings.CutPrefix(name, Scheme+"://")
	bucket, key, _ := strings.Cut(rest, "/")
	for part := range strings.SplitSeq(key, "/") {
		ok = ok && part != "" && part != "." && part != ".."
	}
	if !ok || bucket == "" {
		return object{}, &fs.PathError{Op: op, Path: name, Err: fmt.Errorf("%w: want s3://bucket/key", fs.ErrInvalid)}
	}
	return object{name, bucket, key}, nil
}

// fail says what was not possible with an object, in the terms of fileio.
func (o object) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	if isMissing(err) {
		err = fs.ErrNotExist
	}
	if hint := advice(codeOf(err)); hint != "" {
		err = fmt.Errorf("%w: %w (%s)", fileio.ErrAccess, err, hint)
	}
	return &fs.PathError{Op: op, Path: o.name, Err: err}
}

// advice says what to do about an error that takes a person.
func advice(code string) string {
	switch code {
	case "NoSuchBucket":
		return "make the bucket"
	case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch":
		return "the credentials must allow to get, put, delete and list objects"
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return "check warehouse.s3.region and warehouse.s3.endpoint"
	case "NotImplemented":
		return "the server lacks conditional writes and cannot hold a warehouse"
	}
	return ""
}

// Remove removes an object.
func (s *Store) Remove(ctx context.Context, name string) error {
	o, err := parse("remove", name)
	if err != nil {
		return err
	}
	_, err = signed(ctx, s, o, 0, func(ctx context.Context, as as, _ bool) (*s3.DeleteObjectOutput, error) {
		return s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &o.bucket, Key: &o.key}, as)
	})
	if isMissing(err) {
		return nil
	}
	return o.fail("remove", err)
}
