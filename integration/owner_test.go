//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cdcd/commit"
)

// twin is a second daemon for the same pipeline, with a state directory and addresses of
// its own, as on another machine.
func (p *pipeline) twin() *pipeline {
	p.t.Helper()
	q := newPipeline(p.t, p.server, "", nil)
	own := maps.Clone(q.cfg)
	for k, v := range p.cfg {
		q.cfg[k] = v
	}
	for _, k := range []string{"state", "control", "catalog_endpoint", "http"} {
		q.cfg[k] = own[k]
	}
	q.set(nil)
	return q
}

// TestSecondDaemon starts a second daemon on the pipeline while the first one works.
func TestSecondDaemon(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "second")
	churnTables(t, s, "second", 1000)
	p := newPipeline(t, s, "second.*", settings{"source.server_id": 700001})
	p.start()
	p.reach()
	c := startChurn(t, s, "second", 3000, uint64(time.Now().UnixNano()))
	t.Run("same state directory", func(t *testing.T) {
		f := p.run("run")
		if f.code != 75 {
			t.Errorf("exit %d", f.code)
		}
		wantWords(t, f.err, "another daemon", p.path("state"))
		c.busyFor(t, 20)
	})
	q := p.twin()
	q.set(settings{"source.server_id": 700002})
	t.Run("elsewhere, by a supervisor that does not give up", func(t *testing.T) {
		fence := p.fence()
		for range 5 {
			f := q.run("run")
			if f.code != 75 {
				t.Errorf("exit %d", f.code)
			}
			wantWords(t, f.err, "renewed its lease", "--take-over")
		}
		c.busyFor(t, 20)
		if now := p.fence(); now != fence {
			t.Errorf("the fence went from %d to %d", fence, now)
		}
	})
	t.Run("elsewhere, by force", func(t *testing.T) {
		q.flags = []string{"--take-over"}
		q.start()
		p.wantExit(75, "fence", `"exit":75`)
		c.busyFor(t, 100)
		c.pause()
		q.reach()
		q.oracle("duckdb").equal(t, "second.kv", "second.pair")
		c.resume()
	})
	t.Run("standing by", func(t *testing.T) {
		r := p.twin()
		r.set(settings{"source.server_id": 700003})
		r.flags = []string{"--standby"}
		r.launch()
		eventually(t, time.Minute, "it stands by", func() error {
			if out := r.daemon.output.String(); !strings.Contains(out, "standing by") {
				return fmt.Errorf("it says %s", out)
			}
			return nil
		})
		c.pause()
		owned := p.lease(t)
		q.kill()
		began := time.Now()
		eventually(t, time.Minute, "it takes the lease", func() error {
			if p.lease(t) == owned {
				return fmt.Errorf("it is %s's", owned)
			}
			return nil
		})
		const grace = 5 * time.Second
		took := time.Since(began)
		eventually(t, time.Minute, "it takes over", func() error {
			_, err := r.status()
			if err == nil && r.fence() <= 1 {
				err = fmt.Errorf("no fence yet")
			}
			return err
		})
		t.Logf("taken over %v after the kill", took.Round(100*time.Millisecond))
		if took > commit.LeaseTime+grace {
			t.Errorf("that is more than the lease's %v and %v", commit.LeaseTime, grace)
		}
		c.resume()
		c.busyFor(t, 20)
		c.stop(t)
		r.reach()
		r.verify()
		r.oracle("duckdb").equal(t, "second.kv", "second.pair")
		r.stop()
		r.flags = nil
		r.start() // a lease that was released is taken at once
		r.stop()
	})
}

