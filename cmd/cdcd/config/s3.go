package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// Warehouse is where the Iceberg tables live.
type Warehouse struct {
	Location string `yaml:"location" check:"required"` // file:// and an absolute path, or s3://bucket/prefix
	S3       S3     `yaml:"s3"`
}

// S3 says where the buckets are. Credentials come from where the AWS SDK finds them.
type S3 struct {
	Endpoint  string `yaml:"endpoint"`   // URL; "": that of AWS
	Region    string `yaml:"region"`     // "": that of the environment
	PathStyle bool   `yaml:"path_style"` // the bucket is in the path and not in the host name
}

const s3Scheme = "s3://"

// InS3 tells whether the warehouse is in S3.
func (w Warehouse) InS3() bool { return strings.HasPrefix(w.Location, s3Scheme) }

// warehouse settles the warehouse. No key of S3 may be without effect.
func (s *settler) warehouse() {
	w := &s.cfg.Warehouse
	s.canon("warehouse.location", &w.Location, canonLocation)
	s.canon("warehouse.s3.endpoint", &w.S3.Endpoint, canonEndpoint)
	if !regexp.MustCompile(`^[a-z0-9-]*$`).MatchString(w.S3.Region) {
		s.report("warehouse.s3.region", "want a name like eu-central-1")
	}
	if w.InS3() {
		s.inS3()
		return
	}
	for _, set := range []struct {
		key string
		on  bool
	}{{"endpoint", w.S3.Endpoint != ""}, {"region", w.S3.Region != ""}, {"path_style", w.S3.PathStyle}} {
		if set.on && w.Location != "" {
			s.report("warehouse.s3."+set.key, "has no effect, for warehouse.location is not in S3")
		}
	}
}

// inS3 checks what a warehouse in S3 goes with.
func (s *settler) inS3() {
	if s.cfg.Catalog.Type == CatalogEmbedded {
		s.report("warehouse.location", "the embedded catalog needs a warehouse on a local disk; for one in S3 set catalog.type to jdbc or rest")
	}
	u, err := url.Parse(s.cfg.Warehouse.S3.Endpoint)
	if err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		s.warnings = append(s.warnings, Warning{s.cfg.place("warehouse.s3.endpoint"), "warehouse.s3.endpoint", "the rows travel to the store unencrypted; use https://"})
	}
}

// canonEndpoint returns the URL of a server without a path.
func canonEndpoint(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || !isHost(u.Hostname()) {
		return "", errors.New("want http://host:port or https://host:port")
	}
	if u.User != nil {
		return "", errors.New("credentials are not given here: the AWS SDK finds them in the environment, in its files, or by a role")
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("want no path behind the host; the bucket stands in warehouse.location")
	}
	return u.Scheme + "://" + u.Host, nil
}

// canonS3 returns the URL of a part of a bucket, rest being what follows s3://.
func canonS3(rest string) (string, error) {
	bucket, prefix, _ := strings.Cut(strings.TrimRight(rest, "/"), "/")
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`).MatchString(bucket) {
		return "", errors.New("want s3://bucket/prefix, the bucket's name of 3 to 63 of a-z, 0-9, dots and hyphens")
	}
	if prefix == "" {
		return s3Scheme + bucket, nil
	}
	for part := range strings.SplitSeq(prefix, "/") {
		if part == "" || part == "." || part == ".." {
			return "", errors.New("want s3://bucket/prefix without //, /./ and /../ in the prefix")
		}
	}
	return s3Scheme + bucket + "/" + prefix, escapeFree(prefix)
}

// escapeFree reports a character that URLs escape: the engines that read the tables disagree
// on whether to unescape a location.
func escapeFree(path string) error {
	for _, r := range path {
		if r > unicode.MaxASCII || !isNameRune(r) && !strings.ContainsRune("/.~=@", r) {
			return fmt.Errorf("the character %q has to be escaped in a URL, which not every engine does alike; use another name", r)
		}
	}
	return nil
}
