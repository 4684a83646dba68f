package commit

import "time"

// onWork takes the result of a commit in.
func (l *loop) onWork(w work) error {
	if w.err != nil || w.spill {
		return w.err
	}
	if w.cut != nil {
		l.cuts.onCut(w.cut)
		l.p.cfg.Logger.Debug("cut published", "cut", w.cut.cut.Number, "took_ms", fractional(w.took))
		l.publish() // who asked looks at the status next
		l.demanded(w.cut)
		return nil
	}
	if w.published != nil {
		l.onPublished(w)
		return nil
	}
	if w.replace != nil {
		l.onReplace(w)
		return nil
	}
	l.inFlight = time.Time{}
	defer l.publish()
	l.finished, l.cuts.number, l.cuts.taken = w.receipt.End(), w.receipt.Epoch(), false
	l.counters.landed(w)
	l.p.cfg.Logger.Debug("epoch committed", "epoch", w.receipt.Epoch(), "tables", len(w.landings), "took_ms", fractional(w.took))
	for _, ld := range w.landings {
		if ld.changes.Commits == 0 {
			continue
		}
		ld.member.position, ld.member.behind, ld.member.loaded = ld.mark.Position, time.Time{}, ld.mark.Load.Complete
		ld.member.changes.add(ld.changes)
		l.cuts.commits++
		if ld.member.loaded && ld.member.loadedAt.IsZero() {
			ld.member.loadedAt = time.Now()
		}
		if ld.unnoted != nil {
			l.p.cfg.Logger.Warn("committed without an intent", "table", ld.member.Lake.String(), "err", ld.unnoted)
		}
		if ld.change != nil {
			l.p.cfg.Logger.Info(map[bool]string{true: "table truncated", false: "table altered"}[ld.change.Truncated], "table", ld.member.Lake.String(), "gtid", ld.change.GTID, "columns", len(ld.change.Table.Columns))
		}
		l.logDebris(ld)
		l.logLanding(w, ld)
		if ld.left == nil {
			continue
		}
		if err := l.onLeft(ld); err != nil {
			return err
		}
	}
	return nil
}

func (l *loop) logDebris(ld landing) {
	if ld.debris != nil {
		l.p.cfg.Logger.Warn("old files left behind", "table", ld.member.Lake.String(), "err", ld.debris)
	}
}

func (l *loop) logLanding(w work, ld landing) {
	l.p.cfg.Logger.Debug("committed", "table", ld.member.Lake.String(), "epoch", w.receipt.Epoch(),
		"inserted", ld.changes.Inserted, "updated", ld.changes.Updated, "deleted", ld.changes.Deleted, "reused_files", ld.reused,
		"snapshot_id", ld.member.table.Head().Snapshot, "position", ld.mark.Position.String(), "dur_ms", ld.took.Milliseconds())
}
