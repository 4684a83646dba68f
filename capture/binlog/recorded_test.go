package binlog

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestRecordedLogsReadAsBefore compares what is read out of real logs with what was read
// and reviewed when they were recorded.
func TestRecordedLogsReadAsBefore(t *testing.T) {
	for _, name := range recordings {
		t.Run(name, func(t *testing.T) {
			var got strings.Builder
			d := &Dump{}
			for _, raw := range recorded(t, name) {
				e, err := d.open(packet(raw))
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&got, "%v%s\n", e.Type, describe(t, e, strings.HasPrefix(name, "mariadb")))
			}
			path := filepath.Join("testdata", strings.TrimSuffix(name, ".binlog")+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got.String(), want)
			}
		})
	}
}

// describe tells what the parsers read out of e.
func describe(t *testing.T, e Event, mariadb bool) string {
	t.Helper()
	text := ""
	e, err := new(Inflater).Inflate(e)
	switch e.Type {
	case TypeGTID, TypeGTIDTagged, TypeMariaDBGTID:
		text, err = describeGTID(e)
	case TypeQuery:
		var q Query
		q, err = ParseQuery(e.Body)
		text = fmt.Sprintf(" mode %#x charset %d schema %q %.60q", q.SQLMode, q.Charset, q.Schema, q.SQL)
	case TypeTableMap:
		text, err = describeTable(e, mariadb)
	case TypeXAPrepare:
		var x XAPrepare
		x, err = ParseXAPrepare(e.Body)
		text = fmt.Sprintf(" %+v", x)
	case TypeRotate:
		var r Rotate
		r, err = ParseRotate(e.Body)
		text = fmt.Sprintf(" %+v", r)
	}
	if _, ok := RowEvent(e.Type); ok {
		var r Rows
		r, err = ParseRows(e)
		text = fmt.Sprintf(" kind %d columns %d complete %v %v images %d bytes", r.Kind, r.Columns, Complete(r.Present, r.Columns), Complete(r.After, r.Columns), len(r.Images))
	}
	if err != nil {
		t.Fatal(e.Type, err)
	}
	return text
}

func describeGTID(e Event) (string, error) {
	switch e.Type {
	case TypeMariaDBGTID:
		g, err := ParseMariaDBGTID(e.Body)
		return fmt.Sprintf(" %d-%d-%d standalone %v prepared %v completed %v", g.Domain, e.ServerID, g.Number, g.Standalone, g.PreparedXA, g.CompletedXA), err
	case TypeGTIDTagged:
		g, err := ParseGTIDTagged(e.Body)
		return fmt.Sprintf(" %x:%s:%d %v", g.SID, g.Tag, g.Number, g.Committed.UTC()), err
	}
	g, err := ParseGTID(e.Body)
	return fmt.Sprintf(" %x:%d %v", g.SID, g.Number, g.Committed.UTC()), err
}

func describeTable(e Event, mariadb bool) (string, error) {
	tm, err := ParseTableMap(e.Body, mariadb)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	fmt.Fprintf(&out, " %s.%s full %v", tm.Schema, tm.Table, tm.Full)
	for _, c := range tm.Columns {
		fmt.Fprintf(&out, "\n\t%s type %d meta %#x length %d collation %d", c.Name, c.Type, c.Meta, c.Length, c.Collation)
		if c.Unsigned {
			out.WriteString(" unsigned")
		}
		if c.Nullable {
			out.WriteString(" nullable")
		}
		if c.Key > 0 {
			fmt.Fprintf(&out, " key %d", c.Key)
		}
		if c.Elements != nil {
			fmt.Fprintf(&out, " %q", c.Elements)
		}
	}
	return out.String(), nil
}
