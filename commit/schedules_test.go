package commit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

// schedulesFlag bounds the schedules of TestSchedules.
var schedulesFlag = flag.Int("schedules", someSchedules(), "how many of all schedules to play, evenly spread; 0: all")

// enoughForPaths is the number of schedules from which each rare path must be among them, and most
// must come to act.
const enoughForPaths = 300

// someSchedules is how many are played where nobody says.
func someSchedules() int {
	const few = 500
	if n, err := strconv.Atoi(os.Getenv("CDCD_SCHEDULES")); err == nil {
		return n
	}
	return few
}

// inBubble names the test that a process was started for.
const inBubble = "CDCD_BUBBLE"

// bubble runs a test in a bubble of virtual time, in a process of its own: what libraries keep
// in pools belongs to the bubble in which it was made, and cannot be used outside. What they
// make once is made before the bubble, for the same reason.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	if os.Getenv(inBubble) != t.Name() {
		out, err := elsewhere(t)
		t.Logf("%s", out)
		if err != nil {
			t.Error(err)
		}
		return
	}
	w, err := rest(1)
	if err == nil {
		err = w.close()
	}
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, test)
}

// elsewhere runs the test again in a process of its own, with the flags of this package.
func elsewhere(t *testing.T, env ...string) ([]byte, error) {
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.timeout=0"}
	flag.Visit(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "test.") {
			args = append(args, fmt.Sprintf("-%s=%s", f.Name, f.Value))
		}
	})
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), append(env, inBubble+"="+t.Name(), "GOGC=1600")...)
	return cmd.CombinedOutput()
}

// tally is what playing schedules came to.
type tally struct {
	All      int            // the schedules that there are
	Played   int            // the schedules whose fault and actor came to act
	Missed   int            // the others
	Distinct map[string]int // by fault, actor, variant and path
	Strict   map[string]int // by operation, object, number, kind and path
	Kinds    map[string]int // schedules by operation, kind and actor
	Paths    map[string]int // schedules that took each step of a path
	Broken   []string
}

func newTally() *tally {
	return &tally{Distinct: map[string]int{}, Strict: map[string]int{}, Kinds: map[string]int{}, Paths: map[string]int{}}
}

func (c *tally) count(s schedule, r result) {
	for _, v := range r.broken {
		c.Broken = append(c.Broken, fmt.Sprintf("%s: %s (%s)", v.name, v.detail, s))
	}
	if !r.fired || !r.acted {
		c.Missed++
		return
	}
	c.Played++
	path := strings.Join(r.path, ", ")
	c.Distinct[s.String()+" | "+path]++
	f := s.faults[0]
	c.Strict[fmt.Sprintf("%d %v %s %s %d %s %v | %s", s.tables, s.begun, f.at, f.kind, f.delay, f.actor, f.after, path)]++
	kind := f.at.op + ": " + string(f.kind)
	if f.actor != nobody {
		kind = "commit: " + string(f.actor)
	}
	c.Kinds[kind]++
	for step := range maps.Keys(setOf(r.path)) {
		c.Paths[step]++
	}
}

func setOf(list []string) map[string]bool {
	out := map[string]bool{}
	for _, s := range list {
		out[s] = true
	}
	return out
}

// join adds what another process counted.
func (c *tally) join(o *tally) {
	c.All = max(c.All, o.All)
	c.Played += o.Played
	c.Missed += o.Missed
	c.Broken = append(c.Broken, o.Broken...)
	for _, m := range []struct{ to, from map[string]int }{{c.Distinct, o.Distinct}, {c.Strict, o.Strict}, {c.Kinds, o.Kinds}, {c.Paths, o.Paths}} {
		for k, n := range m.from {
			m.to[k] += n
		}
	}
}

