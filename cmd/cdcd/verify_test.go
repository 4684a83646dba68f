package main

import (
	"bytes"
	"testing"

	"cdcd/verify"
	"github.com/google/go-cmp/cmp"
)

func TestVerifyPrints(t *testing.T) {
	equal := func(table, position string) verify.Result {
		return verify.Result{Table: table, Verdict: verify.Equal, SourceRows: 1234, LakeRows: 1234, Rounds: 1, Position: position}
	}
	different := verify.Result{
		Table: "shop.b", Verdict: verify.Different, SourceRows: 2, LakeRows: 1, Rounds: 2, Position: "a:1-5", Differs: 3,
		Different: []verify.Key{{Key: "7", What: "missing in the lake"}},
	}
	if err := verdict([]verify.Result{equal("shop.b", ""), {Verdict: verify.Quarantined}, {Verdict: verify.Unknown}}); exitCode(err) != exitFailure {
		t.Errorf("with a quarantined table: exit %d", exitCode(err))
	}
	for name, c := range map[string]struct {
		results []verify.Result
		exact   *exactReport
		want    string
	}{
		"at one position": {[]verify.Result{equal("shop.orders", "a:1-5"), equal("shop.b", "a:1-5")}, nil, "" +
			"equal      shop.orders  1,234 rows in the source, 1,234 in the lake\n" +
			"equal      shop.b       1,234 rows in the source, 1,234 in the lake\n" +
			"all 2 tables are equal at a:1-5\n"},
		"at several positions": {[]verify.Result{equal("shop.orders", "a:1-9"), different, {Table: "shop.c", Verdict: verify.Unknown, Reason: "no key"}}, nil, "" +
			"equal      shop.orders  1,234 rows in the source, 1,234 in the lake, at a:1-9\n" +
			"different  shop.b       2 rows in the source, 1 in the lake, 2 rounds, at a:1-5\n" +
			"           differs: key 7: missing in the lake\n" +
			"           differs: and 2 more\n" +
			"unknown    shop.c       not compared\n" +
			"           no key\n" +
			"3 tables: 1 equal, 1 different, 0 moving, 1 not compared\n"},
		"quarantined": {[]verify.Result{equal("shop.b", "a:1-9"), {Table: "shop.c", Verdict: verify.Quarantined, Position: "a:1-5", Reason: "before a:6: DROP TABLE"}}, nil, "" +
			"equal        shop.b  1,234 rows in the source, 1,234 in the lake\n" +
			"quarantined  shop.c  not compared, at a:1-5\n" +
			"           before a:6: DROP TABLE\n" +
			"2 tables: 1 equal, 0 different, 0 moving, 0 not compared, 1 quarantined; compared at a:1-9\n"},
		"began empty": {[]verify.Result{{Table: "shop.log", Verdict: verify.Equal, SourceRows: 5000, LakeRows: 3000, NotLoaded: 2000, Rounds: 1, Position: "a:1-9", Reason: "it began empty"}}, nil, "" +
			"equal      shop.log  5,000 rows in the source, 3,000 in the lake, 2,000 not loaded\n" +
			"           it began empty\n" +
			"all 1 tables are equal at a:1-9\n"},
		"exact, locked": {[]verify.Result{equal("shop.b", "a:1-5")}, &exactReport{Cut: 7, LockedMS: 3.14, StoodMS: 41.5}, "" +
			"equal      shop.b  1,234 rows in the source, 1,234 in the lake\n" +
			"cut 7; stream held for 41.5 ms, source locked for 3.14 ms\n" +
			"all 1 tables are equal at a:1-5\n"},
		"exact, without the lock": {[]verify.Result{equal("shop.b", "a:1-5")}, &exactReport{Cut: 7, StoodMS: 0.5, Unlocked: "access denied", Passed: 2}, "" +
			"equal      shop.b  1,234 rows in the source, 1,234 in the lake\n" +
			"cut 7; stream held for 0.5 ms, source not locked (access denied), 2 keys moved meanwhile\n" +
			"all 1 tables are equal at a:1-5\n"},
		"not replicated any more": {[]verify.Result{equal("shop.b", "a:1-5"), {Table: "shop.gone", Verdict: verify.Dropped, Reason: "before a:4: DROP TABLE", Position: "a:1-3"}}, nil, "" +
			"equal      shop.b     1,234 rows in the source, 1,234 in the lake\n" +
			"dropped    shop.gone  not compared, at a:1-3\n" +
			"           before a:4: DROP TABLE\n" +
			"2 tables: 1 equal, 0 different, 0 moving, 0 not compared, 1 dropped; compared at a:1-5\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := (&verifyCmd{}).print(&out, c.results, c.exact); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestVerifyExits holds which tables make cdcd verify fail.
func TestVerifyExits(t *testing.T) {
	for _, c := range []struct {
		verdicts []verify.Verdict
		want     int
	}{
		{[]verify.Verdict{verify.Equal, verify.Dropped}, exitOK},
		{[]verify.Verdict{verify.Dropped}, exitOK},
		{[]verify.Verdict{verify.Unknown, verify.Quarantined, verify.Dropped}, exitFailure},
		{[]verify.Verdict{verify.Moving, verify.Equal}, exitLater},
		{[]verify.Verdict{verify.Moving, verify.Different}, exitFailure},
	} {
		var results []verify.Result
		for _, v := range c.verdicts {
			results = append(results, verify.Result{Verdict: v})
		}
		if got := exitCode(verdict(results)); got != c.want {
			t.Errorf("%v: %d", c.verdicts, got)
		}
	}
}
