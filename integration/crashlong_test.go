//go:build integration && crash

package integration

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cdcd/integration/faultproxy"
)

const (
	// compareEvery is how many rounds pass between two comparisons of all rows.
	compareEvery = 20
	// mostRestarts bounds how often a daemon that gave up is started again in one round.
	mostRestarts = 8
	// longestLife bounds a daemon that is killed at a random moment.
	longestLife = 2500 * time.Millisecond
)

// TestCrashLong kills the daemon CDCD_CRASH_ROUNDS times at failpoints and at random moments,
// and as often again once it has recovered; half of it on local disk, half in S3 with a REST
// catalog, both behind a proxy that injects faults. After each round the newest cut is read
// by DuckDB: no money is lost and no version goes back. CDCD_CRASH_SEED repeats a plan.
func TestCrashLong(t *testing.T) {
	rounds, seed := fromEnv(t, "CDCD_CRASH_ROUNDS", 200), uint64(fromEnv(t, "CDCD_CRASH_SEED", int(time.Now().UnixNano())))
	t.Logf("CDCD_CRASH_SEED=%d CDCD_CRASH_ROUNDS=%d", seed, rounds)
	t.Run("disk", func(t *testing.T) {
		l := newLongCrash(t, seed, nil)
		l.rounds(rounds / 2)
		l.p.fsck(t)
	})
	t.Run("s3", func(t *testing.T) {
		l, fsck := longCrashInS3(t, seed+1)
		l.rounds(rounds - rounds/2)
		fsck()
	})
}

func fromEnv(t *testing.T, name string, otherwise int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// longCrash is one half of the test.
type longCrash struct {
	*testing.T
	s       *server
	p       *pipeline
	seed    uint64
	random  *rand.Rand
	proxies []*faultproxy.Proxy
	engine  *engine
	tables  []string
	seen    bankBook
	hit     map[string]int
	gaveUp  int // daemons that ended with 75 under faults
	cuts    int
	began   time.Time
}

const crashPipeline = "crash"

// newLongCrash starts a pipeline of its own in a warehouse that settings describe.
func newLongCrash(t *testing.T, seed uint64, more settings) *longCrash {
	t.Helper()
	s := sharedServer(t, mysql97)
	makeBank(t, s)
	s.schema(t, "crash")
	churnTables(t, s, "crash", 2000)
	p := newPipeline(t, s, "", more)
	p.set(settings{"pipeline": crashPipeline, "tables": []any{map[string]any{"include": []any{"bank.*", "crash.*"}}}})
	l := &longCrash{
		T: t, s: s, p: p, seed: seed, random: rand.New(rand.NewPCG(seed, 3)), seen: bankBook{}, hit: map[string]int{}, began: time.Now(),
		tables: []string{"bank.here", "bank.there", "bank.abroad", "crash.kv", "crash.pair"},
	}
	p.start()
	p.reach()
	return l
}

// longCrashInS3 is newLongCrash with S3 and a REST catalog behind proxies. DuckDB reads
// without them. fsck checks the files in the bucket.
func longCrashInS3(t *testing.T, seed uint64) (l *longCrash, fsck func()) {
	t.Helper()
	for k, v := range s3Credentials() {
		t.Setenv(k, v)
	}
	endpoint := s3Endpoint(t)
	t.Setenv("S3_ENDPOINT", strings.TrimPrefix(endpoint, "http://"))
	t.Setenv("AWS_REGION", "us-east-1")
	base := strings.TrimSuffix(s3Base(t), "/")
	dir := t.TempDir()
	uri := startIcebergRESTIn(t, dir, "CATALOG_IO__IMPL=org.apache.iceberg.aws.s3.S3FileIO", "CATALOG_S3_ENDPOINT="+endpoint,
		"CATALOG_S3_PATH__STYLE__ACCESS=true", "CATALOG_WAREHOUSE="+base)
	catalog, catalogAddress := startFaults(t, uri, catalogPlan(seed))
	store, storeAddress := startFaults(t, endpoint, storePlan(seed))
	l = newLongCrash(t, seed, settings{
		"warehouse.location": base, "warehouse.s3.endpoint": storeAddress, "warehouse.s3.region": "us-east-1",
		"warehouse.s3.path_style": true, "catalog.type": "rest", "catalog.uri": catalogAddress,
	})
	l.proxies = []*faultproxy.Proxy{catalog, store}
	l.engine = startEngine(t, "duckdb", uri)
	return l, func() {
		check := exec.Command(filepath.Join(cacheDir(), "engines", "venv-py", "bin", "python"), "engines/fsck.py", dir)
		check.Env = append(os.Environ(), "S3_ROOT="+filepath.Join(sharedDir, "s3"))
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("fsck: %v\n%s", err, out)
		}
	}
}

