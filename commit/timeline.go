package commit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"cdcd/table"
)

// A timeline begins with a rewind: tables go back to a cut, and what follows is applied anew.
// Positions compare only inside one timeline, so all tables have to be on the same.

// ErrUnfinishedRewind reports a rewind that some tables have not made yet.
var ErrUnfinishedRewind = errors.New("a rewind is not finished")

// readTimeline reads the control table, and on which timeline the pipeline is.
func (p *Pipeline) readTimeline(ctx context.Context, heads map[*member]*table.Head) error {
	var err error
	if p.records, err = readControl(ctx, heads[p.control]); err != nil {
		return err
	}
	var behind string
	p.committer.timeline, behind = timelineOf(p.records, marksOf(heads, p.control))
	if behind == "" {
		return nil
	}
	return fmt.Errorf("%w: %s is not on timeline %d yet; finish it with: %s", ErrUnfinishedRewind, behind, p.committer.timeline, finishCommand(p.records, p.committer.timeline))
}

// marksOf gives the timelines of all tables that have begun, but for the control table's: it
// is never rewound.
func marksOf(heads map[*member]*table.Head, control *member) map[string]int64 {
	out := map[string]int64{}
	for m, h := range heads {
		if m != control && h.Begun() && h.Trouble == nil {
			out[m.Lake.String()] = h.Mark.Timeline
		}
	}
	return out
}

// timelineOf gives the newest timeline that was begun, and a table that is not on it, if there
// is one.
func timelineOf(records []record, tables map[string]int64) (timeline int64, behind string) {
	timeline = 1
	for _, r := range records {
		if r.kind == kindRewind {
			timeline = max(timeline, r.number)
		}
	}
	for _, t := range tables {
		timeline = max(timeline, t)
	}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		if tables[name] < timeline {
			return timeline, name
		}
	}
	return timeline, ""
}

// rewindTo gives the record of the rewind that began a timeline.
func rewindTo(records []record, timeline int64) (record, bool) {
	for _, r := range records {
		if r.kind == kindRewind && r.number == timeline {
			return r, true
		}
	}
	return record{}, false
}

// finishCommand is what finishes the rewind that began a timeline. The record's snapshot is the
// number of the cut.
func finishCommand(records []record, timeline int64) string {
	r, ok := rewindTo(records, timeline)
	if !ok {
		return "cdcd rewind (cdcd inspect lists the cuts; that of the rewind is not known any more)"
	}
	return fmt.Sprintf("cdcd rewind --to-cut %d", r.snapshot)
}
