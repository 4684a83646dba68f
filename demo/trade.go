package main

import (
	"context"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
)

func comma[N int | int64](n N) string { return humanize.Comma(int64(n)) }

func lag(s status) string { return seconds(time.Duration(s.LagMS) * time.Millisecond) }

// trade lets the shop do business while the daemon is killed and started again, and waits
// until the lake has everything.
func (d *demo) trade(ctx context.Context) error {
	d.out.step(fmt.Sprintf("Do business for %.0f s, and kill the daemon in the middle", d.set.sell.Seconds()),
		"Each transaction touches several tables; some change primary keys. None may be lost or applied twice.")
	var t tally
	t.rows.Store(int64(d.shop.rows()))
	open, closing := context.WithTimeout(ctx, d.set.sell)
	defer closing()
	sold := make(chan error, 1)
	go func() {
		defer closing()
		sold <- d.shop.sell(open, &t)
	}()
	err := d.watch(ctx, open, &t)
	closing()
	if serr := <-sold; serr != nil {
		return serr // the cause of a failed watch, too
	}
	if err != nil {
		return err
	}
	return d.settle(ctx, &t)
}

const downTime = 3 * time.Second

// watch shows the trade until open ends, and plays the crash.
func (d *demo) watch(ctx, open context.Context, t *tally) error {
	began := time.Now()
	for crashed := false; open.Err() == nil; {
		if elapsed := time.Since(began); !crashed && elapsed > d.set.sell/2-downTime/2 {
			crashed = true
			if err := d.crash(ctx, began, t); err != nil {
				return err
			}
			continue
		}
		if !d.daemon.process.alive() {
			return d.daemon.process.died()
		}
		s, ok := d.daemon.ask(ctx)
		d.line(began, t, s, ok)
		if pause(open, redraw) != nil {
			break
		}
	}
	return ctx.Err()
}

// line shows how the lake follows.
func (d *demo) line(began time.Time, t *tally, s status, ok bool) {
	state := "lag " + lag(s)
	if !ok {
		state = "daemon is down"
	} else if s.State != streaming {
		state = s.State
	}
	d.out.show("%2.0f s  %s written   MySQL %s rows   lake %s   %s",
		time.Since(began).Seconds(), comma(t.written()), comma(t.rows.Load()), comma(d.daemon.lakeRows()), state)
}

// crash kills the daemon as a power cut would, and starts it again a little later.
func (d *demo) crash(ctx context.Context, began time.Time, t *tally) error {
	d.out.alert("kill -9 %d   the daemon is dead in the middle of its work; the shop goes on", d.daemon.process.pid())
	d.daemon.process.kill()
	for back := time.Now().Add(downTime); time.Now().Before(back); {
		d.line(began, t, status{}, false)
		if err := pause(ctx, redraw); err != nil {
			return err
		}
	}
	missed, err := d.server.executed(ctx)
	if err != nil {
		return err
	}
	started := time.Now()
	if err := d.runDaemon(); err != nil {
		return err
	}
	d.out.say("cdcd run      started again: what it has done is written in the lake's own snapshots, nowhere else")
	err = d.until(ctx, reachPatience, "recovery", func(s status, ok bool) bool {
		d.line(began, t, s, ok)
		return ok && s.holds(missed)
	})
	if err == nil {
		d.out.good("recovered, and has what it missed: %s", seconds(time.Since(started)))
	}
	return err
}

// settle waits until the lake has all that the shop wrote.
func (d *demo) settle(ctx context.Context, t *tally) error {
	end, err := d.server.executed(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	err = d.until(ctx, reachPatience, "the lake's way to the source's end", func(s status, ok bool) bool {
		d.out.show("the shop is closed; the lake catches up, lag %s", lag(s))
		return ok && s.holds(end)
	})
	if err == nil {
		d.out.good("%s transactions: %s rows inserted, %s updated, %s deleted, %s keys changed", comma(t.transactions.Load()), comma(t.inserted.Load()),
			comma(t.updated.Load()), comma(t.deleted.Load()), comma(t.moved.Load()))
		d.out.good("the lake had all of them %s after the last one", seconds(time.Since(began)))
	}
	return err
}