// rounds runs the plan under load and compares all rows at the end.
func (l *longCrash) rounds(n int) {
	l.Helper()
	if l.engine == nil {
		l.engine = startEngine(l, "duckdb", l.p.uri())
	}
	c := startChurn(l, l.s, "crash", 5000, l.seed)
	b := startTeller(l, l.s)
	for _, p := range l.proxies {
		p.Set(true)
	}
	plan := planCrashes(l.random, n)
	for i, planned := range plan {
		l.round(i, planned)
		if (i+1)%compareEvery == 0 || i == n-1 {
			c.pause()
			b.pause()
			l.compare()
			b.resume()
			c.resume()
		}
	}
	c.stop(l)
	b.stop(l)
	for _, p := range l.proxies {
		p.Set(false)
		if _, err := p.Release(); err != nil {
			l.Error(err)
		}
	}
	l.ensure()
	l.p.reach()
	(&oracle{l.p, l.engine}).equal(l, l.tables...)
	l.p.verify()
	l.p.stop()
	l.report(plan)
}

// round ends the daemon as planned, lets the next one recover and publish a cut, looks at
// it, and goes on with that daemon.
func (l *longCrash) round(i int, planned plannedCrash) {
	l.Helper()
	began := time.Now()
	l.p.kill()
	if planned.newTable {
		name := fmt.Sprintf("crash.new%d", i)
		l.s.exec(l, "CREATE TABLE "+name+" LIKE crash.pair; INSERT INTO "+name+" SELECT * FROM crash.pair LIMIT 10")
		l.tables = append(l.tables, name)
	}
	l.die(planned.crash)
	died := time.Since(began)
	if planned.wipe {
		if err := os.RemoveAll(l.p.path("state")); err != nil {
			l.Fatal(err)
		}
	}
	cut := l.nextCut()
	recovered := time.Since(began) - died
	l.checkCut(cut)
	where := planned.failpoint
	if where == "" {
		where = "a random moment"
	}
	fmt.Printf("%s round %d: killed at %s (passage %d), state wiped: %v; crash %d ms, recovery to cut %d %d ms, check %d ms\n", l.Name(), i, where, planned.passage,
		planned.wipe, died.Milliseconds(), cut, recovered.Milliseconds(), (time.Since(began) - died - recovered).Milliseconds())
}

// die starts the daemon and lets it end as drawn. One that gives up because of injected
// faults is started again, as a supervisor does.
func (l *longCrash) die(c crash) {
	l.Helper()
	log := l.p.path("failpoint")
	_ = os.Remove(log)
	for range mostRestarts {
		if c.failpoint == "" {
			l.p.launch()
			if _, err := l.p.daemon.exitCode(time.Duration(l.random.Int64N(int64(longestLife)))); err != nil {
				l.p.kill()
				l.hit["a random moment"]++
				return
			}
		} else {
			l.p.launch(fmt.Sprintf("CDCD_FAILPOINT=%s=%d", c.failpoint, c.passage), "CDCD_FAILPOINT_LOG="+log)
			if _, err := l.p.daemon.exitCode(time.Minute); err != nil {
				l.Fatalf("failpoint %s is not passed: %v: %s", c.failpoint, err, lastLines(l.p.daemon.output.String(), 20))
			}
		}
		if said, err := os.ReadFile(log); err == nil && string(said) == c.failpoint {
			l.hit[c.failpoint]++
			return
		}
		l.mayEnd()
	}
	l.Fatalf("the daemon gave up %d times in a row", mostRestarts)
}

// mayEnd checks that a daemon that ended by itself did so for injected faults, in a way that
// lets a supervisor start it again.
func (l *longCrash) mayEnd() {
	l.Helper()
	code, err := l.p.daemon.exitCode(time.Second)
	out := lastLines(l.p.daemon.output.String(), 10)
	switch {
	case err != nil:
		l.Fatal(err)
	case len(l.proxies) == 0 || code != 75 && code != 1:
		l.Fatalf("the daemon ended with %d: %s", code, out)
	}
	l.gaveUp++
	fmt.Printf("%s: the daemon gave up with %d: %.600s\n", l.Name(), code, lastLines(out, 1))
}

