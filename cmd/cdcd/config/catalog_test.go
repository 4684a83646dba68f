package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCatalogValues(t *testing.T) {
	tests := map[string]struct {
		text     string
		want     Catalog
		endpoint string
		warnings []string
	}{
		"embedded": {"catalog: {type: embedded}", Catalog{Type: CatalogEmbedded}, "127.0.0.1:8181", nil},
		"jdbc": {
			"catalog: {type: jdbc, uri: 'postgres://me:${env:CDCD_MYSQL_PASSWORD}@localhost/lake'}",
			Catalog{Type: CatalogJDBC, URI: "postgres://me:s3cret@localhost/lake", Name: "cdcd"},
			"127.0.0.1:8181", nil,
		},
		"jdbc elsewhere": {
			"catalog: {type: jdbc, name: prod, uri: 'postgresql://me:${env:EMPTY}@db:5433/lake?application_name=x'}",
			Catalog{Type: CatalogJDBC, URI: "postgresql://me:@db:5433/lake?application_name=x", Name: "prod"},
			"127.0.0.1:8181",
			[]string{"catalog.uri: what goes to the catalog's database may not be encrypted; add ?sslmode=verify-full"},
		},
		"literal password": {
			"catalog: {type: jdbc, uri: 'postgres://me:hunter2@db/lake?sslmode=verify-full'}",
			Catalog{Type: CatalogJDBC, URI: "postgres://me:hunter2@db/lake?sslmode=verify-full", Name: "cdcd"},
			"127.0.0.1:8181",
			[]string{"catalog.uri: the secret stands in the file; refer to it by ${cred:NAME}, ${file:/path} or ${env:NAME}"},
		},
		"rest": {
			"catalog: {type: rest, uri: 'https://lake.example/iceberg/v1/', warehouse: w, credential: 'id:${env:CDCD_MYSQL_PASSWORD}', scope: s, token_uri: 'https://id.example/token'}",
			Catalog{Type: CatalogREST, URI: "https://lake.example/iceberg", Warehouse: "w", Credential: "id:s3cret", Scope: "s", TokenURI: "https://id.example/token"},
			"", nil,
		},
		"rest with an endpoint": {
			"catalog: {type: rest, uri: 'http://127.0.0.1:8181', token: '${env:CDCD_MYSQL_PASSWORD}'}\ncatalog_endpoint: {listen: localhost:1}",
			Catalog{Type: CatalogREST, URI: "http://127.0.0.1:8181", Token: "s3cret"},
			"localhost:1", nil,
		},
		"rest that vends": {
			"catalog: {type: rest, uri: 'https://lake.example', vended_credentials: true}",
			Catalog{Type: CatalogREST, URI: "https://lake.example", VendedCredentials: true},
			"", nil,
		},
		"rest in the clear": {
			"catalog: {type: rest, uri: 'http://lake.example', token: '${env:CDCD_MYSQL_PASSWORD}'}",
			Catalog{Type: CatalogREST, URI: "http://lake.example", Token: "s3cret"},
			"",
			[]string{"catalog.uri: secrets travel to the catalog unencrypted; use https://"},
		},
		// Commands that do without secrets find the references empty.
		"rest without its secret": {
			"catalog: {type: rest, uri: 'http://lake.example', credential: '${env:EMPTY}', scope: s}",
			Catalog{Type: CatalogREST, URI: "http://lake.example", Scope: "s"},
			"", nil,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, warnings := mustLoad(t, testEnv(inS3If(tt.want.VendedCredentials)+tt.text))
			if diff := cmp.Diff(tt.want, c.Catalog); diff != "" {
				t.Error(diff)
			}
			if c.CatalogEndpoint.Listen != tt.endpoint {
				t.Errorf("endpoint %q", c.CatalogEndpoint.Listen)
			}
			var got []string
			for _, w := range warnings {
				got = append(got, w.Key+": "+w.Message)
			}
			if diff := cmp.Diff(tt.warnings, got); diff != "" {
				t.Error(diff)
			}
			checkPrint(t, c)
			text := printed(t, c, true)
			for _, secret := range []string{"s3cret", "hunter2"} {
				if strings.Contains(text, secret) {
					t.Errorf("shows the secret:\n%s", text)
				}
			}
		})
	}
}

func TestURIHidesItsPassword(t *testing.T) {
	for in, want := range map[string]string{
		"":                                     "",
		"http://host/path":                     "http://host/path",
		"postgres://me@db/lake":                "postgres://me@db/lake",
		"postgres://me:hunter2@db/lake":        "postgres://me:***@db/lake",
		"postgres://me:hun:ter@2@db/lake":      "postgres://me:***@db/lake",
		"postgres://me:hun/ter#2?@db/lake?a=b": "postgres://me:***@db/lake?a=b",
		"postgres://:hunter2@db/lake":          "postgres://:***@db/lake",
	} {
		u := URI(in)
		text, err := u.MarshalText()
		for _, got := range []string{u.String(), fmt.Sprint(u), fmt.Sprintf("%q %#v %x", u, u, u), fmt.Sprintf("%+v", Catalog{URI: u}), string(text)} {
			if err != nil || strings.Contains(got, "hun") || !strings.Contains(got, want) {
				t.Errorf("%q: shows %q, %v", in, got, err)
			}
		}
		if u.Reveal() != in {
			t.Errorf("%q: reveals %q", in, u.Reveal())
		}
	}
}

// inS3If is the minimal configuration, with the warehouse in S3 if asked for.
func inS3If(s3 bool) string {
	if s3 {
		return strings.Replace(minimal, "/var/lib/cdcd/warehouse", "s3://lake/x", 1)
	}
	return minimal
}
