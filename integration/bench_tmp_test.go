//go:build integration

package integration

import (
	"context"
	"log/slog"
	"runtime"
	"syscall"
	"testing"
	"time"

	"cdcd/capture"
)

func cpu() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func TestDecodeSpeed(t *testing.T) {
	s := sharedServer(t, "mysql97")
	infos := describe(t, s, "cdc")
	info := infos[0]
	until := s.executed(t)
	start, _ := capture.ParsePosition(capture.MySQL, s.text(t, "select @@server_uuid")+":1-1021")
	st, err := capture.NewStream(capture.StreamConfig{
		Source: s.source(t.Name()), Start: start, Tables: []capture.Capture{{Table: &info.Table, Applied: capture.EmptyPosition(0)}},
		Wanted: func(capture.Name) bool { return false },
		Limits: capture.Limits{Rows: 5000, Bytes: 64 << 20, Linger: 100 * time.Millisecond},
		Memory: capture.NewPool(), Logger: slog.Default(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		_ = i
	}
	var m0, m1 runtime.MemStats
	runtime.ReadMemStats(&m0)
	c0, w0, rows := cpu(), time.Now(), 0
	for {
		seg, err := st.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		rows += seg.Rows
		seg.Release()
		if seg.End.Covers(until) {
			break
		}
	}
	runtime.ReadMemStats(&m1)
	d := cpu() - c0
	t.Logf("%d rows, %.2fs cpu, %.2fs wall, %.0f rows/s/core, %.4f allocs/row", rows, d.Seconds(), time.Since(w0).Seconds(), float64(rows)/d.Seconds(), float64(m1.Mallocs-m0.Mallocs)/float64(rows))
}
