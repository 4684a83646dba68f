package main

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"cdcd/capture"
	"cdcd/commit"
	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// loadProgress is how far the loads are that go on at the same time, taken together.
type loadProgress struct {
	Table    string // one that is being loaded
	Rows     int64
	Estimate int64 // of all rows, as far as the source can tell; at least Rows
	// PerSecond is the rate of the last rateWindow; 0: nothing is known yet.
	PerSecond float64
	Waiting   string // for what; "": the loads do not wait
}

// percent is the share that is done, short of 100: the source's count is an estimate.
func (p loadProgress) percent() int {
	const almost = 99
	return int(min(almost, 100*p.Rows/max(p.Estimate, 1)))
}

// left is the time that the rest takes at this rate; ok is false where that is not known.
func (p loadProgress) left() (d time.Duration, ok bool) {
	if p.PerSecond <= 0 || p.Estimate <= p.Rows {
		return 0, false
	}
	return time.Duration(float64(p.Estimate-p.Rows) / p.PerSecond * float64(time.Second)).Round(time.Second), true
}

// String is p for a terminal, without the percentage.
func (p loadProgress) String() string {
	text := fmt.Sprintf("loading %s  %s/%s rows", p.Table, humanize.Comma(p.Rows), humanize.Comma(p.Estimate))
	if p.PerSecond > 0 {
		text += fmt.Sprintf("  %s/s", humanize.Comma(int64(p.PerSecond)))
	}
	if d, ok := p.left(); ok {
		text += fmt.Sprintf("  %v left", d)
	}
	if p.Waiting != "" {
		text += "  waiting: " + p.Waiting
	}
	return text
}

// log writes p as one event.
func (p loadProgress) log(l *slog.Logger) {
	args := []any{"table", p.Table, "rows", p.Rows, "of", p.Estimate, "percent", p.percent(), "rows_per_second", int64(p.PerSecond)}
	if d, ok := p.left(); ok {
		args = append(args, "left", d.String())
	}
	if p.Waiting != "" {
		args = append(args, "waiting", p.Waiting)
	}
	l.Info("loading", args...)
}

const (
	// sampleEvery is how often the loads are looked at, rateWindow the time that their rate
	// is taken over: rows arrive a chunk at a time.
	sampleEvery = 500 * time.Millisecond
	rateWindow  = 10 * time.Second
	// loadLogEvery is how often the log says how far the loads are.
	loadLogEvery = 10 * time.Second
)

// loadMeter measures the initial loads.
type loadMeter struct {
	samples []loadSample          // of the last rateWindow, oldest first
	logged  time.Time             // when due last held
	over    map[capture.Name]bool // tables that were loaded before the loads under way began
}

type loadSample struct {
	at   time.Time
	rows int64
}

// observe looks at a status. ok is false when nothing is being loaded.
func (m *loadMeter) observe(s commit.Status, now time.Time) (p loadProgress, ok bool) {
	for _, t := range s.Tables {
		switch {
		case t.Loading:
			delete(m.over, t.Source)
		case m.over[t.Source]:
			continue
		}
		p.Rows += t.LoadedRows
		switch {
		case !t.Loading: // the estimate is of no more use
			p.Estimate += t.LoadedRows
			continue
		case p.Table == "" || t.LoadedRows > 0:
			p.Table = t.Source.String()
		}
		p.Estimate += max(t.LoadRows, t.LoadedRows)
	}
	if p.Table == "" {
		*m = loadMeter{over: map[capture.Name]bool{}}
		for _, t := range s.Tables {
			m.over[t.Source] = true
		}
		return p, false
	}
	for len(m.samples) > 1 && now.Sub(m.samples[1].at) >= rateWindow {
		m.samples = m.samples[1:]
	}
	if len(m.samples) > 0 {
		oldest := m.samples[0]
		if d := now.Sub(oldest.at); d > 0 {
			p.PerSecond = float64(p.Rows-oldest.rows) / d.Seconds()
		}
	}
	m.samples = append(m.samples, loadSample{now, p.Rows})
	if t := s.Throttle; t.Waits() {
		p.Waiting = fmt.Sprintf("the source is busy, %d threads run there, more than load.max_threads_running, %d", t.Running, t.Limit)
	}
	return p, true
}

// due reports, every loadLogEvery from the first time on, that the log is to be told.
func (m *loadMeter) due(now time.Time) bool {
	if m.logged.IsZero() {
		m.logged = now
		return false // there is no rate yet
	}
	if now.Sub(m.logged) < loadLogEvery {
		return false
	}
	m.logged = now
	return true
}

// progressBar draws the initial load on a terminal, below what the log writes there. Where
// out is no terminal it draws nothing.
type progressBar struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	bar      *progressbar.ProgressBar // nil: none is drawn
}

func newProgressBar(out io.Writer) *progressBar {
	return &progressBar{out: out, terminal: isTerminal(out)}
}

// Write writes a line of the log in the bar's place; the bar is drawn again with the next
// sample.
func (b *progressBar) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bar != nil {
		_ = b.bar.Clear() // a terminal that cannot be drawn on is no reason to stop; so below
	}
	return b.out.Write(p)
}

// show draws a state of the load.
func (b *progressBar) show(p loadProgress) { b.draw(p.String(), p.percent()) }

// draw draws a text and a percentage.
func (b *progressBar) draw(text string, percent int) {
	const width, frame = 16, 8 // of the bar, and of what stands around it
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.terminal {
		return
	}
	if b.bar == nil {
		b.bar = progressbar.NewOptions64(100, progressbar.OptionSetWriter(b.out), progressbar.OptionSetWidth(width),
			progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(0))
	}
	b.bar.Describe(cut(text, terminalWidth(b.out)-width-frame))
	_ = b.bar.Set(percent)
}

// finish removes the bar.
func (b *progressBar) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bar != nil {
		_ = b.bar.Clear()
		b.bar = nil
	}
}

// cut shortens a text to some characters.
func cut(text string, width int) string {
	if runes := []rune(text); len(runes) > max(width, 0) {
		return string(runes[:max(width, 0)])
	}
	return text
}

func terminalWidth(w io.Writer) int {
	const usual = 80
	if f, ok := w.(interface{ Fd() uintptr }); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return usual
}
