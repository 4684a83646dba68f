package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"cdcd/cmd/cdcd/config"
	"cdcd/commit"
	"cdcd/table"
	"cdcd/table/catalogserver"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
)

// serveCmd is cdcd serve.
type serveCmd struct{}

// Run serves the catalog until it is stopped.
func (s *serveCmd) Run(ctx context.Context, c console, flags *cli) error {
	cfg, err := loadLakeConfig(flags.Config, c)
	if err != nil {
		return err
	}
	logger := newLogger(cfg.Log, c.err, c.err)
	if cfg.CatalogEndpoint.Listen == "" {
		return coded{exitHuman, errors.New("catalog_endpoint.listen is off: there is nothing to serve")}
	}
	lake, err := openLake(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer lake.Close()
	l, err := listenCatalog(cfg.CatalogEndpoint)
	if err != nil {
		return err
	}
	scheme := "http://"
	if cfg.CatalogEndpoint.TLS.Cert != "" {
		scheme = "https://"
	}
	logger.Info("serving the catalog", "uri", scheme+l.Addr().String(), "writable", cfg.CatalogEndpoint.Writable)
	g, gctx := errgroup.WithContext(ctx)
	serveHTTP(gctx, g, l, catalogHandler(cfg, lake, nil, logger))
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// listenCatalog binds the catalog's endpoint, whose connections are encrypted where there is a
// certificate.
func listenCatalog(e config.CatalogEndpoint) (net.Listener, error) {
	if e.NeedsToken() && e.Token == "" {
		return nil, coded{exitHuman, errors.New("catalog_endpoint.token is empty, and the endpoint is writable or reached by other machines")}
	}
	var certificates []tls.Certificate
	if e.TLS.Cert != "" {
		c, err := tls.LoadX509KeyPair(e.TLS.Cert, e.TLS.Key)
		if err != nil {
			return nil, coded{exitHuman, fmt.Errorf("catalog_endpoint.tls: %w", err)}
		}
		certificates = append(certificates, c)
	}
	l, err := net.Listen("tcp", e.Listen)
	if err != nil {
		return nil, coded{exitLater, fmt.Errorf("catalog endpoint: %w", err)}
	}
	if len(certificates) == 0 {
		return l, nil
	}
	return tls.NewListener(l, &tls.Config{Certificates: certificates, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}), nil
}

// catalogHandler answers the catalog's endpoint.
func catalogHandler(c config.Config, lake *lakehouse, touched chan<- table.Name, logger *slog.Logger) http.Handler {
	return catalogserver.New(lake, catalogserver.Config{
		Defaults: readerDefaults(c.Warehouse), Writable: c.CatalogEndpoint.Writable, Token: c.CatalogEndpoint.Token.Reveal(), Protected: config.ControlNamespace,
		Touched: touched,
	}, logger)
}

const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	drainTimeout  = 3 * time.Second
)

// serveHTTP serves a listener until ctx ends.
func serveHTTP(ctx context.Context, g *errgroup.Group, l net.Listener, h http.Handler) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	g.Go(func() error {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
		defer cancel()
		if s.Shutdown(drain) != nil {
			return s.Close() // clients that do not let go
		}
		return nil
	})
}

// listeners are the daemon's sockets, bound before anything else is done.
type listeners struct {
	handlers map[net.Listener]http.Handler
}

func (l *listeners) serve(ctx context.Context, g *errgroup.Group) {
	for ln, h := range l.handlers {
		serveHTTP(ctx, g, ln, h)
	}
}

