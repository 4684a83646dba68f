package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"cdcd/capture"
	"cdcd/commit"
)

// loading gives a status with one table that is loaded and one that is being loaded.
func loading(rows int64) commit.Status {
	return commit.Status{Tables: []commit.TableStatus{
		{Source: capture.Name{Schema: "shop", Table: "a"}, LoadedRows: 1_000, LoadRows: 5_000},
		{Source: capture.Name{Schema: "shop", Table: "b"}, LoadedRows: rows, LoadRows: 99_000, Loading: true},
	}}
}

func TestLoadMeter(t *testing.T) {
	m, start := &loadMeter{}, time.Unix(1_000, 0)
	p, ok := m.observe(loading(0), start)
	if want := "loading shop.b  1,000/100,000 rows"; !ok || p.String() != want {
		t.Errorf("at first %q, want %q", p, want)
	}
	for i := range 60 { // 1,000 rows a second for half a minute
		p, ok = m.observe(loading(int64(500*(i+1))), start.Add(time.Duration(i+1)*sampleEvery))
	}
	if want := "loading shop.b  31,000/100,000 rows  1,000/s  1m9s left"; !ok || p.String() != want || p.percent() != 31 {
		t.Errorf("after 30 s %q, %d %%, want %q", p, p.percent(), want)
	}
	if most := int(rateWindow/sampleEvery) + 2; len(m.samples) > most {
		t.Errorf("%d samples are kept, at most %d are needed", len(m.samples), most)
	}
	p, _ = m.observe(loading(150_000), start.Add(31*time.Second)) // the estimate was short
	if _, known := p.left(); known || p.percent() != 99 || p.Estimate != 151_000 {
		t.Errorf("beyond the estimate: %+v, %d %%", p, p.percent())
	}
	if _, ok := m.observe(commit.Status{Tables: loading(0).Tables[:1]}, start.Add(32*time.Second)); ok || len(m.samples) != 0 {
		t.Error("a load is seen where all tables are loaded")
	}
	p, _ = m.observe(loading(300), start.Add(33*time.Second)) // b is loaded anew
	if want := "loading shop.b  300/99,000 rows"; p.String() != want {
		t.Errorf("of a later load %q, want %q", p, want)
	}
}

func TestLoadProgressIsLogged(t *testing.T) {
	var out bytes.Buffer
	d := &daemon{logger: slog.New(slog.NewTextHandler(&out, nil)), bar: newProgressBar(&out)}
	m, start := &loadMeter{}, time.Unix(1_000, 0)
	for i := range 61 { // half a minute
		d.showLoad(m, loading(int64(500*i)), start.Add(time.Duration(i)*sampleEvery))
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	const want = "msg=loading table=shop.b rows=11000 of=100000 percent=11 rows_per_second=1000 left=1m29s"
	if len(lines) != 3 || !strings.HasSuffix(lines[0], want) {
		t.Errorf("%d lines, want 3 and the first one to end in %q:\n%s", len(lines), want, out.String())
	}
}
