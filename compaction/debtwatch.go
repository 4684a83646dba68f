package compaction

import "time"

const (
	// debtWindow is how often a table's debt is compared with what it was.
	debtWindow = 10 * time.Minute
	// growthsToWarn is in how many windows one after the other it has to have grown: it goes up and
	// down by a group of files all the time.
	growthsToWarn = 3
	// smallestDebt is what is not worth a word, in files of the target size.
	smallestDebt = 4
)

// debtWatch tells whether a table's debt grows faster than it is paid.
type debtWatch struct {
	window  time.Time // began
	least   int64     // bytes, in the window
	last    int64     // the least of the window before
	growths int       // windows in which it grew, one after the other
	begun   bool
}

// observe takes a debt in. It goes by the least of each window: that is what no work of the
// compactor got below.
func (w *debtWatch) observe(pending int64, now time.Time) {
	if !w.begun {
		*w = debtWatch{window: now, least: pending, last: pending, begun: true}
		return
	}
	if now.Sub(w.window) < debtWindow {
		w.least = min(w.least, pending)
		return
	}
	if w.least > w.last {
		w.growths++
	} else {
		w.growths = 0
	}
	w.last, w.least, w.window = w.least, pending, now
}

// growing reports debt that is not paid as fast as it grows.
func (w *debtWatch) growing(p Policy) bool {
	return w.growths >= growthsToWarn && w.last >= smallestDebt*p.TargetBytes
}
