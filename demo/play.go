package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// demo is one performance.
type demo struct {
	set    settings
	out    *screen
	server *server
	shop   *shop
	daemon *daemon
	lake   *lake
	left   left
	began  time.Time
}

// play is the demo from its first to its last step. Whatever it started is ended when a step
// fails.
func play(ctx context.Context, set settings, out *screen) (err error) {
	d := &demo{set: set, out: out, began: time.Now()}
	out.raw(out.paint(bold, "cdcd: a live MySQL shop, replicated exactly once into Iceberg tables that every engine reads"))
	if err := prepareDir(set, out); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			d.abandon()
		}
	}()
	for _, step := range []func(context.Context) error{d.build, d.startServer, d.startLake, d.openShop, d.startDaemon, d.trade, d.compare, d.leave} {
		if err := step(ctx); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// abandon ends everything after a failure. What was logged stays to be read.
func (d *demo) abandon() {
	d.out.wipe()
	if d.daemon != nil && d.daemon.process != nil {
		d.daemon.process.kill()
	}
	d.closeServer()
	if d.lake != nil {
		d.lake.end()
	}
	for _, p := range d.left.Processes {
		p.end()
	}
}

// closeServer drops what was made on a guest, and ends a server of the demo's own.
func (d *demo) closeServer() {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s := d.server
	switch {
	case s == nil:
	case s.process != nil:
		s.process.end()
	case s.made:
		if err := s.drop(ctx); err != nil {
			d.out.alert("The demo's schema %s and account %s are still on %s: %v", s.schema, account, s.address, err)
			return
		}
		s.made = false
		d.out.say("Dropped schema %s and account %s on %s.", s.schema, account, s.address)
	}
}

// remember records a process, or a guest, that may outlive the demo.
func (d *demo) remember(p *process) error {
	if p != nil {
		d.left.Processes = append(d.left.Processes, leftProcess{p.name, p.pid(), began(p.pid())})
	}
	return d.left.write(d.set.dir)
}

func (d *demo) build(ctx context.Context) error {
	d.out.step("Build cdcd", "One binary; no other service to install.")
	began := time.Now()
	err := d.out.wait("go build", func() error {
		cmd := exec.CommandContext(ctx, "go", "-C", d.set.root, "build", "-o", d.set.binary(), "./cmd/cdcd")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go build: %w\n%s", err, lastLines(out))
		}
		return nil
	})
	if err == nil {
		d.out.good("%s, %s", short(d.set.binary()), seconds(time.Since(began)))
	}
	return err
}

func (d *demo) startServer(ctx context.Context) (err error) {
	began := time.Now()
	if d.set.dsn != "" {
		end := "at the end"
		if d.set.keep {
			end = "with demo stop"
		}
		d.out.step("Connect to your MySQL", fmt.Sprintf("The demo makes schema %s and account %s there, and drops both %s.", guestSchema, account, end))
		d.server, err = visitServer(d.set.dsn)
	} else {
		d.out.step("Start a real MySQL", "Unpacked into a cache directory: no root, no container. Row-based binary log, GTIDs.")
		d.server, err = d.ownServer(ctx)
	}
	if err != nil {
		return err
	}
	if err := d.out.wait("connecting", func() error { return d.server.connect(ctx) }); err != nil {
		return err
	}
	if err := d.server.prepare(ctx); err != nil {
		return err
	}
	d.out.good("%v %s on %s, %s", d.server.flavor, d.server.version, d.server.address, seconds(time.Since(began)))
	return nil
}

func (d *demo) ownServer(ctx context.Context) (*server, error) {
	if err := d.out.wait("fetching MySQL, the first time only", func() error { return fetchServer(ctx, d.set) }); err != nil {
		return nil, err
	}
	ports, err := freePorts(mysqlPort)
	if err != nil {
		return nil, err
	}
	s, err := runServer(d.set, ports[0])
	if err == nil && d.set.keep {
		err = d.remember(s.process)
	}
	return s, err
}

func (d *demo) openShop(ctx context.Context) error {
	d.out.step("Open a shop", "Decimals, JSON, enums, microseconds, emoji: every value has to arrive exactly.")
	if d.server.guest {
		d.left.Server = d.server.address
		if err := d.remember(nil); err != nil {
			return err
		}
	}
	db, err := d.server.shopDB()
	if err != nil {
		return err
	}
	d.shop = newShop(db)
	began := time.Now()
	if err := d.shop.open(ctx, func(rows int) { d.out.show("%s of %s rows", comma(rows), comma(stockRows)) }); err != nil {
		return err
	}
	d.out.good("customers %s, products %s, orders %s: %s", comma(customers), comma(products), comma(orders), seconds(time.Since(began)))
	return nil
}

// startDaemon starts cdcd and waits for the initial load.
func (d *demo) startDaemon(ctx context.Context) (err error) {
	d.out.step("Start the daemon: cdcd run", "It loads the tables without locking them, and follows the binary log at the same time.")
	if d.daemon, err = configure(d.set, d.server, d.lake); err != nil {
		return err
	}
	if out, err := d.daemon.command(ctx, "check").CombinedOutput(); err != nil {
		return fmt.Errorf("cdcd check: the server is not fit for replication:\n%s", strings.TrimSpace(string(out)))
	}
	began := time.Now()
	if err := d.runDaemon(); err != nil {
		return err
	}
	d.out.say("status page  http://%s/\nlog          %s", d.daemon.status, short(d.daemon.log()))
	var last status
	err = d.until(ctx, loadPatience, "the initial load", func(s status, ok bool) bool {
		if last = s; ok {
			d.out.show("loading  %s of %s rows  lag %s", comma(s.Counters.LoadedRows), comma(stockRows), lag(s))
		}
		return ok && s.State == streaming && d.daemon.lakeRows() >= stockRows // loaded, and committed
	})
	if err != nil {
		return err
	}
	took := time.Since(began)
	n := last.Counters.LoadedRows
	d.out.good("%s rows are in the lake after %s", comma(n), seconds(took))
	return nil
}

// runDaemon starts the daemon, and records it where it may outlive the demo.
func (d *demo) runDaemon() error {
	if err := d.daemon.run(); err != nil || !d.set.keep {
		return err
	}
	return d.remember(d.daemon.process)
}

const (
	loadPatience  = 2 * time.Minute
	reachPatience = time.Minute
)

// until polls the daemon until a condition holds.
func (d *demo) until(ctx context.Context, patience time.Duration, what string, condition func(s status, ok bool) bool) error {
	for deadline := time.Now().Add(patience); ; {
		if !d.daemon.process.alive() {
			return d.daemon.process.died()
		}
		s, ok := d.daemon.ask(ctx)
		if condition(s, ok) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not done after %v\n%s", what, patience, tail(d.daemon.log()))
		}
		if err := pause(ctx, redraw); err != nil {
			return err
		}
	}
}

// stop is demo stop.
func stop(ctx context.Context, set settings, out *screen) error {
	_, err := readLeft(set.dir)
	nothing := errors.Is(err, os.ErrNotExist)
	if err := sweep(set, out); err != nil {
		return err
	}
	if set.dsn != "" {
		if err := dropGuest(ctx, set, out); err != nil {
			return err
		}
	}
	if nothing {
		out.raw("There is no demo in " + short(set.dir) + ".")
		return nil
	}
	out.raw("Stopped, and removed " + short(set.dir) + ".")
	return nil
}
