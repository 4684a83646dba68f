//go:build integration

package integration

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// soak runs a pipeline under the workload and a deck of faults, as a supervisor would, while
// every cut that it publishes is checked.
type soak struct {
	t        *testing.T
	server   *server
	link     *forwarder // between daemon and source
	first    *pipeline  // whose directory has the warehouse
	now      *pipeline  // whose daemon owns the pipeline
	lossy    *lossy     // before the catalog; nil: the embedded catalog has none
	uri      string     // of the catalog, for readers
	workload *workload
	checker  *cutChecker
	random   *rand.Rand
	began    time.Time
	daemons  uint32         // started by twins, for their server ids
	hit      map[string]int // faults
	points   map[string]int // failpoints at which a daemon died
	ended    map[int]int    // daemons that ended by themselves, by exit code
	said     map[string]int // rare paths that the daemons' logs show
}

// soakConfig says what to run.
type soakConfig struct {
	release string
	catalog string // embedded or rest
	seed    uint64
	faults  []string      // in a random order, again and again
	atLeast time.Duration // all faults are injected once, however long that takes
}

// runSoak runs it all and fails for what cannot be, and for a fault that was not injected.
func runSoak(t *testing.T, cfg soakConfig) {
	t.Logf("%s, catalog %s, SEED=%d", cfg.release, cfg.catalog, cfg.seed)
	s := newSoak(t, cfg)
	stop := s.report(30 * time.Second)
	defer stop()
	for once := false; !once || time.Since(s.began) < cfg.atLeast; once = true {
		deck := slices.Clone(cfg.faults)
		s.random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		for _, name := range deck {
			if once && time.Since(s.began) >= cfg.atLeast {
				break
			}
			s.inject(name)
		}
	}
	s.finish()
	stop()
	s.summary(cfg)
}

func newSoak(t *testing.T, cfg soakConfig) *soak {
	s := &soak{
		t: t, random: rand.New(rand.NewPCG(cfg.seed, workloadWriters)), began: time.Now(),
		hit: map[string]int{}, points: map[string]int{}, ended: map[int]int{}, said: map[string]int{},
	}
	s.server = ownServer(t, cfg.release)
	const schema = "soak"
	workloadTables(t, s.server, schema)
	s.link = startForwarder(t, s.server.address)
	s.first = newPipeline(t, s.server, schema+".*", settings{
		"pipeline": "soak_" + cfg.release, "source.address": s.link.address, "commit.interval": "500ms", "commit.max_bytes": "1MiB",
	})
	s.now = s.first
	if cfg.catalog == "rest" {
		s.uri = startIcebergREST(t)
		proxy, address := newLossy(t, s.uri)
		s.lossy = proxy
		s.first.set(settings{"catalog.type": "rest", "catalog.uri": address})
	}
	s.now.start()
	if s.lossy == nil {
		s.uri = s.first.uri()
	}
	s.workload = startWorkload(t, s.server, schema, cfg.seed)
	s.checker = newCutChecker(t, s.first, s.uri, schema, startReplica(t, s.server))
	s.checker.workload = s.workload
	s.checker.start(t)
	return s
}

// inject injects one fault and waits until all is well again: a cut behind the fault has been
// found right. Now and then the next fault does not wait.
func (s *soak) inject(name string) {
	s.t.Helper()
	const impatient = 5 // one of
	f, ok := soakFaults()[name]
	if !ok {
		s.t.Fatalf("there is no fault %q", name)
	}
	f(s)
	s.hit[name]++
	if s.random.IntN(impatient) > 0 {
		s.settle()
	}
}

// settle waits until a cut that covers all the source has executed by now is found right.
// Meanwhile it is the daemon's supervisor.
func (s *soak) settle() {
	s.t.Helper()
	want := s.server.executed(s.t)
	eventually(s.t, 4*time.Minute, "a cut behind the fault is found right", func() error {
		s.supervise()
		_, passed, err := s.checker.state()
		if err != nil {
			return fatalError{err}
		}
		if passed.Flavor() != want.Flavor() || !passed.Covers(want) {
			return fmt.Errorf("the newest one is at %s, wanted is %s; the daemon says: %s", passed, want, lastLines(s.now.daemon.output.String(), 5))
		}
		return nil
	})
	s.checker.loadsAnew("") // it had all tables
}

