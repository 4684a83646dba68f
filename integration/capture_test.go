//go:build integration

package integration

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"cdcd/capture"
)

// drain reads a stream until it has delivered everything up to a position.
func drain(t testing.TB, s *capture.Stream, until capture.Position) []*capture.Segment {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out []*capture.Segment
	for {
		seg, err := s.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, seg)
		if seg.End.Covers(until) {
			return out
		}
	}
}

func describe(t testing.TB, s *server, schema string) []capture.TableInfo {
	t.Helper()
	infos, err := capture.Tables(context.Background(), s.db, func(n capture.Name) bool { return n.Schema == schema }, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range infos {
		if i.Problem != nil {
			t.Fatalf("%s: %v", i.Name, i.Problem)
		}
	}
	return infos
}

func streamOf(t testing.TB, s *server, start capture.Position, tables ...capture.Capture) *capture.Stream {
	t.Helper()
	st, err := capture.NewStream(capture.StreamConfig{
		Source: s.source(t.Name()), Start: start, Tables: tables,
		Wanted: func(capture.Name) bool { return false },
		Limits: capture.Limits{Rows: 10_000, Bytes: 64 << 20, Linger: 100 * time.Millisecond},
		Memory: capture.NewPool(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	return st
}

// TestPathsAgree writes edge values of every supported type and compares what the log and
// what SELECT gives, value for value.
func TestPathsAgree(t *testing.T) {
	eachTypesRelease(t, func(t *testing.T, s *server) {
		schema := s.schema(t, "paths")
		s.exec(t, "USE paths; "+edgeTable(s))
		info := describe(t, s, schema)[0]
		c := capture.Capture{Table: &info.Table, Applied: capture.EmptyPosition(s.flavor)}
		start := s.executed(t)
		for _, row := range edgeRows(s) {
			s.exec(t, "SET NAMES utf8mb4; INSERT INTO paths.t VALUES "+row)
		}
		end := s.executed(t)
		segments := drain(t, streamOf(t, s, start, c), end)
		var logged []*capture.Batch
		for _, seg := range segments {
			logged = append(logged, seg.Batches...)
		}
		reader, err := capture.OpenReader(context.Background(), s.source(t.Name()), s.flavor, serverID(t, s), capture.NewPool())
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		chunk, err := reader.Read(context.Background(), c, capture.Range{}, end)
		if err != nil {
			t.Fatal(err)
		}
		compareRows(t, &info.Table, logged, []*capture.Batch{chunk.Batch})
		if got, want := chunk.Batch.Rows(), len(edgeRows(s)); got != want {
			t.Errorf("%d rows selected, want %d", got, want)
		}
	})
}

func serverID(t testing.TB, s *server) string {
	t.Helper()
	d, err := capture.Describe(context.Background(), s.db)
	if err != nil {
		t.Fatal(err)
	}
	return d.ID
}

// compareRows compares two sequences of batches by the first column.
func compareRows(t testing.TB, table *capture.Table, a, b []*capture.Batch) {
	t.Helper()
	left, right := rowTexts(a), rowTexts(b)
	if len(left) != len(right) {
		t.Errorf("%d rows against %d", len(left), len(right))
	}
	for key, l := range left {
		r := right[key]
		for i := range l {
			if r == nil || l[i] != r[i] {
				t.Errorf("row %s column %s (%s): log %q, select %q", key, table.Columns[i].Name, table.Columns[i].SQLType(), l[i], at(r, i))
			}
		}
	}
}

func at(s []string, i int) string {
	if i < len(s) {
		return s[i]
	}
	return "(no row)"
}

// rowTexts renders rows by the value of their first column.
func rowTexts(batches []*capture.Batch) map[string][]string {
	out := map[string][]string{}
	for _, b := range batches {
		for i := range b.Rows() {
			row := make([]string, b.Record.NumCols())
			for j, c := range b.Record.Columns() {
				row[j] = "NULL"
				if c.IsValid(i) {
					row[j] = fmt.Sprintf("%v", c.GetOneForMarshal(i))
				}
			}
			out[row[0]] = row
		}
	}
	return out
}
