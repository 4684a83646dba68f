package catalogserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"cdcd/table"
)

// Catalog is what is served; table.Embedded is one.
type Catalog interface {
	table.Committer
	Namespaces(ctx context.Context) ([]string, error)
	TableNames(ctx context.Context, namespace string) ([]string, error)
	Metadata(ctx context.Context, n table.Name) (location string, content []byte, ok bool, err error)
}

// Config says how a catalog is served.
type Config struct {
	// Defaults are properties that clients use where they have none of their own, such as
	// where the tables' files are; they are no secrets.
	Defaults map[string]string
	// Writable lets other programs maintain the tables.
	Writable bool
	// Token is what clients have to show; "" lets everybody in.
	Token string
	// Protected is a namespace that only reads are allowed in.
	Protected string
	// Touched is told of tables whose snapshots clients have changed, where it has room. Nil:
	// nobody is.
	Touched chan<- table.Name
}

// Server answers requests of Iceberg's REST protocol.
type Server struct {
	catalog Catalog
	cfg     Config
	logger  *slog.Logger
	mux     *http.ServeMux
}

// routes are what the server answers. Clients ask only for what it lists in its config.
const (
	routeNamespaces = "GET /v1/namespaces"
	routeNamespace  = "GET /v1/namespaces/{namespace}"
	routeTables     = "GET /v1/namespaces/{namespace}/tables"
	routeTable      = "GET /v1/namespaces/{namespace}/tables/{table}"
	routeMetrics    = "POST /v1/namespaces/{namespace}/tables/{table}/metrics"
	routeCommit     = "POST /v1/namespaces/{namespace}/tables/{table}" // where it is writable
)

// New returns a server of a catalog.
func New(c Catalog, cfg Config, logger *slog.Logger) *Server {
	if cfg.Defaults == nil {
		cfg.Defaults = map[string]string{} // and not a null in JSON
	}
	s := &Server{catalog: c, cfg: cfg, logger: logger, mux: http.NewServeMux()}
	s.mux.HandleFunc("GET /v1/config", s.config)
	s.mux.HandleFunc(routeNamespaces, s.namespaces)
	s.mux.HandleFunc(routeNamespace, s.namespace)
	s.mux.HandleFunc(routeTables, s.tables)
	s.mux.HandleFunc(routeTable, s.table)
	s.mux.HandleFunc("GET /v1/namespaces/{namespace}/views", s.views)
	s.mux.HandleFunc(routeMetrics, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent) // readers report how long their scans took
	})
	if cfg.Writable {
		s.mux.HandleFunc(routeCommit, s.commit)
	}
	s.mux.HandleFunc("/", s.other)
	return s
}

// ServeHTTP answers a request of a client that shows the token.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.admits(r.Header.Get("Authorization")) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		s.refuse(w, http.StatusUnauthorized, "NotAuthorizedException", "This catalog wants a bearer token: catalog_endpoint.token of its configuration")
		return
	}
	s.mux.ServeHTTP(w, r)
}

// admits compares what a client shows with the token. How long it takes tells nothing of the
// token, its length included.
func (s *Server) admits(authorization string) bool {
	if s.cfg.Token == "" {
		return true
	}
	shown, ours := sha256.Sum256([]byte(authorization)), sha256.Sum256([]byte("Bearer "+s.cfg.Token))
	return subtle.ConstantTimeCompare(shown[:], ours[:]) == 1
}

// answer writes a JSON document.
func (s *Server) answer(w http.ResponseWriter, code int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		s.logger.Error("catalog endpoint", "err", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if _, err := w.Write(b); err != nil {
		s.logger.Debug("catalog endpoint: client went away", "err", err)
	}
}

// refuse answers with an error in the protocol's form.
func (s *Server) refuse(w http.ResponseWriter, code int, kind, message string) {
	s.answer(w, code, map[string]any{"error": map[string]any{"message": message, "type": kind, "code": code}})
}

// fail answers an error of our own.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	level := slog.LevelError
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) { // the client went away
		level = slog.LevelDebug
	}
	s.logger.Log(r.Context(), level, "catalog endpoint", "path", r.URL.Path, "err", err)
	s.refuse(w, http.StatusInternalServerError, "InternalServerError", "the catalog cannot be read: see the server's log")
}