// all gives every schedule, and the lakes that they may begin with.
func all() ([]schedule, lakes, error) {
	from, err := newLakes(1, 2)
	if err != nil {
		return nil, nil, err
	}
	var out []schedule
	for _, like := range []schedule{{tables: 1, seed: 1}, {tables: 1, seed: 1, begun: true}, {tables: 2, seed: 1, begun: true}} {
		r, err := from.play(like)
		if err != nil || len(r.broken) > 0 {
			return nil, nil, fmt.Errorf("without faults: %w, %v", err, r.broken)
		}
		if like.tables > 1 {
			out = append(out, enumerateApart(like, r.calls)...)
			continue
		}
		out = append(out, enumerate(like, r.calls)...)
	}
	return out, from, nil
}

// shareOfSchedules names the part of all schedules that a process of TestSchedules plays: "0/2".
const shareOfSchedules = "CDCD_SCHEDULES_SHARE"

// marker begins the line in which such a process says what it counted.
const marker = "tally: "

// TestSchedules plays schedules with one fault: what happens to a call, at each call. A bubble
// has one virtual clock, so there is a process for each processor.
func TestSchedules(t *testing.T) {
	if part := os.Getenv(shareOfSchedules); part != "" {
		playShare(t, part)
		return
	}
	shares := runtime.GOMAXPROCS(0)
	counted := newTally()
	tallies, errs := make([]*tally, shares), make([]error, shares)
	done := make(chan struct{})
	for i := range shares {
		go func() {
			defer func() { done <- struct{}{} }()
			tallies[i], errs[i] = playElsewhere(t, i, shares)
		}()
	}
	for range shares {
		<-done
	}
	for i := range shares {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		counted.join(tallies[i])
	}
	counted.check(t)
}

// playElsewhere plays a share in a process of its own.
func playElsewhere(t *testing.T, i, of int) (*tally, error) {
	out, err := elsewhere(t, fmt.Sprintf("%s=%d/%d", shareOfSchedules, i, of), "GOMAXPROCS=1")
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, len(out)+1)
	for lines.Scan() {
		if _, text, ok := strings.Cut(lines.Text(), marker); ok {
			if err != nil { // the race detector's word comes behind the tally
				break
			}
			c := newTally()
			return c, json.Unmarshal([]byte(text), c)
		}
	}
	return nil, fmt.Errorf("%w: %s", err, out[max(0, len(out)-8000):])
}

func playShare(t *testing.T, part string) {
	var i, of int
	if _, err := fmt.Sscanf(part, "%d/%d", &i, &of); err != nil {
		t.Fatal(err)
	}
	c := newTally()
	bubble(t, func(t *testing.T) {
		schedules, from, err := all()
		if err != nil {
			t.Fatal(err)
		}
		c.All = len(schedules)
		for _, s := range spread(schedules, *schedulesFlag) {
			if s.turn(of) == i {
				c.play(t, from, s)
			}
		}
		if err := from.close(); err != nil {
			t.Error(err)
		}
	})
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(marker + string(text))
}

// turn is the process that plays a schedule, out of so many. It goes by what the schedule is:
// the calls of a run without faults, and so the list, may differ between processes.
func (s schedule) turn(of int) int {
	h := fnv.New32a()
	h.Write([]byte(s.String()))
	return int(h.Sum32() % uint32(of))
}

// playKinds plays schedules with one fault of each kind, at most so many of each (0: all), and fails
// where one broke something or too few came to act.
func playKinds(t *testing.T, most int, list func(like schedule, calls map[site]int) []schedule, kinds ...schedule) *tally {
	t.Helper()
	from, err := newLakes(1, 2)
	if err != nil {
		t.Fatal(err)
	}
	c := newTally()
	for _, like := range kinds {
		r, err := from.play(like)
		if err != nil || len(r.broken) > 0 {
			t.Fatalf("without faults: %v, %v", err, r.broken)
		}
		for _, s := range spread(list(like, r.calls), most) {
			c.play(t, from, s)
		}
	}
	for _, b := range c.Broken {
		t.Error(b)
	}
	t.Logf("%d schedules played, %d did not come to act", c.Played, c.Missed)
	if c.Missed > c.Played {
		t.Error("too few came to act")
	}
	if err := from.close(); err != nil {
		t.Error(err)
	}
	return c
}

