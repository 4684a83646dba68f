package table

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"cdcd/table/fileio"
	"cdcd/table/keyring"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/catalog/rest"
	"github.com/cenkalti/backoff/v5"
)

// REST is a catalog behind Iceberg's REST protocol.
type REST struct {
	remote
	client *rest.Catalog
	ring   *keyring.Ring // nil: no credentials are asked for
}

// RESTConfig says where a REST catalog is and who we are to it.
type RESTConfig struct {
	URI        string // without /v1
	Warehouse  string // what the server calls the warehouse; "": its only one
	Credential string // client id:client secret, for a token
	TokenURI   string // that gives the token; "": the catalog's own
	Scope      string // of the token; "": catalog
	Token      string // instead of a credential
	Location   string // of the warehouse
	Vended     bool   // the catalog is asked for credentials of the store
}

// OpenREST opens a catalog behind Iceberg's REST protocol.
func OpenREST(ctx context.Context, c RESTConfig) (*REST, error) {
	fileio.Install()
	options := []rest.Option{
		rest.WithTransportFactory(transports(c.Vended)), rest.WithWarehouseLocation(c.Warehouse), rest.WithScope(c.Scope),
		rest.WithCredential(c.Credential), rest.WithOAuthToken(c.Token),
		// A Mark is looked for along all of main's history, which has few refs.
		rest.WithAdditionalProps(iceberg.Properties{"snapshot-loading-mode": string(rest.SnapshotModeAll)}),
	}
	if c.TokenURI != "" {
		u, err := url.Parse(c.TokenURI)
		if err != nil {
			return nil, fmt.Errorf("token endpoint: %w", err)
		}
		options = append(options, rest.WithAuthURI(u))
	}
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	cat, err := rest.NewCatalog(ctx, catalogName, c.URI, options...)
	if err != nil {
		return nil, fmt.Errorf("catalog %s: %w", c.URI, refused(err))
	}
	r := &REST{remote: remote{cat, newWarehouse(c.Location), refused}, client: cat}
	if c.Vended {
		r.ring = keyring.New(vendor{r.remote})
	}
	return r, nil
}

// refused marks the errors of a server that does not let us in.
func refused(err error) error {
	if errors.Is(err, rest.ErrUnauthorized) || errors.Is(err, rest.ErrForbidden) {
		return fmt.Errorf("%w: %w", ErrCatalogAccess, err)
	}
	if !errors.Is(err, rest.ErrOAuthError) {
		return err
	}
	// The library tells an endpoint that says no from one that does not answer by text only.
	for _, code := range []string{"invalid_client", "invalid_grant", "invalid_scope", "unauthorized_client", "access_denied"} {
		if strings.Contains(err.Error(), code) {
			return fmt.Errorf("%w: %w", ErrCatalogAccess, err)
		}
	}
	return err
}

// Metadata gives a table's current metadata file and its content, as the server tells it.
func (r *REST) Metadata(ctx context.Context, n Name) (location string, content []byte, ok bool, err error) {
	t, err := r.LoadTable(ctx, n.identifier())
	if errors.Is(err, catalog.ErrNoSuchTable) || errors.Is(err, catalog.ErrNoSuchNamespace) {
		return "", nil, false, nil
	}
	if err != nil {
		return "", nil, false, err
	}
	content, err = encodeMetadata(t.Metadata())
	return t.MetadataLocation(), content, err == nil, err
}

// Close lets go of the connections.
func (r *REST) Close() error { return r.client.Close() }

const (
	handshakePatience = 10 * time.Second
	idleFor           = 90 * time.Second
	idleConnections   = 16
)

// transport sends each request of a catalog's client to the server that it is meant for: once
// if it may change something, for net/http too repeats a request only where nothing of it was
// sent; a few times if it only asks.
type transport struct {
	http.RoundTripper
	vended bool
}

// transports gives a rest.TransportFactory.
func transports(vended bool) func(*tls.Config) (http.RoundTripper, func()) {
	return func(config *tls.Config) (http.RoundTripper, func()) {
		t := &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: config,
			DialContext:         (&net.Dialer{Timeout: connectPatience}).DialContext,
			TLSHandshakeTimeout: handshakePatience, ResponseHeaderTimeout: callPatience,
			MaxIdleConnsPerHost: idleConnections, IdleConnTimeout: idleFor,
		}
		return transport{t, vended}, t.CloseIdleConnections
	}
}

// RoundTrip sends a request, and keeps what the answer says of the store from the library.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	into := vendedIn(r.Context())
	if !t.vended || into == nil {
		r.Header.Del(accessDelegation)
		return t.send(r)
	}
	resp, err := t.send(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	*into, err = takeVended(resp)
	return resp, err
}

// send sends a request, again where that does no harm.
func (t transport) send(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		return t.once(r)
	}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval = firstAskWait
	return backoff.Retry(r.Context(), func() (*http.Response, error) {
		resp, err := t.ask(r)
		if redirected := (*redirectError)(nil); errors.As(err, &redirected) {
			err = backoff.Permanent(err)
		}
		return resp, err
	}, backoff.WithBackOff(wait), backoff.WithMaxTries(asks))
}

const (
	// asks is how often a question is put to a server that is busy or whose answer gets lost,
	// firstAskWait about how long the first pause between is; it grows.
	asks         = 5
	firstAskWait = 100 * time.Millisecond
)

// ask sends a request that changes nothing and reads the whole answer, which may end early.
// That the server is busy is an error.
func (t transport) ask(r *http.Request) (*http.Response, error) {
	resp, err := t.once(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	err = errors.Join(err, resp.Body.Close())
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode >= http.StatusInternalServerError && resp.StatusCode != http.StatusNotImplemented:
		return nil, fmt.Errorf("the catalog answers %s", resp.Status)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// redirectError is a redirection. Following it would send a commit twice, and our token to
// somebody else.
type redirectError struct{ to string }

func (e *redirectError) Error() string {
	return fmt.Sprintf("the catalog redirects to %q: if it is there, say so in catalog.uri", e.to)
}

func (t transport) once(r *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(r)
	if err != nil || resp.StatusCode < http.StatusMultipleChoices || resp.StatusCode >= http.StatusBadRequest {
		return resp, err
	}
	return nil, errors.Join(&redirectError{resp.Header.Get("Location")}, resp.Body.Close())
}