// lease gives the owner of the pipeline's lease.
func (p *pipeline) lease(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(p.path("warehouse/_cdcd/*/lease.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	content, err := os.ReadFile(files[0])
	var r struct{ Owner string }
	if err == nil {
		err = json.Unmarshal(content, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r.Owner
}

// TestFlushAtEnd stops a daemon that has collected changes and is far from its interval.
func TestFlushAtEnd(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		s.schema(t, "flush")
		s.exec(t, "CREATE TABLE flush.t (id INT PRIMARY KEY); CREATE TABLE flush.quiet (id INT PRIMARY KEY)")
		p := newPipeline(t, s, "flush.*", settings{"commit.interval": "200ms"})
		p.catchUp()
		p.set(settings{"commit.interval": "1h"})
		heeded := make(chan os.Signal, 1)
		signal.Notify(heeded, syscall.SIGHUP) // so that the daemon does not inherit that it is to be ignored, as under nohup
		defer signal.Stop(heeded)
		p.start()
		s.exec(t, "INSERT INTO flush.t VALUES (1), (2); DELETE FROM flush.t WHERE id = 1")
		want := s.executed(t)
		eventually(t, time.Minute, "the changes are collected", func() error {
			if out := p.must("status", "--json").out; !strings.Contains(out, `"rows": 3`) {
				return fmt.Errorf("status: %s", out)
			}
			return nil
		})
		p.stopBy(map[string]syscall.Signal{mysql97: syscall.SIGTERM, mariadb118: syscall.SIGHUP}[s.release])
		p.oracle("duckdb").equal(t, "flush.t")
		p.start()
		for _, table := range []string{"flush.t", "flush.quiet"} {
			if at := p.position(table); !at.Covers(want) {
				t.Errorf("%s was left at %s, the source was at %s", table, at, want)
			}
		}
	})
}

// TestMembership adds tables to the configuration and removes them.
func TestMembership(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "member")
	churnTables(t, s, "member", 2000)
	include := func(tables ...any) settings {
		return settings{"tables": []any{map[string]any{"include": tables}}}
	}
	p := newPipeline(t, s, "member.kv", nil)
	p.start()
	c := startChurn(t, s, "member", 4000, uint64(time.Now().UnixNano()))
	c.busyFor(t, 50)
	p.stop()
	p.set(include("member.kv", "member.pair"))
	p.start() // pair is loaded while kv streams
	c.busyFor(t, 50)
	c.pause()
	p.reach()
	p.oracle("duckdb").equal(t, "member.kv", "member.pair")
	c.resume()
	p.kill()
	p.set(include("member.pair"))
	p.start()
	c.busyFor(t, 50)
	c.pause()
	p.reach()
	p.oracle("duckdb").equal(t, "member.pair")
	if out := p.must("show", "member.kv", "--limit", "1").out; strings.Count(out, "\n") < 2 {
		t.Errorf("the removed table is gone: %s", out)
	}
	c.resume()
	p.stop()
	p.set(include("member.kv", "member.pair")) // kv goes on where it was left
	p.start()
	c.busyFor(t, 50)
	c.stop(t)
	p.reach()
	p.oracle("duckdb").equal(t, "member.kv", "member.pair")
	p.verify()
	p.fsck(t)
}

// TestDamagedState damages every file of the state directory, one after the other.
func TestDamagedState(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "damaged")
	churnTables(t, s, "damaged", 300_000) // small indexes are kept in memory only
	p := newPipeline(t, s, "damaged.*", nil)
	c := startChurn(t, s, "damaged", 3000, 1)
	p.start()
	c.busyFor(t, 100)
	c.stop(t)
	p.reach()
	p.stop() // which puts the indexes on disk
	files := 0
	err := filepath.WalkDir(p.path("state"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || len(b) == 0 {
			return err
		}
		files++
		b[len(b)/2] ^= 0x55
		return os.WriteFile(path, b, 0o600)
	})
	if err != nil || files == 0 {
		t.Fatalf("%d files damaged: %v", files, err)
	}
	p.start()
	wantWords(t, p.daemon.output.String(), "key index rebuilt")
	s.exec(t, "UPDATE damaged.kv SET n = 1 WHERE id % 3 = 0; DELETE FROM damaged.kv WHERE id % 3 = 1")
	p.reach()
	p.oracle("duckdb").equal(t, "damaged.kv", "damaged.pair")
	p.fsck(t)
}
