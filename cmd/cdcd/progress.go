package main

import (
	"fmt"
	"io"
	"time"

	"cdcd/commit"
	"github.com/schollz/progressbar/v3"
)

// progressBar shows the initial load on a terminal: rows, rows a second, percent and the
// time left. Elsewhere it shows nothing; the log has the same.
type progressBar struct {
	out    io.Writer
	bar    *progressbar.ProgressBar
	ticker *time.Ticker // nil: no terminal
}

const progressEvery = 500 * time.Millisecond

func newProgress(w io.Writer) *progressBar {
	p := &progressBar{out: w}
	if isTerminal(w) {
		p.ticker = time.NewTicker(progressEvery)
	}
	return p
}

// tick says when to show.
func (p *progressBar) tick() <-chan time.Time {
	if p.ticker == nil {
		return nil
	}
	return p.ticker.C
}

// show draws the state of all loads together.
func (p *progressBar) show(s commit.Status) {
	done, total, table := loadTotals(s)
	if table == "" {
		p.finish()
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(max(total, 1), progressbar.OptionSetWriter(p.out), progressbar.OptionShowCount(),
			progressbar.OptionShowIts(), progressbar.OptionSetItsString("rows"), progressbar.OptionSetPredictTime(true),
			progressbar.OptionSetWidth(20), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(0))
	}
	p.bar.Describe(fmt.Sprintf("loading %s", table))
	p.bar.ChangeMax64(max(total, done+1)) // the source's count is an estimate
	_ = p.bar.Set64(done)                 // a terminal that cannot be drawn on is no reason to stop
}

// loadTotals sums the loads that are under way, and names one.
func loadTotals(s commit.Status) (done, total int64, table string) {
	for _, t := range s.Tables {
		if t.Loading || t.LoadedRows > 0 {
			done += t.LoadedRows
			total += max(t.LoadRows, t.LoadedRows)
		}
		if t.Loading && (table == "" || t.LoadedRows > 0) {
			table = t.Source.String()
		}
	}
	return done, total, table
}

// finish removes the bar.
func (p *progressBar) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
		p.bar = nil
	}
}
