package catalogserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"cdcd/table"
	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

// committing is a fakeCatalog whose commits end as told. That what the catalog does with
// commits is right is shown by the tests of package table.
type committing struct {
	fakeCatalog
	commit error
}

func (c committing) CommitTable(context.Context, icetable.Identifier, []icetable.Requirement, []icetable.Update) (icetable.Metadata, string, error) {
	return nil, "", c.commit
}

const (
	commitPath = "/v1/namespaces/shop/tables/orders"
	expiry     = `{"requirements":[],"updates":[{"action":"remove-snapshots","snapshot-ids":[1]}]}`
)

// TestOutcomes: 500 stands for an open outcome and for nothing else.
func TestOutcomes(t *testing.T) {
	writable := Config{Writable: true, Protected: "cdcd_control"}
	for name, x := range map[string]struct {
		path, body string
		commit     error
		code       int
		words      string
	}{
		"not allowed":      {commitPath, expiry, fmt.Errorf("%w: because", table.ErrForbidden), 403, `"type":"ForbiddenException"`},
		"too late":         {commitPath, expiry, table.ErrStale, 409, `"type":"CommitFailedException"`},
		"the swap is lost": {commitPath, expiry, icetable.ErrCommitFailed, 409, `"type":"CommitFailedException"`},
		"cannot be read":   {commitPath, expiry, fmt.Errorf("%w: secret path", table.ErrUnavailable), 409, `"type":"CommitFailedException"`},
		"does not fit":     {commitPath, expiry, table.ErrMalformed, 400, `"type":"BadRequestException"`},
		"open":             {commitPath, expiry, errors.New("secret path"), 500, `"type":"CommitStateUnknownException"`},
		"no JSON":          {commitPath, `{`, nil, 400, `"type":"BadRequestException"`},
		"too long":         {commitPath, strings.Repeat(" ", maxCommitBytes+1), nil, 400, "16 MiB"},
		"no table":         {"/v1/namespaces/shop/tables/none", expiry, nil, 404, `"type":"NoSuchTableException"`},
		"a control table":  {"/v1/namespaces/cdcd_control/tables/shop", expiry, nil, 403, "nobody but cdcd"},
		"several tables":   {"/v1/transactions/commit", expiry, nil, 403, "and nothing else"},
		"a new table":      {"/v1/namespaces/shop/tables", `{}`, nil, 403, "and nothing else"},
		"a new namespace":  {"/v1/namespaces", `{}`, nil, 403, "and nothing else"},
		"another name":     {"/v1/tables/rename", `{}`, nil, 403, "and nothing else"},
	} {
		s := New(committing{commit: x.commit}, writable, slog.New(slog.DiscardHandler))
		w := send(t, s, "POST", x.path, x.body)
		if w.Code != x.code || !strings.Contains(w.Body.String(), x.words) || strings.Contains(w.Body.String(), "secret") || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	s := New(committing{}, writable, slog.New(slog.DiscardHandler))
	if w := send(t, s, "DELETE", commitPath, ""); w.Code != 403 {
		t.Errorf("dropped: %d %s", w.Code, w.Body)
	}
	if w := send(t, s, "GET", "/v1/config", ""); !strings.Contains(w.Body.String(), `"POST /v1/{prefix}/namespaces/{namespace}/tables/{table}"`) || strings.Contains(w.Body.String(), "transactions") {
		t.Errorf("endpoints: %s", w.Body)
	}
}

// TestToken: without it nothing is answered, whatever is asked.
func TestToken(t *testing.T) {
	s := New(committing{}, Config{Writable: true, Token: "let-me-in"}, slog.New(slog.DiscardHandler))
	for _, header := range []string{"", "let-me-in", "Bearer", "Bearer ", "Bearer let-me-i", "Bearer let-me-in ", "Basic let-me-in"} {
		for _, request := range []string{"GET /v1/config", "GET /v1/namespaces", "POST " + commitPath, "DELETE " + commitPath, "GET /"} {
			method, path, _ := strings.Cut(request, " ")
			w := send(t, s, method, path, expiry, "Authorization", header)
			if w.Code != 401 || !strings.Contains(w.Body.String(), `"type":"NotAuthorizedException"`) || w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%q, %s: %d %s", header, request, w.Code, w.Body)
			}
		}
	}
	if w := send(t, s, "GET", "/v1/namespaces", "", "Authorization", "Bearer let-me-in"); w.Code != 200 {
		t.Errorf("with the token: %d %s", w.Code, w.Body)
	}
}

// TestCommit lets a client expire a snapshot of a real catalog.
func TestCommit(t *testing.T) {
	lake, err := table.OpenEmbedded("file://"+t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer lake.Close()
	ident := icetable.Identifier{"shop", "orders"}
	first := makeTable(t, lake, ident)
	touched := make(chan table.Name, 1)
	s := New(lake, Config{Writable: true, Touched: touched}, slog.New(slog.DiscardHandler))
	body := fmt.Sprintf(`{"requirements":[],"updates":[{"action":"remove-snapshots","snapshot-ids":[%d]}]}`, first)
	w := send(t, s, "POST", commitPath, body)
	var answer struct {
		Location string `json:"metadata-location"`
		Metadata struct {
			Snapshots []any `json:"snapshots"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 200 || len(answer.Metadata.Snapshots) != 1 {
		t.Fatalf("%d, %v: %s", w.Code, err, w.Body)
	}
	if n := <-touched; n.String() != "shop.orders" {
		t.Errorf("told of %s", n)
	}
	loaded := send(t, s, "GET", commitPath, "")
	if !strings.Contains(loaded.Body.String(), answer.Location) || loaded.Header().Get("ETag") != etag(answer.Location) {
		t.Errorf("loaded %s", loaded.Body)
	}
	if w := send(t, s, "POST", commitPath, `{"updates":[{"action":"set-location","location":"file:///x"}]}`); w.Code != 403 {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}

// makeTable makes a table whose main was on two snapshots, without history, and gives the first.
func makeTable(t *testing.T, lake *table.Embedded, ident icetable.Identifier) int64 {
	t.Helper()
	ctx := t.Context()
	schema := iceberg.NewSchema(0, iceberg.NestedField{ID: 1, Name: "id", Type: iceberg.PrimitiveTypes.Int64})
	if err := lake.CreateNamespace(ctx, icetable.Identifier{"shop"}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := lake.CreateTable(ctx, ident, schema); err != nil {
		t.Fatal(err)
	}
	updates := []icetable.Update{icetable.NewSetPropertiesUpdate(iceberg.Properties{"cdcd.pipeline": "p"})}
	for id := int64(1); id <= 2; id++ {
		id0 := 0
		s := &icetable.Snapshot{
			SnapshotID: id, SequenceNumber: id, TimestampMs: time.Now().UnixMilli() - 10 + id, ManifestList: "file:///none", SchemaID: &id0,
			Summary: &icetable.Summary{Operation: icetable.OpAppend},
		}
		updates = append(updates, icetable.NewAddSnapshotUpdate(s), icetable.NewSetSnapshotRefUpdate(icetable.MainBranch, id, icetable.BranchRef, 0, 0, 0))
	}
	if _, _, err := lake.CommitTable(ctx, ident, nil, updates); err != nil {
		t.Fatal(err)
	}
	return 1
}
