package main

import (
	"context"
	"fmt"
	"time"

	"cdcd/commit"
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
	ticker, sampler := time.NewTicker(notifyEvery), time.NewTicker(sampleEvery)
	defer ticker.Stop()
	defer sampler.Stop()
	defer d.bar.finish()
	last, meter := time.Now(), &loadMeter{}
	for {
		select {
		case <-ctx.Done():
			d.sdNotify(sdnotify.SdNotifyStopping)
			return nil
		case now := <-sampler.C:
			if s, ok := d.view.status(); ok {
				d.showLoad(meter, s, now)
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

// showLoad tells the status page, and the terminal or else the log, how far the initial load
// is.
func (d *daemon) showLoad(meter *loadMeter, s commit.Status, now time.Time) {
	p, loading := meter.observe(s, now)
	if !loading {
		d.view.load.Store(nil)
		d.bar.finish()
		return
	}
	d.view.load.Store(&p)
	switch {
	case d.bar.terminal:
		d.bar.show(p)
	case meter.due(now):
		p.log(d.logger)
	}
}