func (c *tally) play(t *testing.T, from lakes, s schedule) {
	t.Helper()
	r, err := from.play(s)
	if err != nil {
		t.Fatal(err)
	}
	c.count(s, r)
}

// check reports what was counted, and fails where rows differed, or too little happened.
func (c *tally) check(t *testing.T) {
	t.Helper()
	const shown = 20
	for _, b := range c.Broken[:min(len(c.Broken), shown)] {
		t.Error(b)
	}
	t.Logf("of %d schedules %d played, %d distinct by everything chosen and the path, %d by call, kind and path; %d did not come to act; %d broken",
		c.All, c.Played, len(c.Distinct), len(c.Strict), c.Missed, len(c.Broken))
	for _, m := range []map[string]int{c.Kinds, c.Paths} {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			t.Logf("%6d  %s", m[k], k)
		}
	}
	if len(c.Distinct) != c.Played {
		t.Errorf("%d schedules are not distinct", c.Played-len(c.Distinct))
	}
	if c.Played >= enoughForPaths && c.Missed > c.Played/4 {
		t.Errorf("%d schedules of %d did not come to act", c.Missed, c.Played+c.Missed)
	}
	for _, p := range rarePaths {
		if c.Played < enoughForPaths {
			break
		}
		if c.Paths[p] == 0 {
			t.Errorf("no schedule took the path %q", p)
		}
	}
}

// rarePaths must each have been taken by some schedule.
var rarePaths = []string{
	"open: resent", "resent: landed", "resent: refused", "found", "rebuilt", "rebased", "open: ended", "landed unknown: ended",
	"late: landed", "late: refused", "twice: refused", "rival: done",
	"end: injected", "end: fenced", "end: rolled back", "end: foreign rows", "end: foreign shape",
}

// TestVersion2Schedules plays some schedules on tables of format version 2, and on such as are
// moved to version 3 by the second daemon.
func TestVersion2Schedules(t *testing.T) {
	const each = 80
	bubble(t, func(t *testing.T) {
		c := newTally()
		for _, like := range []schedule{{tables: 1, seed: 1, format: 2}, {tables: 1, seed: 1, format: becomes3}} {
			r, err := lakes{}.play(like)
			if err != nil || len(r.broken) > 0 {
				t.Fatal(err, r.broken)
			}
			for _, s := range spread(enumerate(like, r.calls), each) {
				c.play(t, lakes{}, s)
			}
		}
		for _, b := range c.Broken {
			t.Error(b)
		}
		t.Logf("%d played, %d did not come to act", c.Played, c.Missed)
		if c.Missed > c.Played/2 {
			t.Error("too few came to act")
		}
	})
}

// TestFoundSchedules plays what has found defects, at every commit of the table: the attempt
// has landed, its answer is lost, and when the table is looked at it belongs to another, or
// has another shape; or two attempts of one Delta are on their way, and the first one lands.
func TestFoundSchedules(t *testing.T) {
	bubble(t, func(t *testing.T) {
		from, err := newLakes(1)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range []struct {
			f    fault
			path string
		}{
			{fault{kind: lost, actor: takesOver, after: true}, "end: fenced"},
			{fault{kind: lost, actor: evolves, after: true}, "end: foreign shape"},
			{fault{kind: comesLate, delay: 2, actor: branches}, "late: landed"},
		} {
			c := newTally()
			for n := range 6 {
				x.f.at = site{"commit", "a", n + 1}
				c.play(t, from, schedule{tables: 1, seed: 1, loose: true, faults: []fault{x.f}})
			}
			for _, b := range c.Broken {
				t.Error(b)
			}
			if c.Paths[x.path] == 0 {
				t.Errorf("%v: no schedule took the path %q", x.f, x.path)
			}
		}
		if err := from.close(); err != nil {
			t.Error(err)
		}
	})
}
