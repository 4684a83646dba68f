//go:build integration

package integration

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cdcd/capture"
)

// soakFaults are what a soak does to a pipeline. Each leaves a daemon that runs, or that its
// supervisor starts again.
func soakFaults() map[string]func(*soak) {
	return map[string]func(*soak){
		"kill":              (*soak).killAnywhere,
		"kill at failpoint": (*soak).killAtFailpoint,
		"kill in recovery":  (*soak).killInRecovery,
		"state wiped":       (*soak).wipe,
		"stop":              (*soak).stopInOrder,
		"source restarted":  func(s *soak) { s.server.restart(s.t, syscall.SIGTERM, nil) },
		"source killed":     func(s *soak) { s.server.restart(s.t, syscall.SIGKILL, nil) },
		"link cut":          (*soak).cutLink,
		"link stalled":      (*soak).stallLink,
		"dumps killed":      func(s *soak) { killDumps(s.t, s.server) },
		"taken over":        func(s *soak) { s.takeOver(false) },
		"frozen":            (*soak).freeze,
		"zombie":            (*soak).zombie,
		"log rotated":       func(s *soak) { s.server.exec(s.t, "FLUSH BINARY LOGS") },
		"log purged":        (*soak).purge,
		"catalog answers":   (*soak).loseAnswers,
		"loaded anew":       (*soak).resnapshot,
	}
}

// endured lets a fault last for a while: between a tenth of what is longest and all of it.
func (s *soak) endured(longest time.Duration) {
	const parts = 10
	time.Sleep(longest * time.Duration(1+s.random.IntN(parts)) / parts)
}

// end makes an end to the daemon by kill -9. It may have ended by itself.
func (s *soak) end() {
	s.t.Helper()
	s.now.kill()
	s.listen()
}

func (s *soak) killAnywhere() {
	const longest = 2 * time.Second
	s.endured(longest)
	s.end()
	s.now.launch()
}

// killInRecovery kills a daemon that has just been started, and its successor.
func (s *soak) killInRecovery() {
	const times, longest = 2, 600 * time.Millisecond
	s.end()
	for range times {
		s.now.launch()
		s.endured(longest)
		s.end()
	}
	s.now.launch()
}

func (s *soak) wipe() {
	s.end()
	if err := os.RemoveAll(s.now.path("state")); err != nil {
		s.t.Fatal(err)
	}
	s.now.launch()
}

func (s *soak) stopInOrder() {
	s.ready()
	if err := s.now.daemon.signal(syscall.SIGTERM, time.Minute); err != nil {
		s.t.Fatal(err)
	}
	s.supervised()
	s.now.launch()
}

// supervised checks the code with which a daemon ended: in order, or such that a supervisor
// starts it again.
func (s *soak) supervised() {
	s.t.Helper()
	if code, err := s.now.daemon.exitCode(0); err != nil || code != 0 && code != 75 {
		s.t.Fatalf("the daemon ended with %d (%v): %s", code, err, lastLines(s.now.daemon.output.String(), 20))
	}
	s.listen()
}

// killAtFailpoint starts a daemon that dies at a place inside a commit.
func (s *soak) killAtFailpoint() {
	const passages = 6
	names := soakFailpoints()
	name, passage := names[s.random.IntN(len(names))], 3+s.random.IntN(passages)
	s.end()
	log := s.now.path("failpoint")
	_ = os.Remove(log)
	s.now.launch(fmt.Sprintf("CDCD_FAILPOINT=%s=%d", name, passage), "CDCD_FAILPOINT_LOG="+log)
	if _, err := s.now.daemon.exitCode(2 * time.Minute); err != nil {
		s.t.Fatalf("failpoint %s: %v", name, err)
	}
	if said, err := os.ReadFile(log); err == nil && string(said) == name {
		s.points[name]++
		s.listen()
		s.now.launch()
		return
	}
	s.supervise() // it ended by itself before it came there
}

// soakFailpoints are those that a running pipeline passes.
func soakFailpoints() []string {
	var out []string
	for _, f := range failpoints() {
		if !f.newTable {
			out = append(out, f.name)
		}
	}
	return out
}

func (s *soak) cutLink() {
	const longest = 4 * time.Second
	s.link.change(func(f *forwarder) { f.left = 0 }) // so that no new connection gets an answer
	s.link.cut()
	s.endured(longest)
	s.link.change(func(f *forwarder) { f.left = -1 })
}

func (s *soak) stallLink() {
	const longest = 8 * time.Second
	s.link.change(func(f *forwarder) { f.silent = true })
	s.endured(longest)
	s.link.change(func(f *forwarder) { f.silent = false })
}

// freeze lets the daemon stand still for less than its lease.
func (s *soak) freeze() {
	const longest = 6 * time.Second
	s.signal(s.now.daemon, syscall.SIGSTOP)
	s.endured(longest)
	s.signal(s.now.daemon, syscall.SIGCONT)
}

// zombie lets another daemon take over while the owner stands still, and wakes the owner.
func (s *soak) zombie() {
	s.ready()
	s.signal(s.now.daemon, syscall.SIGSTOP)
	s.takeOver(true)
}

func (s *soak) signal(p *process, x syscall.Signal) {
	if err := p.cmd.Process.Signal(x); err != nil && p.alive() {
		s.t.Fatal(err)
	}
}

