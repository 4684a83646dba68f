package main

import (
	"bytes"
	"testing"
	"time"

	"cdcd/commit"
	"github.com/google/go-cmp/cmp"
)

func TestInspectPrints(t *testing.T) {
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	mark := func(snapshot int64) *commit.MarkState {
		return &commit.MarkState{Snapshot: snapshot, Timeline: 1, Fence: 3, Epoch: 40, Position: "a:1-9", Commit: &at, Loaded: true}
	}
	good := &commit.Inspection{
		Pipeline: "shop", Lease: &commit.LeaseState{Owner: "db1:/var/lib/cdcd", Age: 2.4, Fresh: true},
		Fences: commit.FenceState{Recorded: 3, Control: 3, Agree: true},
		Tables: []commit.TableState{{Table: "shop.orders", Fence: 3, Snapshot: 11, Mark: mark(11), Tag: 11, Property: 11, Agree: true}},
		Cuts:   []commit.CutState{{Number: 40, Position: "a:1-9", Published: &at, Members: make([]commit.CutPart, 1), Retained: true, Tagged: true}},
	}
	bad := &commit.Inspection{
		Pipeline: "shop", Lease: &commit.LeaseState{Owner: "db1:/var/lib/cdcd", Age: 90},
		Fences: commit.FenceState{Recorded: 3, Control: 4},
		Tables: []commit.TableState{{
			Table: "shop.orders", Fence: 3, Snapshot: 11, Mark: mark(10), Tag: 12, InDoubt: 1,
			Foreign: []commit.ForeignState{{Snapshot: 11, Operation: "append", Time: at}},
		}},
		Cuts:     []commit.CutState{{Number: 7, Position: "a:1-2", Members: make([]commit.CutPart, 2)}},
		Records:  []commit.RecordState{{Kind: "rewind", Number: 2, Position: "a:1-5", Timeline: 2, Recorded: &at, Owner: "me"}},
		Intents:  []commit.IntentState{{Object: "file:///x", Table: "shop.orders", Fence: 3, Epoch: 41, Attempt: "1", State: commit.IntentInDoubt}, {State: commit.IntentDead}},
		Problems: []commit.Trouble{{Table: "shop.orders", What: "the table was rolled back", Repair: "cdcd adopt shop.orders", Human: true}},
	}
	for name, c := range map[string]struct {
		report *commit.Inspection
		code   int
		want   string
	}{
		"good": {good, exitOK, "" +
			"pipeline shop\n" +
			"lease    held by db1:/var/lib/cdcd, renewed 2s ago\n" +
			"fence    3, on the control table and on all others\n" +
			"\n" +
			"TABLE        FENCE  SNAPSHOT  TIMELINE  EPOCH  LAST CHANGE           LOAD  TAG, PROPERTY  FOREIGN  IN DOUBT\n" +
			"shop.orders  3      11        1         40     2026-05-04T03:02:01Z  done  agree          0        0\n" +
			"\n" +
			"position a:1-9\n" +
			"         of shop.orders\n" +
			"cut      40 of 2026-05-04T03:02:01Z: 1 table at a:1-9, tagged\n" +
			"ok\n"},
		"bad": {bad, exitHuman, "" +
			"pipeline shop\n" +
			"lease    run out: db1:/var/lib/cdcd renewed it 1m30s ago: that daemon ended without a word, or cannot reach the store\n" +
			"fence    4 on the control table, 3 in its records, 3 on shop.orders: a daemon is taking over, or ended while it did; the next start sets all\n" +
			"\n" +
			"TABLE        FENCE  SNAPSHOT  TIMELINE  EPOCH  LAST CHANGE           LOAD  TAG, PROPERTY                FOREIGN  IN DOUBT\n" +
			"shop.orders  3      11        1         40     2026-05-04T03:02:01Z  done  tag at 12, property missing  1        1\n" +
			"\n" +
			"position a:1-9\n" +
			"         of shop.orders\n" +
			"foreign  shop.orders: snapshot 11 (append) at 2026-05-04T03:02:01Z\n" +
			"cut      7: 2 tables at a:1-2, not all of its snapshots are retained\n" +
			"rewind   2: timeline 2, at a:1-5, 2026-05-04T03:02:01Z me\n" +
			"intents  1 in doubt, 1 dead\n" +
			"         in doubt: shop.orders, fence 3, epoch 41, attempt 1: file:///x\n" +
			"problem  shop.orders: the table was rolled back\n" +
			"         repair: cdcd adopt shop.orders\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := printInspection(&out, c.report); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, out.String()); diff != "" {
				t.Error(diff)
			}
			if code := exitCode(inspected(c.report)); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
		})
	}
	unread := &commit.Inspection{Problems: []commit.Trouble{{Table: "shop.gone", What: "connection refused"}}}
	if code := exitCode(inspected(unread)); code != exitLater {
		t.Errorf("exit code %d where a table could not be read", code)
	}
}
