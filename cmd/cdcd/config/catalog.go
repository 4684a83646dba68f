package config

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"slices"
	"strings"
)

// Values of [Catalog.Type].
const (
	CatalogEmbedded = "embedded" // a database in the warehouse
	CatalogJDBC     = "jdbc"     // PostgreSQL
	CatalogREST     = "rest"     // Iceberg's REST protocol
)

// defaultCatalogName is the name of a JDBC catalog.
const defaultCatalogName = "cdcd"

// Catalog is the Iceberg catalog that the tables are in.
type Catalog struct {
	Type       string `yaml:"type" oneof:"embedded|jdbc|rest"`
	URI        URI    `yaml:"uri"`        // jdbc: postgres://user:password@host:port/database; rest: http or https, without /v1
	Name       string `yaml:"name"`       // jdbc: the catalog's name in its rows
	Warehouse  string `yaml:"warehouse"`  // rest: what the server calls the warehouse
	Credential Secret `yaml:"credential"` // rest: client id:client secret, for OAuth2 client credentials
	TokenURI   string `yaml:"token_uri"`  // rest: the OAuth2 endpoint; "": the catalog's own
	Scope      string `yaml:"scope"`      // rest: "" is catalog
	Token      Secret `yaml:"token"`      // rest: a bearer token instead of a credential

	VendedCredentials bool `yaml:"vended_credentials"` // rest, in S3: the catalog hands out the credentials of the store
}

// URI is an address that may hold a password, which shows itself only to Reveal.
type URI string

// Reveal returns the whole address.
func (u URI) Reveal() string { return string(u) }

// password finds the password in an address, be it well-formed or not.
func (u URI) password() (before, password, after string) {
	scheme, rest, ok := strings.Cut(string(u), "://")
	at := strings.LastIndex(rest, "@")
	if !ok || at < 0 {
		return string(u), "", ""
	}
	user, password, _ := strings.Cut(rest[:at], ":")
	return scheme + "://" + user, password, rest[at:]
}

// String returns the address with *** for the password.
func (u URI) String() string {
	before, password, after := u.password()
	if password == "" {
		return string(u)
	}
	return before + ":***" + after
}

// Format writes what String returns, whatever the verb.
func (u URI) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, u.String()) // a fmt.State has no error to hand on to
}

// MarshalText returns what String does.
func (u URI) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// holdsSecret tells whether a value of the configuration holds something to hide.
func holdsSecret(v reflect.Value) bool {
	switch x := v.Interface().(type) {
	case Secret:
		return x != ""
	case URI:
		_, password, _ := x.password()
		return password != ""
	}
	return false
}

// catalog settles the catalog. No key of it may be without effect.
func (s *settler) catalog() {
	c := &s.cfg.Catalog
	keys := []struct{ key, value string }{
		{"uri", string(c.URI)},
		{"name", c.Name},
		{"warehouse", c.Warehouse},
		{"credential", string(c.Credential)},
		{"token_uri", c.TokenURI},
		{"scope", c.Scope},
		{"token", string(c.Token)},
		{"vended_credentials", map[bool]string{true: "true"}[c.VendedCredentials]},
	}
	used, known := map[string][]string{
		CatalogEmbedded: nil,
		CatalogJDBC:     {"uri", "name"},
		CatalogREST:     {"uri", "warehouse", "credential", "token_uri", "scope", "token", "vended_credentials"},
	}[c.Type]
	for _, k := range keys {
		if known && k.value != "" && !slices.Contains(used, k.key) {
			s.report("catalog."+k.key, "has no effect with catalog.type %s", c.Type)
		}
	}
	switch c.Type {
	case CatalogJDBC:
		if c.Name == "" {
			c.Name = defaultCatalogName
		}
		s.catalogURI(s.jdbcURI)
	case CatalogREST:
		s.catalogURI(s.restURI)
		s.restAccess()
		if c.VendedCredentials && s.cfg.Warehouse.Location != "" && !s.cfg.Warehouse.InS3() {
			s.report("catalog.vended_credentials", "has no effect, for warehouse.location is not in S3")
		}
		if !s.present("catalog_endpoint.listen") {
			s.cfg.CatalogEndpoint.Listen = "" // readers have the catalog itself
		}
	}
}

// catalogURI checks the address of a catalog that needs one.
func (s *settler) catalogURI(check func(u *url.URL) error) {
	const key = "catalog.uri"
	text := s.cfg.Catalog.URI.Reveal()
	if text == "" {
		s.report(key, "the key is required with catalog.type %s", s.cfg.Catalog.Type)
		return
	}
	u, err := url.Parse(text) // its error would show the password
	if err != nil {
		s.report(key, "is not a URI; in a password, write %%25 for %%, %%2F for /, %%3A for :, %%40 for @, %%3F for ?, %%23 for #")
		return
	}
	if err := check(u); err != nil {
		s.report(key, "%s", err)
	}
}

func (s *settler) jdbcURI(u *url.URL) error {
	query := u.Query()
	switch {
	case u.Scheme != "postgres" && u.Scheme != "postgresql":
		return errors.New("only PostgreSQL works in this version: want postgres://user:password@host:port/database")
	case u.Hostname() == "" || len(u.Path) < len("/x") || u.Fragment != "":
		return errors.New("want postgres://user:password@host:port/database")
	case query.Has("password") || query.Has("sslpassword"):
		return errors.New("a password belongs before the @")
	case !isLoopback(u.Hostname()) && !query.Has("sslmode"):
		s.warnOf("catalog.uri", "what goes to the catalog's database may not be encrypted; add ?sslmode=verify-full")
	}
	return nil
}

func (s *settler) restURI(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return errors.New("want http://host:port/path or https://host:port/path")
	case u.User != nil:
		return errors.New("a password belongs into catalog.credential or catalog.token")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("want no ? and no #")
	}
	path := strings.TrimRight(u.Path, "/")
	u.Path, u.RawPath = strings.TrimRight(strings.TrimSuffix(path, "/v1"), "/"), ""
	s.cfg.Catalog.URI = URI(u.String())
	return nil
}

// restAccess checks how a REST catalog lets us in.
func (s *settler) restAccess() {
	c := &s.cfg.Catalog
	credential := c.Credential != "" || s.present("catalog.credential")
	if c.Credential != "" && c.Token != "" {
		s.report("catalog.token", "is given beside catalog.credential; one of them is enough")
	}
	for _, k := range []struct{ key, value string }{{"token_uri", c.TokenURI}, {"scope", c.Scope}} {
		if k.value != "" && !credential {
			s.report("catalog."+k.key, "has no effect without catalog.credential")
		}
	}
	if u, err := url.Parse(c.TokenURI); c.TokenURI != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil) {
		s.report("catalog.token_uri", "want http://host:port/path or https://host:port/path")
	}
	for _, k := range []struct{ key, value string }{{"uri", c.URI.Reveal()}, {"token_uri", c.TokenURI}} {
		u, err := url.Parse(k.value)
		if err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) && (c.Credential != "" || c.Token != "") {
			s.warnOf("catalog."+k.key, "secrets travel to the catalog unencrypted; use https://")
		}
	}
}

func (s *settler) warnOf(key, message string) {
	s.warnings = append(s.warnings, Warning{s.cfg.place(key), key, message})
}