// takeOver starts a daemon elsewhere that takes the pipeline by force. The one before it has
// to end as soon as it can: when it wakes up where it is frozen.
func (s *soak) takeOver(frozen bool) {
	s.t.Helper()
	const firstID = 710_000
	old := s.now
	if !frozen {
		s.ready()
	}
	s.daemons++
	twin := old.twin()
	twin.set(settings{"source.server_id": firstID + s.daemons})
	twin.flags = []string{"--take-over"}
	twin.launch()
	s.now = twin
	if frozen {
		s.recoverBesideFrozen()
		s.signal(old.daemon, syscall.SIGCONT)
	}
	s.ready()
	old.wantExit(75)
	s.said["fence lost"] += strings.Count(old.daemon.output.String(), `"exit":75`)
	twin.flags = nil
}

// recoverBesideFrozen waits until the daemon has recovered although the owner stands still.
// An owner that was frozen in the middle of a transaction of the embedded catalog keeps the
// catalog's file locked, so that nobody can take over before it wakes up.
func (s *soak) recoverBesideFrozen() {
	s.t.Helper()
	const patience, between = 20 * time.Second, 100 * time.Millisecond
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(between) {
		s.supervise()
		if x, err := s.now.status(); err == nil && x.State != "recovering" {
			return
		}
	}
	s.said["frozen with the catalog locked"]++
}

// purge removes all of the source's log that neither the daemon nor the replica needs.
func (s *soak) purge() {
	s.t.Helper()
	s.server.exec(s.t, "FLUSH BINARY LOGS")
	newest, want := s.newestLogFile(), s.server.executed(s.t)
	s.settle()
	eventually(s.t, 2*time.Minute, "all tables are behind the log that is purged", func() error {
		s.supervise()
		x, err := s.now.status()
		if err != nil {
			return err
		}
		for _, table := range x.Tables {
			at, err := capture.ParsePosition(s.server.flavor, table.Position)
			if err != nil {
				return err
			}
			if !at.Covers(want) {
				return fmt.Errorf("%s is at %s", table.Source, at)
			}
		}
		return nil
	})
	s.server.exec(s.t, "PURGE BINARY LOGS TO '"+newest+"'")
}

func (s *soak) newestLogFile() string {
	s.t.Helper()
	rows, err := s.server.db.Query("SHOW BINARY LOGS")
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		s.t.Fatal(err)
	}
	var newest string
	for rows.Next() {
		targets := make([]any, len(names))
		for i := range targets {
			targets[i] = new(any)
		}
		targets[0] = &newest
		if err := rows.Scan(targets...); err != nil {
			s.t.Fatal(err)
		}
	}
	return newest
}

// loseAnswers lets most answers of the catalog to commits get lost for a while.
func (s *soak) loseAnswers() {
	const longest = 10 * time.Second
	before := s.lossy.damaged.Load()
	s.lossy.on.Store(true)
	s.endured(longest)
	eventually(s.t, time.Minute, "an answer is lost", func() error {
		s.supervise()
		if s.lossy.damaged.Load() == before {
			return fmt.Errorf("none of %d", s.lossy.commits.Load())
		}
		return nil
	})
	s.lossy.on.Store(false)
}

// resnapshot has a table loaded anew. Other faults may meet the load. No cut has the table before it
// is published, so the money, which all cuts have, stays as it is.
func (s *soak) resnapshot() {
	s.t.Helper()
	var tables []string
	for name := range workloadKeys() {
		if !slices.Contains(bankTables(), name) {
			tables = append(tables, name)
		}
	}
	slices.Sort(tables)
	table := tables[s.random.IntN(len(tables))]
	s.checker.loadsAnew(table)
	eventually(s.t, 2*time.Minute, "the daemon takes the order", func() error {
		s.supervise()
		if f := s.now.run("resnapshot", s.workload.schema+"."+table); f.code != 0 {
			return fmt.Errorf("exit %d: %s", f.code, f.err)
		}
		return nil
	})
	eventually(s.t, time.Minute, "the source changes behind the order", func() error { // so that no cut of before is behind it
		_, err := s.server.db.Exec(fmt.Sprintf("UPDATE %s.%s SET version = version + 1 ORDER BY id LIMIT 1", s.workload.schema, bankTables()[0]))
		return err
	})
}

// metric reads one of the daemon's metrics; "": it is not there.
func (p *pipeline) metric(name string) string {
	endpoint, _ := p.cfg["http"].(map[string]any)
	answer, err := http.Get(fmt.Sprintf("http://%v/metrics", endpoint["listen"]))
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(body)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// TestSoakShort runs a few faults of every sort against both servers. make soak runs all of
// them, for as long as one likes.
func TestSoakShort(t *testing.T) {
	faults := map[string][]string{
		mysql97:    {"kill at failpoint", "state wiped", "source killed", "zombie", "loaded anew", "log purged"},
		mariadb118: {"kill at failpoint", "kill in recovery", "link cut", "taken over", "source restarted", "loaded anew"},
	}
	for _, release := range []string{mysql97, mariadb118} {
		t.Run(release, func(t *testing.T) {
			runSoak(t, soakConfig{release: release, catalog: "embedded", seed: uint64(time.Now().UnixNano()), faults: faults[release]})
		})
	}
}
