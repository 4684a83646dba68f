package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"cdcd/capture"
	"cdcd/cmd/cdcd/config"
	"cdcd/commit"
	"cdcd/table"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// captureSource gives the source as package capture wants it.
func captureSource(c config.Config) capture.Source {
	t := c.Source.TLS
	return capture.Source{
		Address: c.Source.Address, User: c.Source.User, Password: c.Source.Password.Reveal(),
		ServerID: c.ServerID(), Pipeline: c.Pipeline,
		TLS: capture.TLS{Mode: capture.TLSMode(t.Mode), CA: t.CA, Cert: t.Cert, Key: t.Key, ServerName: t.ServerName},
	}
}

// wanted selects the source tables of the configuration.
func wanted(c config.Config) func(capture.Name) bool {
	return func(n capture.Name) bool {
		_, ok := c.Match(n.Schema, n.Table)
		return ok
	}
}

// wishes gives what the configuration says of how a table's rows are told apart.
func wishes(c config.Config) func(capture.Name) capture.Wish {
	return func(n capture.Name) capture.Wish {
		target, ok := c.Match(n.Schema, n.Table)
		if !ok {
			return capture.Wish{}
		}
		rule := c.Tables[target.Rule]
		return capture.Wish{
			Key: rule.Key, Append: rule.Mode == config.ModeAppend, ByRow: rule.Mode == config.ModeRows, Empty: rule.Load == config.LoadNone,
		}
	}
}

// source is the pipeline's source: a server, and which of its tables are wanted.
type source struct {
	cfg    config.Config
	from   capture.Source
	db     *sql.DB
	lake   *lakehouse
	mem    memory.Allocator
	logger *slog.Logger
}

var _ commit.Source = (*source)(nil)

// member pairs a source table with the lake table it goes to.
func (s *source) member(info capture.TableInfo) commit.Member {
	target, _ := s.cfg.Match(info.Name.Schema, info.Name.Table)
	lake := table.Name{Namespace: target.Namespace, Table: target.Table}
	return commit.Member{
		Source: tableSource(s.cfg, info, target),
		Lake:   lake, Location: s.lake.Location(lake), Storage: storageOf(s.cfg, target), FormatVersion: target.FormatVersion, Rows: info.Rows, RowBytes: info.RowBytes,
	}
}

// tableSource is what the lake table of a source table is made for.
func tableSource(c config.Config, info capture.TableInfo, target config.Target) table.Source {
	return table.Source{
		Table: info.Table, Options: typeOptions(c), CommitTime: target.CommitTimestamp, Empty: c.Tables[target.Rule].Load == config.LoadNone,
	}
}

func typeOptions(c config.Config) capture.TypeOptions {
	return capture.TypeOptions{
		UnsignedBigintAsLong: c.Types.BigintUnsigned == "long",
		ZeroDateAsNull:       c.Types.ZeroDate == "null",
	}
}

// preparedPoll is how often the server is asked whether prepared transactions are complete.
const preparedPoll = time.Second

// Position gives what the server has executed, without what is prepared only: the log behind
// it holds every change that a load does not see.
func (s *source) Position(ctx context.Context, known *capture.Position) (capture.Position, error) {
	if known == nil {
		before, err := s.Executed(ctx)
		if err != nil {
			return capture.Position{}, err
		}
		if err := s.awaitPrepared(ctx); err != nil {
			return capture.Position{}, err
		}
		now, err := s.Executed(ctx)
		if err != nil {
			return capture.Position{}, err
		}
		return s.from.Unprepared(ctx, before, now, s.logger)
	}
	now, err := s.Executed(ctx)
	if err != nil {
		return capture.Position{}, err
	}
	// One that is completed between the two questions is soon completed in the stream as well.
	prepared, err := capture.PreparedTransactions(ctx, s.db)
	if err != nil || len(prepared) == 0 {
		return now, err
	}
	return s.from.Unprepared(ctx, *known, now, s.logger)
}

