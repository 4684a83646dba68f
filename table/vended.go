package table

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"cdcd/table/keyring"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	icetable "github.com/apache/iceberg-go/table"
)

// accessDelegation is the header by which the library asks for credentials of the object
// store. It goes with the calls alone whose answers may have some.
const accessDelegation = "X-Iceberg-Access-Delegation"

// Keyring holds the credentials of the store that the catalog hands out; nil where it is not
// asked for any.
func (r *REST) Keyring() *keyring.Ring { return r.ring }

// LoadTable loads a table, and the credentials for its files.
func (r *REST) LoadTable(ctx context.Context, ident icetable.Identifier) (*icetable.Table, error) {
	if r.ring == nil {
		return r.remote.LoadTable(ctx, ident)
	}
	ctx, answer := withVended(ctx)
	t, err := r.remote.LoadTable(ctx, ident)
	return r.learn(ident, t, answer, err)
}

// CreateTable creates a table.
func (r *REST) CreateTable(ctx context.Context, ident icetable.Identifier, schema *iceberg.Schema, opts ...catalog.CreateTableOpt) (*icetable.Table, error) {
	if r.ring == nil {
		return r.remote.CreateTable(ctx, ident, schema, opts...)
	}
	ctx, answer := withVended(ctx)
	t, err := r.remote.CreateTable(ctx, ident, schema, opts...)
	return r.learn(ident, t, answer, err)
}

func (r *REST) learn(ident icetable.Identifier, t *icetable.Table, answer *keyring.Answer, err error) (*icetable.Table, error) {
	if err != nil {
		return nil, err
	}
	r.ring.Learn(ident, t.Location(), *answer)
	return t, nil
}

// vendor is a catalog as a Ring asks it: it loads a table for what comes with it. Every
// catalog that hands out credentials does so there.
type vendor struct{ remote }

// Vend asks for a table's credentials.
func (v vendor) Vend(ctx context.Context, ident []string) (keyring.Answer, error) {
	ctx, answer := withVended(ctx)
	_, err := v.LoadTable(ctx, ident)
	return *answer, err
}

// vendedKey is that of a context's *keyring.Answer, into which the transport puts what the
// library does not hand on.
type vendedKey struct{}

func withVended(ctx context.Context) (context.Context, *keyring.Answer) {
	a := new(keyring.Answer)
	return context.WithValue(ctx, vendedKey{}, a), a
}

func vendedIn(ctx context.Context) *keyring.Answer {
	a, _ := ctx.Value(vendedKey{}).(*keyring.Answer)
	return a
}

// takeVended takes what an answer says of the store out of it. The library would make a store
// of its own of that, and ask for new credentials at moments of its own.
func takeVended(resp *http.Response) (keyring.Answer, error) {
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return keyring.Answer{}, err
	}
	const config, storage = "config", "storage-credentials"
	var parts map[string]json.RawMessage
	var a keyring.Answer
	if json.Unmarshal(body, &parts) == nil { // else the library says what is wrong with it
		if a, err = keyring.Parse(parts[config], parts[storage]); err != nil {
			return keyring.Answer{}, err
		}
		delete(parts, config)
		delete(parts, storage)
		if body, err = json.Marshal(parts); err != nil {
			return keyring.Answer{}, err
		}
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Del("Content-Length")
	return a, nil
}
