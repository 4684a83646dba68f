package keyring

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cdcd/table/s3store"
)

// Answer is what a catalog says of the store when a table is loaded or created.
type Answer struct {
	Config  map[string]string // of the table
	Storage []Storage
}

// Storage is what it says of a part of the store.
type Storage struct {
	Prefix string            `json:"prefix"`
	Config map[string]string `json:"config"`
}

// Parse reads the parts of an answer that are called config and storage-credentials, either of
// which may be missing.
func Parse(config, storage []byte) (Answer, error) {
	var a Answer
	for _, part := range []struct {
		name string
		text []byte
		into any
	}{{"config", config, &a.Config}, {"storage-credentials", storage, &a.Storage}} {
		if len(part.text) == 0 {
			continue
		}
		if err := json.Unmarshal(part.text, part.into); err != nil {
			return Answer{}, fmt.Errorf("the catalog's answer has a %s that cannot be read", part.name) // the cause may show a secret
		}
	}
	return a, nil
}

// grant is keys for what a prefix covers.
type grant struct {
	prefix string // "": whatever belongs to the table
	keys   *s3store.Keys
	issued time.Time
}

// grants gives what an answer grants. Storage without keys of S3 is of another store.
func (a Answer) grants(now time.Time) []grant {
	var out []grant
	for _, s := range append([]Storage{{Config: a.Config}}, a.Storage...) {
		if k := keysOf(s.Config, a.Config); k != nil {
			out = append(out, grant{s.Prefix, k, now})
		}
	}
	return out
}

// keysOf gives the keys in a config, nil where there are none. Where the store is may be said
// for the whole table.
func keysOf(config, whole map[string]string) *s3store.Keys {
	k := &s3store.Keys{AccessKeyID: config["s3.access-key-id"], SecretAccessKey: config["s3.secret-access-key"], SessionToken: config["s3.session-token"]}
	if k.AccessKeyID == "" || k.SecretAccessKey == "" {
		return nil
	}
	said := func(keys ...string) string {
		for _, c := range []map[string]string{config, whole} {
			for _, key := range keys {
				if c[key] != "" {
					return c[key]
				}
			}
		}
		return ""
	}
	k.Endpoint, k.Region = said("s3.endpoint"), said("s3.region", "client.region")
	k.PathStyle = strings.EqualFold(said("s3.path-style-access"), "true")
	if ms, err := strconv.ParseInt(config["s3.session-token-expires-at-ms"], 10, 64); err == nil && ms > 0 {
		k.Expires = time.UnixMilli(ms)
	}
	return k
}

// covers tells whether a prefix covers a name.
func covers(prefix, name string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	return ok && (prefix == "" || rest == "" || strings.HasSuffix(prefix, "/") || rest[0] == '/' || rest[0] == ':')
}

// best gives the grant whose prefix covers a name and is the longest, nil where there is none.
func best(grants []grant, name string) *grant {
	var out *grant
	for i := range grants {
		if g := &grants[i]; covers(g.prefix, name) && (out == nil || len(g.prefix) > len(out.prefix)) {
			out = g
		}
	}
	return out
}
