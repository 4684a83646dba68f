package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"cdcd/capture"
	"cdcd/commit"
	"cdcd/table/fileio"
)

// leased runs an action while this daemon holds the pipeline's lease, which it renews. Who
// has lost the lease goes on until the fence stops it: only the fence decides. Where the lease
// is at the control table's location, that table has to be there first.
func (d *daemon) leased(ctx context.Context, lake *lakehouse, action func() error) error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	if d.cfg.Catalog.VendedCredentials {
		tables := lake.tables(d.cfg.Pipeline)
		tables.Repair = true // what is wrong with it is for the action to judge
		err := commit.EnsureControl(ctx, commit.Config{
			Pipeline: d.cfg.Pipeline, Control: controlMember(d.cfg, lake), Tables: tables, Logger: d.logger.With(componentKey, componentCommit),
		})
		if err != nil {
			return err
		}
	}
	lease := commit.NewLease(lake.store, lake.beside(d.cfg), d.cfg.Pipeline, host+":"+d.cfg.State, clock)
	if err := d.takeLease(ctx, lease); err != nil {
		return err
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var renewing sync.WaitGroup
	renewing.Go(func() { d.renew(background, lease) })
	err = action()
	cancel()
	renewing.Wait()
	if errors.Is(err, capture.ErrRival) {
		err = ofOthers(context.WithoutCancel(ctx), lease, err)
	}
	if released := lease.Release(context.WithoutCancel(ctx)); released != nil {
		d.logger.Warn("the lease is not released; the next daemon waits until it runs out", "err", released)
	}
	return err
}

// ofOthers judges the loss of the stream's connection to another replica of the same identity, again
// and again. Where that is another daemon of the pipeline, it has the lease, and this one is to be started
// again later. Who still has the lease has met somebody else: to start again, and take that one's
// connection again, helps neither.
func ofOthers(ctx context.Context, lease *commit.Lease, lost error) error {
	switch err := lease.Renew(ctx); {
	case err == nil:
		return coded{exitHuman, lost}
	case errors.Is(err, commit.ErrLeased):
		return fmt.Errorf("%w: %w", err, lost)
	}
	return lost // that is not known
}

// standbyPoll is how often a daemon that stands by looks at the lease.
const standbyPoll = time.Second

// takeOverTries bounds how often the lease is taken by force while its owner renews it at that moment.
const takeOverTries = 5

// takeLease takes the lease. A daemon that stands by waits until the owner is gone.
func (d *daemon) takeLease(ctx context.Context, lease *commit.Lease) error {
	for try, waiting := 1, false; ; try, waiting = try+1, true {
		err := lease.Take(ctx, d.flags.TakeOver)
		standsBy := d.flags.Standby && (errors.Is(err, commit.ErrLeased) || errors.Is(err, fileio.ErrBusy))
		takesOver := d.flags.TakeOver && errors.Is(err, commit.ErrLeased) && try < takeOverTries
		if !standsBy && !takesOver && !errors.Is(err, commit.ErrWatching) {
			return err
		}
		if !waiting && d.flags.Standby {
			d.logger.Info("standing by", "err", err)
			d.sdNotify("STATUS=standing by")
		}
		select {
		case <-time.After(standbyPoll):
		case <-ctx.Done():
			return fmt.Errorf("standing by: %w", context.Cause(ctx))
		}
	}
}

// renew renews the lease until ctx ends.
func (d *daemon) renew(ctx context.Context, lease *commit.Lease) {
	ticker := time.NewTicker(commit.RenewEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		err := lease.Renew(ctx)
		if errors.Is(err, commit.ErrLeased) {
			d.logger.Warn("another daemon has taken the pipeline over", "err", err)
			return
		}
		if err != nil && ctx.Err() == nil {
			d.logger.Warn("the lease is not renewed: a daemon that stands by may take over", "err", err)
		}
	}
}