// supervise starts the daemon again where it has ended with a code that asks for that.
func (s *soak) supervise() {
	s.t.Helper()
	if s.now.daemon.alive() {
		return
	}
	const codeFailure, codeLater = 1, 75
	code, _ := s.now.daemon.exitCode(0)
	if code != codeFailure && code != codeLater {
		s.t.Fatalf("the daemon ended with %d: %s", code, lastLines(s.now.daemon.output.String(), 20))
	}
	s.t.Logf("the daemon ended with %d: %s", code, lastLines(s.now.daemon.output.String(), 1))
	s.ended[code]++
	s.listen()
	s.now.launch()
}

// ready waits until the daemon has recovered.
func (s *soak) ready() {
	s.t.Helper()
	eventually(s.t, 2*time.Minute, "the daemon recovers", func() error {
		s.supervise()
		x, err := s.now.status()
		if err == nil && x.State == "recovering" {
			err = fmt.Errorf("recovering")
		}
		return err
	})
}

// listen counts the rare paths that the log of a daemon which has ended shows.
func (s *soak) listen() {
	log := s.now.daemon.output.String()
	for name, words := range rarePaths() {
		s.said[name] += strings.Count(log, words)
	}
}

// rarePaths are what the daemon's log says on paths that are seldom taken.
func rarePaths() map[string]string {
	return map[string]string{
		"stream reconnected":     "stream interrupted, reconnecting",
		"source not reached":     "source not reached",
		"fence lost":             `"exit":75`,
		"inside a transaction":   "inside a transaction that is partly delivered",
		"lease taken by another": "another daemon has taken the pipeline over",
		"recovered":              `"msg":"recovered"`,
	}
}

// finish ends the workload and holds source and lake together.
func (s *soak) finish() {
	s.t.Helper()
	s.ready()
	s.workload.stop(s.t)
	s.settle()
	s.now.reach()
	s.now.verify()
	var tables []string
	for name := range workloadKeys() {
		tables = append(tables, s.workload.schema+"."+name)
	}
	(&oracle{s.first, startEngine(s.t, "duckdb", s.uri)}).equal(s.t, tables...)
	eventually(s.t, time.Minute, "the lag goes back to 0", func() error {
		if lag := s.now.metric("cdcd_source_lag_seconds"); lag != "0" {
			return fmt.Errorf("it is %s", lag)
		}
		return nil
	})
	s.now.stop()
	s.listen()
	s.now.must("fsck")
	if s.lossy == nil {
		s.first.fsck(s.t)
	}
}

// summary says what was run, and fails where something was not.
func (s *soak) summary(cfg soakConfig) {
	s.t.Helper()
	s.progress()
	kinds, _, _ := s.workload.counts()
	s.t.Logf("transactions: %v", kinds)
	s.t.Logf("faults: %v; failpoints: %v; ended by themselves: %v; log: %v", s.hit, s.points, s.ended, s.said)
	for _, name := range cfg.faults {
		if s.hit[name] == 0 {
			s.t.Errorf("the fault %q was not injected", name)
		}
	}
	counts, _, _ := s.checker.state()
	if counts.checked < len(cfg.faults) {
		s.t.Errorf("only %d cuts were checked", counts.checked)
	}
	if spilled := s.spills(); spilled == 0 {
		s.t.Error("no transaction was larger than an epoch may be")
	}
	for _, o := range operations() {
		if kinds[o.name] == 0 {
			s.t.Errorf("no transaction of the kind %q", o.name)
		}
	}
}

// spills counts data files that an epoch wrote beside its first ones: those of transactions
// that were larger than an epoch may be.
func (s *soak) spills() int {
	s.t.Helper()
	files, err := filepath.Glob(s.first.path("warehouse/*/bulk/data/*-2.parquet"))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(files)
}

// report says every now and then how far the run has come.
func (s *soak) report(every time.Duration) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				s.progress()
			}
		}
	}()
	stopped := false
	return func() {
		if !stopped {
			stopped = true
			close(done)
			<-ended
		}
	}
}

func (s *soak) progress() {
	_, all, lost := s.workload.counts()
	c, at, _ := s.checker.state()
	s.t.Logf("%v: %d transactions, %d lost with their connection; %d of %d cuts right, %d of these by PyIceberg, %d without a table that is loaded anew, %d withdrawn while read, %d rows compared, %v in the lake, %v at the replica; at %s",
		time.Since(s.began).Round(time.Second), all, lost, c.checked, c.seen, c.other, c.partly, c.withdrawn, c.rows, c.lake.Round(time.Second), c.source.Round(time.Second), at)
}