// nextCut starts the daemon and waits for a cut that it publishes.
func (l *longCrash) nextCut() (cut int64) {
	l.Helper()
	l.p.launch()
	restarts := 0
	eventually(l, 2*time.Minute, "the daemon recovers and publishes a cut", func() error {
		if !l.p.daemon.alive() {
			if restarts++; restarts > mostRestarts {
				return fatalError{fmt.Errorf("it gave up %d times", restarts)}
			}
			l.mayEnd()
			l.p.launch()
		}
		s, err := l.p.status()
		if cut = s.Cut; err == nil && cut == 0 {
			err = fmt.Errorf("it is %s at %s, no cut yet", s.State, s.Committed)
		}
		return err
	})
	return cut
}

// ensure starts the daemon where it has given up meanwhile.
func (l *longCrash) ensure() {
	l.Helper()
	if !l.p.daemon.alive() {
		l.mayEnd()
		l.p.start()
	}
}

// compare waits until the lake has all that the source has, and compares every row.
func (l *longCrash) compare() {
	l.Helper()
	began := time.Now()
	want := l.s.executed(l)
	eventually(l, 2*time.Minute, "the lake reaches the source", func() error {
		l.ensure()
		s, err := l.p.status()
		if err != nil {
			return err
		}
		return covers(l.s, s, want)
	})
	(&oracle{l.p, l.engine}).equal(l, l.tables...)
	fmt.Printf("%s: all rows of %d tables are equal; %d ms\n", l.Name(), len(l.tables), time.Since(began).Milliseconds())
}

// report prints what the run has met, and fails it if that is not enough.
func (l *longCrash) report(plan []plannedCrash) {
	l.Helper()
	l.Logf("%d rounds in %v, %d cuts checked; kills: %v; %d daemons gave up", len(plan), time.Since(l.began).Round(time.Second), l.cuts, l.hit, l.gaveUp)
	for _, c := range plan {
		if c.failpoint != "" && l.hit[c.failpoint] == 0 {
			l.Errorf("no kill at %s", c.failpoint)
		}
	}
	for _, p := range l.proxies {
		writes, reads := p.Counts()
		l.Logf("faults on writes: %v; on reads: %v", writes, reads)
		if missed := p.Missed(); len(missed) > 0 {
			l.Errorf("faults that no write has met: %v", missed)
		}
	}
}

// bankBook is the highest version seen of each account.
type bankBook map[string]int64

// checkCut reads the bank's tables at a cut: all money and all accounts are there, and no
// account's version is below one that an earlier cut has shown.
func (l *longCrash) checkCut(number int64) {
	l.Helper()
	var parts []string
	for _, row := range l.engine.query(l, fmt.Sprintf("SELECT table_name, snapshot_id FROM cdcd_control.%s WHERE kind = 'cut' AND number = %d", crashPipeline, number)).Rows {
		if name := fmt.Sprint(row[0]); strings.HasPrefix(name, "bank.") {
			parts = append(parts, fmt.Sprintf("SELECT '%s' AS name, id, balance, version FROM %s AT (VERSION => %v)", name, name, row[1]))
		}
	}
	if len(parts) != len(bankTables()) {
		l.Fatalf("cut %d names %d of the bank's tables", number, len(parts))
	}
	money, accounts := int64(0), 0
	for _, row := range l.engine.query(l, strings.Join(parts, " UNION ALL ")).Rows {
		id, balance, version := number64(l, row[1]), number64(l, row[2]), number64(l, row[3])
		key := fmt.Sprintf("%v/%d", row[0], id%bankAccounts)
		if version < l.seen[key] {
			l.Fatalf("cut %d: account %s went from version %d back to %d", number, key, l.seen[key], version)
		}
		l.seen[key] = version
		money, accounts = money+balance, accounts+1
	}
	if money != 3*bankAccounts*bankBalance || accounts != 3*bankAccounts {
		l.Fatalf("cut %d: %d in %d accounts", number, money, accounts)
	}
	l.cuts++
}

func number64(t testing.TB, v any) int64 {
	t.Helper()
	n, err := strconv.ParseInt(fmt.Sprint(v), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// teller transfers money all the time.
type teller struct {
	gate   sync.Mutex
	cancel context.CancelFunc
	done   chan error
}

func startTeller(t testing.TB, s *server) *teller {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b := &teller{cancel: cancel, done: make(chan error, 1)}
	conn := s.conn(t)
	go func() { b.done <- b.run(ctx, conn) }()
	t.Cleanup(cancel)
	return b
}

func (b *teller) run(ctx context.Context, conn *sql.Conn) error {
	for ctx.Err() == nil {
		b.gate.Lock()
		err := transfer(conn)
		b.gate.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *teller) pause()  { b.gate.Lock() }
func (b *teller) resume() { b.gate.Unlock() }

func (b *teller) stop(t testing.TB) {
	t.Helper()
	b.cancel()
	if err := <-b.done; err != nil {
		t.Errorf("transfer: %v", err)
	}
}
