package main

import (
	"context"
	"fmt"
	"time"

	sdnotify "github.com/coreos/go-systemd/v22/daemon"
)

// notifyReady tells systemd that the daemon has recovered.
func (d *daemon) notifyReady() { d.sdNotify(sdnotify.SdNotifyReady) }

func (d *daemon) sdNotify(state string) {
	if _, err := sdnotify.SdNotify(false, state); err != nil {
		d.logger.Warn("systemd was not notified", "err", err)
	}
}

const (
	notifyEvery = 5 * time.Second
	// stalledAfter is how long the loop may not turn before the watchdog is left to bite.
	stalledAfter = 30 * time.Second
	summaryEvery = time.Minute
)

// notify keeps systemd and the log informed until ctx ends. The watchdog is fed while the
// loop turns, whether or not the source or the store can be reached.
func (d *daemon) notify(ctx context.Context) error {
	ticker := time.NewTicker(notifyEvery)
	defer ticker.Stop()
	bar := newProgress(d.console.err)
	defer bar.finish()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			d.sdNotify(sdnotify.SdNotifyStopping)
			return nil
		case <-bar.tick():
			if s, ok := d.view.status(); ok {
				bar.show(s)
			}
		case <-ticker.C:
			s, ok := d.view.status()
			if !ok {
				d.sdNotify(sdnotify.SdNotifyWatchdog + "\nSTATUS=recovering")
				continue
			}
			if time.Since(s.At) < stalledAfter {
				d.sdNotify(sdnotify.SdNotifyWatchdog)
			}
			d.sdNotify(fmt.Sprintf("STATUS=%s, %d tables, lag %v", d.view.report(d.cfg.Pipeline).State, len(s.Tables), s.Lag().Round(time.Second)))
			if time.Since(last) >= summaryEvery {
				last = time.Now()
				d.logger.Info("replicating", "epochs", s.Counters.Epochs, "rows", s.Counters.Rows, "loaded_rows", s.Counters.LoadedRows,
					"position", s.Finished.String(), "lag_ms", s.Lag().Milliseconds())
			}
		}
	}
}
