package main

import (
	"bytes"
	_ "embed"
	"html/template"
	"io"
	"net/http"
	"time"

	"github.com/dustin/go-humanize"
)

//go:embed status.html
var statusHTML string

// statusPage shows the daemon's state to people. It refreshes itself.
func (d *daemon) statusPage(w http.ResponseWriter, _ *http.Request) {
	var b bytes.Buffer
	if err := renderStatus(&b, d.view.report(d.cfg.Pipeline)); err != nil {
		d.logger.Error("status page", "err", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes()) // the client may be gone
}

func renderStatus(w io.Writer, r statusReport) error {
	page, err := template.New("status").Funcs(template.FuncMap{
		"comma": humanize.Comma,
		"bytes": func(n int64) string { return humanize.IBytes(uint64(n)) },
		"seconds": func(ms int64) string {
			return (time.Duration(ms) * time.Millisecond).Round(100 * time.Millisecond).String()
		},
		"version": version,
		"percent": func(f float64) int { return int(100 * f) },
	}).Parse(statusHTML)
	if err != nil {
		return err
	}
	return page.Execute(w, r)
}
