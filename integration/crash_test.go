//go:build integration

package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// crash is how one round of TestCrash ends the daemon.
type crash struct {
	failpoint string // "": a kill from outside at a random moment
	passage   int    // of the failpoint
}

// window are the failpoints between the first upload of a commit and the swap's answer.
var window = map[string]bool{"data-files-written": true, "uploaded": true, "before-swap": true, "after-swap": true}

// crashes draws the rounds: three at each failpoint of the window, three behind it, and as
// many from outside.
func crashes(random *rand.Rand) []crash {
	var out []crash
	const each, passages = 3, 6
	for _, name := range []string{"data-files-written", "uploaded", "before-swap", "after-swap", "landed"} {
		for range each {
			// The first passages of the swap's failpoints are those of the fence.
			out = append(out, crash{name, 3 + random.IntN(passages)}, crash{})
		}
	}
	random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// TestCrash kills the daemon under load, again and again, with its state kept or gone, and
// looks with an independent reader after each restart: the rows are the source's.
func TestCrash(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "crash")
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 2))
	churnTables(t, s, "crash", 2000)
	p := newPipeline(t, s, "crash.*", settings{"commit.max_rows": 2000})
	p.start()
	p.reach()
	c := startChurn(t, s, "crash", 5000, seed)
	oracle := p.oracle("duckdb")
	hit, taken := map[string]int{}, 0
	for i, crash := range crashes(random) {
		p.kill()
		p.crash(t, crash, random, hit)
		wiped := i%2 == 0
		if wiped {
			if err := os.RemoveAll(p.path("state")); err != nil {
				t.Fatal(err)
			}
		}
		p.start()
		c.busyFor(t, 20)
		c.pause()
		p.reach()
		if strings.Contains(p.daemon.output.String(), `"reused_files":1`) {
			taken++
		}
		t.Logf("round %d: killed at %q, state wiped: %v, fence %d", i, crash.failpoint, wiped, p.fence())
		oracle.equal(t, "crash.kv", "crash.pair")
		c.resume()
	}
	c.stop(t)
	p.reach()
	p.verify()
	p.fsck(t)
	inWindow := 0
	for name, n := range hit {
		if window[name] {
			inWindow += n
		}
	}
	t.Logf("kills: %v, of these %d between the first upload and the swap's answer; uploads used again after %d", hit, inWindow, taken)
	if taken == 0 {
		t.Error("no upload of a daemon that was killed was used again")
	}
	if inWindow < 8 {
		t.Errorf("%d kills in the window, want at least 8", inWindow)
	}
}

// crash starts the daemon and waits for its violent end.
func (p *pipeline) crash(t testing.TB, c crash, random *rand.Rand, hit map[string]int) {
	t.Helper()
	const longest = 1200 // ms
	if c.failpoint == "" {
		p.launch()
		time.Sleep(time.Duration(random.IntN(longest)) * time.Millisecond)
		if !p.daemon.alive() {
			t.Fatalf("the daemon ended: %s", lastLines(p.daemon.output.String(), 10))
		}
		p.kill()
		hit["anywhere"]++
		return
	}
	log := p.path("failpoint")
	p.launch(fmt.Sprintf("CDCD_FAILPOINT=%s=%d", c.failpoint, c.passage), "CDCD_FAILPOINT_LOG="+log)
	if code, err := p.daemon.exitCode(time.Minute); err != nil || code != -1 {
		t.Fatalf("failpoint %s: exit %d, %v: %s", c.failpoint, code, err, lastLines(p.daemon.output.String(), 10))
	}
	said, err := os.ReadFile(log)
	if err != nil || string(said) != c.failpoint {
		t.Fatalf("failpoint %s was not hit: %q, %v", c.failpoint, said, err)
	}
	if err := os.Remove(log); err != nil {
		t.Fatal(err)
	}
	hit[c.failpoint]++
}

// fence is the number under which the daemon writes.
func (p *pipeline) fence() int64 {
	p.t.Helper()
	s, err := p.status()
	if err != nil {
		p.t.Fatal(err)
	}
	return s.Fence
}
