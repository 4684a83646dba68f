package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"cdcd/table"
)

func TestStatusPage(t *testing.T) {
	r := statusReport{
		Pipeline: "shop", State: "loading", Committed: "a:1-5", CommittedTime: time.Unix(0, 0).UTC(), Fence: 3, LagMS: 1_234, Prepared: "a:4",
		Load: &loadReport{Rows: 31_000, Estimate: 100_000, Percent: 31, PerSecond: 1_000, Left: "1m9s", Waiting: "it is busy"},
		Tables: []tableReport{
			{Source: "shop.orders", Table: "lake.orders", State: "loading", LoadRows: 99_000, LoadProgress: 0.3, Rows: 30_000, Bytes: 1 << 20},
			{Source: "shop.people", Table: "shop.people", State: "streaming", LoadProgress: 1, Rows: 1_000, Updated: 7},
			{
				Source: "shop.gone", Table: "shop.gone", State: "quarantined",
				Quarantine: newQuarantineReport(table.Name{Namespace: "shop", Table: "gone"}, &table.Quarantine{Reason: "DROP TABLE", GTID: "a:6"}),
			},
		},
		Refused: []refusal{{"shop.visits", "no primary key <b>"}},
	}
	var b bytes.Buffer
	if err := renderStatus(&b, r); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{
		`class="state loading">loading<`, "1.2s", "31,000</b><span>rows, 1.0 MiB", "31,000 of about 100,000 rows, 1,000 rows/s, 1m9s left; waiting: it is busy", `value="31"`,
		"from shop.orders", "30 % of about 99,000 rows", "shop.visits</b> is not replicated: no primary key &lt;b&gt;; the next start refuses it: change it, or exclude it (tables[].exclude)", "1970-01-01 00:00:00 UTC", "a:1-5", "shop.gone</b> is quarantined before a:6: DROP TABLE; repair: cdcd resnapshot shop.gone", `<span class="mono">a:4</span>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, foreign := range []string{"http://", "https://", "from shop.people"} {
		if strings.Contains(page, foreign) {
			t.Errorf("the page has %q", foreign)
		}
	}
	b.Reset()
	if err := renderStatus(&b, statusReport{Pipeline: "shop", State: "recovering"}); err != nil || !strings.Contains(b.String(), "recovering") {
		t.Errorf("while recovering: %v", err)
	}
}

// TestStatusAligned prints a line that says more between the tables, and below them; the columns
// stand in line all the same.
func TestStatusAligned(t *testing.T) {
	gone := newQuarantineReport(table.Name{Namespace: "shop", Table: "gone"}, &table.Quarantine{Reason: "DROP COLUMN id", GTID: "a:6"})
	r := statusReport{
		Pipeline: "shop", State: "streaming",
		Tables: []tableReport{
			{Table: "shop.gone", State: "quarantined", Quarantine: gone, Rows: 1_000, DebtGrowing: true},
			{Table: "shop.orders_of_today", State: "streaming", Rows: 7},
		},
		Refused: []refusal{{"shop.visits", "no primary key"}},
	}
	var b bytes.Buffer
	if err := printStatus(&b, r); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if len(lines) != 8 {
		t.Fatalf("%d lines: %s", len(lines), b.String())
	}
	at := strings.Index(lines[1], "ROWS")
	if lines[2][at:at+5] != "1,000" || lines[5][at:at+2] != "7 " {
		t.Errorf("not in line:\n%s", b.String())
	}
	for i, want := range map[int]string{3: "repair: cdcd resnapshot shop.gone", 4: "its debt grows", 6: "shop.visits is not replicated: no primary key; the next start refuses it"} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d lacks %q:\n%s", i, want, b.String())
		}
	}
}