func (s *Server) config(w http.ResponseWriter, _ *http.Request) {
	routes := []string{routeNamespaces, routeNamespace, routeTables, routeTable, routeMetrics}
	if s.cfg.Writable {
		routes = append(routes, routeCommit)
	}
	var endpoints []string
	for _, r := range routes {
		method, path, _ := strings.Cut(r, " ")
		path = strings.Replace(path, "/v1/", "/v1/{prefix}/", 1)
		endpoints = append(endpoints, method+" "+path)
	}
	s.answer(w, http.StatusOK, map[string]any{"defaults": s.cfg.Defaults, "overrides": map[string]string{}, "endpoints": endpoints})
}

func (s *Server) namespaces(w http.ResponseWriter, r *http.Request) {
	all, err := s.catalog.Namespaces(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	list := make([][]string, 0, len(all))
	if r.URL.Query().Get("parent") == "" { // ours have no children
		for _, n := range all {
			list = append(list, []string{n})
		}
	}
	s.answer(w, http.StatusOK, map[string]any{"namespaces": list})
}

// known answers requests for a namespace that does not exist, and reports whether it does.
func (s *Server) known(w http.ResponseWriter, r *http.Request) bool {
	all, err := s.catalog.Namespaces(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return false
	}
	n := r.PathValue("namespace")
	if !slices.Contains(all, n) {
		s.refuse(w, http.StatusNotFound, "NoSuchNamespaceException", fmt.Sprintf("Namespace does not exist: %s", n))
		return false
	}
	return true
}

func (s *Server) namespace(w http.ResponseWriter, r *http.Request) {
	if s.known(w, r) {
		s.answer(w, http.StatusOK, map[string]any{"namespace": []string{r.PathValue("namespace")}, "properties": map[string]string{}})
	}
}

func (s *Server) tables(w http.ResponseWriter, r *http.Request) {
	if !s.known(w, r) {
		return
	}
	n := r.PathValue("namespace")
	names, err := s.catalog.TableNames(r.Context(), n)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	list := make([]map[string]any, 0, len(names))
	for _, name := range names {
		list = append(list, map[string]any{"namespace": []string{n}, "name": name})
	}
	s.answer(w, http.StatusOK, map[string]any{"identifiers": list})
}

func (s *Server) views(w http.ResponseWriter, r *http.Request) {
	if s.known(w, r) {
		s.answer(w, http.StatusOK, map[string]any{"identifiers": []any{}})
	}
}

func (s *Server) table(w http.ResponseWriter, r *http.Request) {
	n := table.Name{Namespace: r.PathValue("namespace"), Table: r.PathValue("table")}
	location, content, ok, err := s.catalog.Metadata(r.Context(), n)
	if err != nil || !ok {
		s.missing(w, r, n, err)
		return
	}
	tag := etag(location)
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	s.answer(w, http.StatusOK, map[string]any{"metadata-location": location, "metadata": json.RawMessage(content), "config": map[string]string{}})
}

// etag names a version of a table: metadata files are immutable.
func etag(location string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(location)) // never fails
	return fmt.Sprintf(`"%016x"`, h.Sum64())
}

// other answers everything that is not served.
func (s *Server) other(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		s.refuse(w, http.StatusNotFound, "NotFoundException", fmt.Sprintf("Not served: %s", r.URL.Path))
	case s.cfg.Writable:
		s.refuse(w, http.StatusForbidden, "ForbiddenException", "This catalog takes commits of maintenance to single tables, and nothing else: tables and namespaces are made, changed and dropped by replication")
	default:
		s.refuse(w, http.StatusForbidden, "ForbiddenException", "This catalog is read-only: the tables are written by replication")
	}
}
