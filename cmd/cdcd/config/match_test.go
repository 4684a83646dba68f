package config

import (
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestMatch(t *testing.T) {
	c := Config{
		Namespace: "lake_{schema}",
		Tables: []TableRule{
			{Include: []string{"shop.orders"}, Target: "sales.fixed", CommitTimestamp: true, FormatVersion: 2},
			{Include: []string{"shop.*", "s?le.a*z"}, Exclude: []string{"shop.tmp_*", "*.secret"}, Target: "{schema}.x_{table}"},
			{Include: []string{"*.tmp_?"}},
			{Include: []string{"swap.*"}, Target: "{table}.{schema}"},
		},
	}
	tests := map[string]Target{
		"shop.orders":    {"sales", "fixed", true, 0, 2},
		"shop.Orders":    {"shop", "x_Orders", false, 1, 0},
		"shop.customers": {"shop", "x_customers", false, 1, 0},
		"shop.tmp_1":     {"lake_shop", "tmp_1", false, 2, 0}, // excluded by one rule, included by the next
		"shop.tmp_11":    {},
		"shop.secret":    {},
		"Shop.customers": {},
		"sale.az":        {"sale", "x_az", false, 1, 0},
		"sale.abcz":      {"sale", "x_abcz", false, 1, 0},
		"sale.abcy":      {},
		"sle.az":         {},
		"shop.a.b":       {"shop", "x_a.b", false, 1, 0},
		"shop.{schema}":  {"shop", "x_{schema}", false, 1, 0},
		"swap.t":         {"t", "swap", false, 3, 0},
		"other.t":        {},
		"été.tmp_é":      {"lake_été", "tmp_é", false, 2, 0},
	}
	for name, want := range tests {
		schema, table, _ := strings.Cut(name, ".")
		got, ok := c.Match(schema, table)
		if got != want || ok != (want != Target{}) {
			t.Errorf("%s: got %v, %v, want %v", name, got, ok, want)
		}
	}
}

// TestHelpersAreMeantByName holds that wildcards do not take in what tools for schema changes make.
func TestHelpersAreMeantByName(t *testing.T) {
	c := Config{Namespace: "{schema}", Tables: []TableRule{
		{Include: []string{"own._orders_new", "under._*", "quest.?orders_new", "ex._*"}, Exclude: []string{"ex._*_old"}},
		{Include: []string{"*.*"}, Exclude: []string{"shop.secret", "shop._secret_new"}},
	}}
	for name, want := range map[string]struct{ taken, passedOver bool }{
		"shop.orders":          {taken: true},
		"shop._orders":         {taken: true},
		"shop._new":            {taken: true}, // of no table
		"shop.orders_new":      {taken: true},
		"shop._orders_news":    {taken: true},
		"shop._orders_gho":     {passedOver: true},
		"shop._orders_ghc":     {passedOver: true},
		"shop._orders_ghk":     {passedOver: true},
		"shop._orders_del":     {passedOver: true},
		"shop._o_20240102_del": {passedOver: true},
		"shop._orders_new":     {passedOver: true},
		"shop.___orders_old":   {passedOver: true},
		"quest._orders_new":    {passedOver: true},
		"shop._secret_new":     {}, // excluded anyway
		"own._orders_new":      {taken: true},
		"own._orders_old":      {passedOver: true},
		"under._orders_gho":    {taken: true},
		"ex._orders_old":       {passedOver: true}, // by the second rule
		"ex._orders_new":       {taken: true},
		"shop.secret":          {},
	} {
		schema, table, _ := strings.Cut(name, ".")
		if _, ok := c.Match(schema, table); ok != want.taken || c.PassedOver(schema, table) != want.passedOver {
			t.Errorf("%s: taken %v, passed over %v", name, ok, c.PassedOver(schema, table))
		}
	}
}

// TestGlobAgreesWithPathMatch compares with the standard library on texts that hold none of
// the characters to which it gives a meaning of its own.
func TestGlobAgreesWithPathMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.RuneFrom([]rune("abé*?")), 0, 10, -1).Draw(t, "pattern")
		text := rapid.StringOfN(rapid.RuneFrom([]rune("abé")), 0, 12, -1).Draw(t, "text")
		want, err := path.Match(pattern, text)
		if err != nil {
			t.Fatal(err)
		}
		if got := matchGlob([]rune(pattern), []rune(text)); got != want {
			t.Fatalf("%q on %q: got %v", pattern, text, got)
		}
	})
}

func TestCheckTargets(t *testing.T) {
	if err := CheckTargets(map[[2]string]Target{
		{"a", "t"}:  {Namespace: "a", Table: "t"},
		{"b", "t"}:  {Namespace: "b", Table: "t"},
		{"a", "tt"}: {Namespace: "a", Table: "tt"},
	}); err != nil {
		t.Error(err)
	}
	err := CheckTargets(map[[2]string]Target{
		{"shop", "Orders"}:    {Namespace: "shop", Table: "Orders"},
		{"shop", "orders"}:    {Namespace: "shop", Table: "orders"},
		{"SHOP", "orders"}:    {Namespace: "SHOP", Table: "orders"},
		{"a", "x"}:            {Namespace: "one", Table: "x"},
		{"b", "x"}:            {Namespace: "one", Table: "x", CommitTimestamp: true},
		{"c", "x"}:            {Namespace: "two", Table: "x"},
		{"cdcd_control", "p"}: {Namespace: "CDCD_control", Table: "p"},
	})
	want := `target cdcd_control.p of cdcd_control.p is in the namespace of cdcd's own tables
target one.x is shared by the tables a.x, b.x (case does not count)
target shop.orders is shared by the tables SHOP.orders, shop.Orders, shop.orders (case does not count)`
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}