// listen binds the daemon's sockets.
func (d *daemon) listen(lake *lakehouse) (*listeners, error) {
	l := &listeners{handlers: map[net.Listener]http.Handler{}}
	bind := func(what, address string, h http.Handler, listen func() (net.Listener, error)) error {
		if address == "" {
			return nil
		}
		ln, err := listen()
		if err != nil {
			return err
		}
		l.handlers[ln] = h
		d.logger.Info("listening", "for", what, "address", ln.Addr().String())
		return nil
	}
	if err := os.Remove(d.cfg.Control.Socket); err != nil && !errors.Is(err, os.ErrNotExist) { // the lock is ours: nobody listens there
		return nil, fmt.Errorf("control socket: %w", err)
	}
	err := errors.Join(
		bind("control socket", d.cfg.Control.Socket, d.controlHandler(), plainly("control socket", "unix", d.cfg.Control.Socket)),
		bind("catalog endpoint", d.cfg.CatalogEndpoint.Listen, catalogHandler(d.cfg, lake, d.touched, d.logger.With(componentKey, componentCatalog)),
			func() (net.Listener, error) { return listenCatalog(d.cfg.CatalogEndpoint) }),
		bind("http", d.cfg.HTTP.Listen, d.httpHandler(), plainly("http", "tcp", d.cfg.HTTP.Listen)),
	)
	if err == nil {
		err = os.Chmod(d.cfg.Control.Socket, 0o660)
	}
	if err != nil {
		for ln := range l.handlers {
			_ = ln.Close()
		}
		return nil, err
	}
	return l, nil
}

// plainly binds a socket without encryption.
func plainly(what, network, address string) func() (net.Listener, error) {
	return func() (net.Listener, error) {
		l, err := net.Listen(network, address)
		if err != nil {
			return nil, coded{exitLater, fmt.Errorf("%s: %w", what, err)}
		}
		return l, nil
	}
}

// controlHandler answers the control socket.
func (d *daemon) controlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, d.view.report(d.cfg.Pipeline))
	})
	mux.Handle("POST /hold", command(d.hold))
	mux.Handle("POST /cut", command(d.cut))
	mux.Handle("POST /release", command(d.release))
	mux.HandleFunc("POST /compact", d.compact)
	mux.Handle("POST /resnapshot", command(d.resnapshot))
	return mux
}

// httpHandler answers the http listener: status page, health and metrics.
func (d *daemon) httpHandler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &metrics{view: &d.view, errors: d.errors})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", d.healthz)
	mux.HandleFunc("GET /readyz", d.readyz)
	mux.HandleFunc("GET /status.json", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, d.view.report(d.cfg.Pipeline))
	})
	mux.HandleFunc("GET /{$}", d.statusPage)
	return mux
}

// healthz answers that the daemon lives, and which tables do not.
func (d *daemon) healthz(w http.ResponseWriter, _ *http.Request) {
	s, _ := d.view.status()
	out := map[string]any{"status": "ok", "version": version()}
	if q := s.Quarantined(); len(q) > 0 {
		out["quarantined"] = q
	}
	writeJSON(w, http.StatusOK, out)
}

// readyz answers whether the lake follows the source: every table is loaded, and the lag
// is small. Quarantined tables are named, and hold nothing up.
func (d *daemon) readyz(w http.ResponseWriter, _ *http.Request) {
	s, ok := d.view.status()
	reasons := unready(s, ok, d.readyLag())
	if len(reasons) > 0 {
		writeJSON(w, http.StatusServiceUnavailable, map[string]any{"ready": false, "reasons": reasons})
		return
	}
	out := map[string]any{"ready": true, "lag_ms": s.Lag().Milliseconds()}
	if q := s.Quarantined(); len(q) > 0 {
		out["quarantined"] = q
	}
	writeJSON(w, http.StatusOK, out)
}

// readyLag is the lag from which the daemon does not count as ready.
func (d *daemon) readyLag() time.Duration {
	const intervals, least = 6, time.Minute
	return max(least, intervals*time.Duration(d.cfg.Commit.Interval))
}

func unready(s commit.Status, running bool, limit time.Duration) []string {
	if !running {
		return []string{stateRecovering}
	}
	var out []string
	for _, t := range s.Tables {
		if t.Loading {
			out = append(out, fmt.Sprintf("%s is being loaded", t.Source))
		}
	}
	if l := s.Lag(); l > limit {
		out = append(out, fmt.Sprintf("the lake is %v behind", l.Round(time.Second)))
	}
	return out
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = printJSON(w, v) // the client may be gone
}

// printJSON is how all of cdcd's JSON looks.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
