package commit

import (
	"flag"
	"math/rand/v2"
	"testing"
)

var (
	soakRounds = flag.Int("rounds", 12, "how many random schedules TestRandomSchedules plays")
	soakSeed   = flag.Uint64("seed", 0, "of the random schedules; 0: any")
)

// dice makes decisions out of bytes. Where there are no more, it decides for the first.
type dice []byte

func (d *dice) roll(n int) int {
	if len(*d) == 0 {
		return 0
	}
	b := (*d)[0]
	*d = (*d)[1:]
	return int(b) % n
}

// mostFaults bounds the faults of a random schedule.
const mostFaults = 4

// scheduleOf reads a schedule out of bytes.
func scheduleOf(d dice, sites []site) schedule {
	s := schedule{tables: 1, begun: d.roll(2) == 1, seed: 1, wiped: d.roll(2) == 1, cuts: d.roll(len(cutPlans)), loose: d.roll(2) == 1}
	for len(d) > 0 && len(s.faults) < mostFaults {
		f := fault{at: sites[d.roll(len(sites))]}
		kinds := kindsOf(f.at.op, f.at.object)
		k := kinds[d.roll(len(kinds))]
		f.kind, f.delay = k.kind, k.delay
		if f.at.op == "commit" && d.roll(2) == 1 {
			f.actor, f.after = harmless[d.roll(len(harmless))], d.roll(2) == 1
		}
		s.faults = append(s.faults, f)
	}
	return s
}

// harmless are the actors beside whom a pipeline must come to its end, so that any number of
// them may act.
var harmless = []actor{compacts, expires, branches, retries, takesOver}

// dryCalls lists the calls of runs without faults.
func dryCalls(t testing.TB, from lakes) []site {
	t.Helper()
	var out []site
	for _, begun := range []bool{false, true} {
		r, err := from.play(schedule{tables: 1, seed: 1, begun: begun})
		if err != nil || len(r.broken) > 0 {
			t.Fatal(err, r.broken)
		}
		out = append(out, sitesOf(r.calls)...)
	}
	return out
}

// TestRandomSchedules plays random schedules with several faults.
func TestRandomSchedules(t *testing.T) {
	seed := *soakSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	bubble(t, func(t *testing.T) {
		t.Logf("-seed %d -rounds %d", seed, *soakRounds)
		from, err := newLakes(1)
		if err != nil {
			t.Fatal(err)
		}
		sites := dryCalls(t, from)
		for range *soakRounds {
			d := make(dice, 4+6*mostFaults)
			for i := range d {
				d[i] = byte(rng.Uint32())
			}
			playRandom(t, from, scheduleOf(d, sites))
		}
		if err := from.close(); err != nil {
			t.Error(err)
		}
	})
}

func playRandom(t *testing.T, from lakes, s schedule) {
	t.Helper()
	r, err := from.play(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range r.broken {
		t.Errorf("%v (%s)", v, s)
	}
}

// FuzzSchedule plays the schedules that bytes stand for, in real time: a process can have one
// bubble only.
func FuzzSchedule(f *testing.F) {
	from, err := newLakes(1)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = from.close() })
	sites := dryCalls(f, from)
	f.Add([]byte{1, 0, 0, 0, 3, 4, 1, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) { playRandom(t, from, scheduleOf(b, sites)) })
}