// awaitPrepared waits until no XA transaction that is prepared now is left.
func (s *source) awaitPrepared(ctx context.Context) error {
	waiting, err := capture.PreparedTransactions(ctx, s.db)
	if err != nil {
		return err
	}
	for len(waiting) > 0 {
		s.logger.Warn("waiting for prepared XA transactions to be completed", "transactions", len(waiting))
		select {
		case <-time.After(preparedPoll):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		now, err := capture.PreparedTransactions(ctx, s.db)
		if err != nil {
			return err
		}
		for xid := range waiting {
			if !now[xid] {
				delete(waiting, xid)
			}
		}
	}
	return nil
}

// Executed is everything that the server has made visible.
func (s *source) Executed(ctx context.Context) (capture.Position, error) {
	server, err := capture.Describe(ctx, s.db)
	return server.Executed, err
}

// controlMember places the pipeline's control table.
func controlMember(c config.Config, lake *lakehouse) commit.Member {
	n := table.Name{Namespace: config.ControlNamespace, Table: c.Pipeline}
	return commit.Member{Lake: n, Location: lake.Location(n)}
}

// Stream opens the stream behind a position, on a server that has the Witnesses' transactions.
func (s *source) Stream(start capture.Position, witnesses []capture.Witness, tables []capture.Capture) (commit.Stream, error) {
	rows := int(s.cfg.Commit.MaxRows) / segmentsPerEpoch
	stream, err := capture.NewStream(capture.StreamConfig{
		Source: s.from, Start: start, Witnesses: witnesses, Tables: tables, Wanted: wanted(s.cfg), Memory: s.mem, Logger: s.logger,
		Quarantine:   s.cfg.OnTableError == config.OnTableErrorQuarantine,
		LeaveDropped: s.cfg.OnTableDropped != config.OnTableDroppedStop, LeaveReplaced: s.cfg.OnTableReplaced != config.OnTableReplacedStop,
		Limits: capture.Limits{
			Rows: max(1, min(rows, maxSegmentRows)), Bytes: int(s.cfg.Commit.MaxBytes) / segmentsPerEpoch, Linger: linger(s.cfg),
			Prepared: int(s.cfg.Commit.MaxBytes) / preparedShare,
		},
	})
	if err != nil {
		return nil, err // and not a nil pointer in an interface
	}
	return stream, nil
}

const (
	segmentsPerEpoch = 4
	preparedShare    = 2 // of an epoch's bytes, for what prepared XA transactions have changed
	maxSegmentRows   = 20_000
	maxLinger        = 200 * time.Millisecond
)

// linger is how long a delivered transaction waits for company before it is handed on.
func linger(c config.Config) time.Duration {
	return min(maxLinger, time.Duration(c.Commit.Interval)/segmentsPerEpoch)
}

// Reader opens a reader for the initial load.
func (s *source) Reader(ctx context.Context, flavor capture.Flavor, server string) (commit.Reader, error) {
	r, err := capture.OpenReader(ctx, s.from, flavor, server, s.mem)
	if err != nil {
		return nil, err // and not a nil pointer in an interface
	}
	return reader{r}, nil
}

// reader is a capture.Reader as the pipeline sees it.
type reader struct{ *capture.Reader }

// ReadWhole begins to read a whole table.
func (r reader) ReadWhole(ctx context.Context, c capture.Capture, after capture.Position) (commit.Whole, error) {
	w, err := r.Reader.ReadWhole(ctx, c, after)
	if err != nil {
		return nil, err // and not a nil pointer in an interface
	}
	return w, nil
}

// Member describes a table that came into being.
func (s *source) Member(ctx context.Context, n capture.Name) (commit.Member, bool, error) {
	infos, err := capture.Tables(ctx, s.db, func(x capture.Name) bool { return x == n }, wishes(s.cfg))
	if err != nil || len(infos) == 0 {
		return commit.Member{}, false, err
	}
	if err := capture.EstimateRows(ctx, s.db, infos); err != nil {
		return commit.Member{}, false, err
	}
	m := s.member(infos[0])
	if err := cmp.Or(infos[0].Problem, m.Source.Check(), m.Storage.Check(m.Source)); err != nil {
		return m, true, err
	}
	if err := capture.ShowsPresent(ctx, s.db, infos[0]); err != nil {
		return m, true, err
	}
	return m, true, capture.Cascades(ctx, s.db, infos[0])
}

// targetsOf gives the lake table of every source table, by schema and name.
func targetsOf(c config.Config, report *capture.Report) map[[2]string]config.Target {
	targets := map[[2]string]config.Target{}
	for _, t := range report.Tables {
		targets[[2]string{t.Name.Schema, t.Name.Table}], _ = c.Match(t.Name.Schema, t.Name.Table)
	}
	return targets
}

// preflight is the source's preflight, with what the lake cannot take added.
func preflight(ctx context.Context, c config.Config) (*capture.Report, error) {
	helpers := map[capture.Name]bool{}
	report, err := capture.Preflight(ctx, captureSource(c), func(n capture.Name) bool {
		if c.PassedOver(n.Schema, n.Table) {
			helpers[n] = true
		}
		return wanted(c)(n)
	}, wishes(c))
	if err != nil {
		return nil, err
	}
	report.Warnings = append(report.Warnings, warnOfHelpers(helpers)...)
	if err := config.CheckTargets(targetsOf(c, report)); err != nil {
		report.Problems = append(report.Problems, capture.Problem{What: err.Error(), Repair: "tables: [{include: ..., target: ...}]"})
	}
	for _, t := range report.Tables {
		target, _ := c.Match(t.Name.Schema, t.Name.Table)
		source := tableSource(c, t, target)
		lake := table.Name{Namespace: target.Namespace, Table: target.Table}
		if err := cmp.Or(source.Check(), lake.Check()); t.Problem == nil && err != nil {
			report.Problems = append(report.Problems, capture.Problem{Table: t.Name.String(), What: err.Error(), Repair: capture.LeaveOut(t.Name), Shape: true})
		} else if err := storageOf(c, target).Check(source); t.Problem == nil && err != nil {
			place, what := storageOf(c, target).Place, strings.TrimPrefix(err.Error(), t.Name.String()+": ")
			report.Problems = append(report.Problems, capture.Problem{Table: t.Name.String(), What: what, Repair: fmt.Sprintf("correct it there, or write a rule of its own before %s: tables: [{include: [%q], ...}, ...]", place, t.Name), Shape: true})
		}
	}
	return report, nil
}

// warnOfHelpers tells of tables that are left out for their names alone.
func warnOfHelpers(helpers map[capture.Name]bool) []capture.Problem {
	var out []capture.Problem
	for n := range helpers {
		out = append(out, capture.Problem{
			Table: n.String(), What: "not replicated: it has the name of a table that a tool makes for a schema change",
			Repair: fmt.Sprintf("tables: [{include: [%q], ...}], if it is none", n),
		})
	}
	slices.SortFunc(out, func(a, b capture.Problem) int { return cmp.Compare(a.Table, b.Table) })
	return out
}

// members gives the tables that are replicated: those of the source that the configuration
// wants, and those of the lake whose source is wanted but no longer there, so that the
// stream stops where it was dropped.
func (s *source) members(ctx context.Context, report *capture.Report) ([]commit.Member, error) {
	var out []commit.Member
	targets := targetsOf(s.cfg, report)
	for _, info := range report.Tables {
		out = append(out, s.member(info))
	}
	gone, err := s.orphans(ctx, targets)
	return append(out, gone...), err
}

// orphans finds lake tables of this pipeline whose source table is wanted but gone. One that was
// created and never begun is none: it has no position from which the log would tell that.
func (s *source) orphans(ctx context.Context, there map[[2]string]config.Target) ([]commit.Member, error) {
	var out []commit.Member
	heads, err := lakeTables(ctx, s.lake, s.cfg.Pipeline)
	if err != nil {
		return nil, err
	}
	for _, h := range heads {
		n := h.Source.Table.Name
		target, ok := s.cfg.Match(n.Schema, n.Table)
		if _, exists := there[[2]string{n.Schema, n.Table}]; exists || !ok || !h.Begun() || h.Name != (table.Name{Namespace: target.Namespace, Table: target.Table}) {
			continue
		}
		s.logger.Warn("a replicated table is gone from the source", "table", n.String())
		out = append(out, commit.Member{Source: h.Source, Lake: h.Name, Location: s.lake.Location(h.Name), Storage: storageOf(s.cfg, target)})
	}
	return out, nil
}

// lakeTables gives the heads of a pipeline's tables, but for its control table.
func lakeTables(ctx context.Context, lake *lakehouse, pipeline string) ([]*table.Head, error) {
	names, err := lake.AllTables(ctx)
	if err != nil {
		return nil, err
	}
	var out []*table.Head
	for _, n := range names {
		if n.Namespace == config.ControlNamespace {
			continue
		}
		h, err := table.LoadHead(ctx, lake.tables(pipeline), n)
		switch {
		case errors.Is(err, table.ErrNotOurs), errors.Is(err, table.ErrOtherPipeline), errors.Is(err, table.ErrCatalogAccess):
			continue
		case err != nil:
			return nil, err
		case h != nil:
			out = append(out, h)
		}
	}
	return out, nil
}
