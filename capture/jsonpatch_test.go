package capture

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"cdcd/capture/binlog"
	"pgregory.net/rapid"
)

// lengthEncoded is a string with its length, as in the log.
func lengthEncoded(s []byte) []byte {
	if n := len(s); n > 250 {
		return append([]byte{0xfd, byte(n), byte(n >> 8), byte(n >> 16)}, s...)
	}
	return append([]byte{byte(len(s))}, s...)
}

// storeDiff is a diff as the log has it.
func storeDiff(op binlog.JSONOp, path string, value any) []byte {
	out := append([]byte{byte(op)}, lengthEncoded([]byte(path))...)
	if op == binlog.JSONRemove {
		return out
	}
	return append(out, lengthEncoded(storeJSON(value, false))...)
}

// edited is a document behind one change of what is at the end of a path: the model of a diff. A
// step is a key or a place in an array.
func edited(v any, path []any, op binlog.JSONOp, value any) any {
	switch v := v.(type) {
	case []jsonMember:
		key := path[0].(string)
		at := slices.IndexFunc(v, func(m jsonMember) bool { return m.key == key })
		v = slices.Clone(v)
		switch {
		case len(path) > 1:
			v[at].value = edited(v[at].value, path[1:], op, value)
		case op == binlog.JSONReplace:
			v[at].value = value
		case op == binlog.JSONRemove:
			v = slices.Delete(v, at, at+1)
		default:
			v = ordered(append(v, jsonMember{key, value})).([]jsonMember)
		}
		return v
	case []any:
		at := path[0].(int)
		v = slices.Clone(v)
		switch {
		case len(path) > 1:
			v[at] = edited(v[at], path[1:], op, value)
		case op == binlog.JSONReplace:
			v[at] = value
		case op == binlog.JSONRemove:
			v = slices.Delete(v, at, at+1)
		default:
			v = slices.Insert(v, min(at, len(v)), value)
		}
		return v
	}
	panic("a path through a scalar")
}

// ordered puts the members of all objects into the server's order, and drops those whose key
// comes twice.
func ordered(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = ordered(v[i])
		}
		return v
	case []jsonMember:
		for i := range v {
			v[i].value = ordered(v[i].value)
		}
		slices.SortStableFunc(v, func(a, b jsonMember) int {
			return cmp.Or(cmp.Compare(len(a.key), len(b.key)), cmp.Compare(a.key, b.key))
		})
		return slices.CompactFunc(v, func(a, b jsonMember) bool { return a.key == b.key })
	}
	return v
}

var identifier = regexp.MustCompile(`^[A-Za-z$_][A-Za-z0-9$_]*$`)

// drawDiff draws a change that fits a document. It gives the path as steps and as text.
func drawDiff(r *rapid.T, v any) (op binlog.JSONOp, path []any, text string) {
	text = "$"
	for {
		step, n := any(nil), 0
		switch v := v.(type) {
		case []jsonMember:
			if n = len(v); n > 0 {
				step = v[rapid.IntRange(0, n-1).Draw(r, "member")].key
			}
		case []any:
			if n = len(v); n > 0 {
				step = rapid.IntRange(0, n-1).Draw(r, "element")
			}
		}
		op = rapid.SampledFrom([]binlog.JSONOp{binlog.JSONReplace, binlog.JSONInsert, binlog.JSONRemove}).Draw(r, "op")
		if op == binlog.JSONInsert || n == 0 {
			op = binlog.JSONInsert
			step = newStep(r, v)
		}
		path = append(path, step)
		text += pathStep(r, step, n, op)
		if inner := at(v, step); op != binlog.JSONInsert && isContainer(inner) && rapid.Bool().Draw(r, "deeper") {
			v = inner
			continue
		}
		return op, path, text
	}
}

// newStep draws a place at which something can be inserted into v.
func newStep(r *rapid.T, v any) any {
	if v, is := v.([]any); is {
		return rapid.IntRange(0, len(v)+2).Draw(r, "place")
	}
	keys := rapid.OneOf(rapid.SampledFrom([]string{"", "a", "b", "aa", "a b", "ü", `"`, "\\", "\x01", "\n", "last", "[0]", "$"}), rapid.StringN(0, 10, 40))
	return keys.Filter(func(k string) bool { return at(v, k) == missing }).Draw(r, "key")
}

var missing = any("no such element")

func at(v, step any) any {
	switch v := v.(type) {
	case []jsonMember:
		for _, m := range v {
			if m.key == step {
				return m.value
			}
		}
	case []any:
		if i := step.(int); i < len(v) {
			return v[i]
		}
	}
	return missing
}

func isContainer(v any) bool {
	switch v.(type) {
	case []any, []jsonMember:
		return true
	}
	return false
}

// pathStep prints a step as the server does; that into an array of n elements from either end.
func pathStep(r *rapid.T, step any, n int, op binlog.JSONOp) string {
	i, cell := step.(int)
	if !cell {
		if key := step.(string); identifier.MatchString(key) {
			return "." + key
		}
		return "." + quoteJSON(step.(string))
	}
	if i >= n || op == binlog.JSONInsert || rapid.Bool().Draw(r, "from the front") {
		return fmt.Sprintf("[%d]", i)
	}
	return strings.Replace(fmt.Sprintf("[last-%d]", n-1-i), "last-0", "last", 1)
}

// TestJSONDiffsAgainstModel applies random diffs to random documents, and compares with the same
// changes of a tree.
func TestJSONDiffsAgainstModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var v any
		for !isContainer(v) {
			v = ordered(drawJSON(r, 4))
		}
		doc, err := appendJSON(nil, storeJSON(v, rapid.Bool().Draw(r, "large")))
		if err != nil {
			r.Fatal(err)
		}
		var patch []byte
		for range rapid.IntRange(0, 5).Draw(r, "diffs") {
			op, path, text := drawDiff(r, v)
			value := ordered(drawJSON(r, 2))
			patch = append(patch, storeDiff(op, text, value)...)
			v = edited(v, path, op, value)
		}
		got, err := PatchJSON(doc, patch)
		if err != nil || string(got) != printJSON(v) {
			r.Fatalf("got %s, %v\nwant %s", got, err, printJSON(v))
		}
	})
}

func TestJSONDiffsThatDoNotFit(t *testing.T) {
	const doc = `{"a": 1, "b": [1, {"c": "x"}], "aa": "s\"t"}`
	for name, patch := range map[string][]byte{
		"the root is replaced":        storeDiff(binlog.JSONReplace, "$", int16(1)),
		"the root is removed":         storeDiff(binlog.JSONRemove, "$", nil),
		"a member that is missing":    storeDiff(binlog.JSONReplace, "$.x", int16(1)),
		"an element behind the end":   storeDiff(binlog.JSONReplace, "$.b[2]", int16(1)),
		"one before the first":        storeDiff(binlog.JSONRemove, "$.b[last-2]", nil),
		"a member of an array":        storeDiff(binlog.JSONReplace, "$.b.c", int16(1)),
		"an element of an object":     storeDiff(binlog.JSONReplace, "$[0]", int16(1)),
		"an element of a number":      storeDiff(binlog.JSONReplace, "$.a[0]", int16(1)),
		"into a number":               storeDiff(binlog.JSONInsert, "$.a.x", int16(1)),
		"an element into an object":   storeDiff(binlog.JSONInsert, "$[0]", int16(1)),
		"a member that is there":      storeDiff(binlog.JSONInsert, "$.a", int16(1)),
		"below what is missing":       storeDiff(binlog.JSONRemove, "$.x.y", nil),
		"unknown operation":           storeDiff(3, "$.a", int16(1)),
		"path without root":           storeDiff(binlog.JSONRemove, ".a", nil),
		"wildcard":                    storeDiff(binlog.JSONRemove, "$.*", nil),
		"ellipsis":                    storeDiff(binlog.JSONRemove, "$**.a", nil),
		"range":                       storeDiff(binlog.JSONRemove, "$.b[0 to 1]", nil),
		"any element":                 storeDiff(binlog.JSONRemove, "$.b[*]", nil),
		"no number":                   storeDiff(binlog.JSONRemove, "$.b[]", nil),
		"cell without end":            storeDiff(binlog.JSONRemove, "$.b[0", nil),
		"last without minus":          storeDiff(binlog.JSONRemove, "$.b[last1]", nil),
		"number of a sign":            storeDiff(binlog.JSONRemove, "$.b[-1]", nil),
		"blank":                       storeDiff(binlog.JSONRemove, "$ .a", nil),
		"name without end":            storeDiff(binlog.JSONRemove, `$."a`, nil),
		"empty name":                  storeDiff(binlog.JSONRemove, "$.", nil),
		"an escape of another form":   storeDiff(binlog.JSONRemove, `$."\u0061"`, nil),
		"a name that is to be quoted": storeDiff(binlog.JSONRemove, "$.a\n", nil),
		"a value that is no document": append([]byte{byte(binlog.JSONReplace), 3, '$', '.', 'a'}, 2, jsonInt16, 1),
		"cut off":                     storeDiff(binlog.JSONReplace, "$.a", "text")[:8],
	} {
		if got, err := PatchJSON([]byte(doc), patch); err == nil {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, doc := range []string{"", "{", `{"a"`, `{"a": `, `{"a":1}`, `{"a": 1`, `{"a": 1,"b": 2}`, `{"a": }`, `{a: 1}`, `{"aa": [1, "a": 2}`, `{"aa": "x`} {
		if got, err := PatchJSON([]byte(doc), storeDiff(binlog.JSONRemove, "$.aaa", nil)); err == nil {
			t.Errorf("%q becomes %q", doc, got)
		}
	}
}

// FuzzPatchJSON applies foreign diffs to foreign documents. Whatever they are, nothing panics, the
// memory follows the input, and a document that is well-formed stays so.
func FuzzPatchJSON(f *testing.F) {
	doc := []jsonMember{{"a", []any{nil, int16(1), "t\n"}}, {"b", []jsonMember{{"k", 1e300}}}}
	for op := range binlog.JSONRemove + 1 {
		for _, path := range []string{"$.a", "$.a[1]", "$.a[last-1]", `$."\n"`, "$.b.k", "$.b.x", "$.b"} {
			f.Add(storeJSON(doc, false), slices.Repeat(storeDiff(op, path, []any{"x", jsonOpaqueValue{binlog.ColumnTime, make([]byte, 8)}}), 2))
		}
	}
	f.Fuzz(func(t *testing.T, stored, patch []byte) {
		text, err := appendJSON(nil, stored)
		if err != nil {
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := PatchJSON(bytes.Clone(text), patch)
		runtime.ReadMemStats(&after)
		if spent := after.TotalAlloc - before.TotalAlloc; spent > 64<<10+uint64(8*(1+len(patch)/4)*(len(text)+maxJSONGrowth*len(patch))) {
			t.Errorf("%d and %d bytes made it allocate %d", len(text), len(patch), spent)
		}
		if err == nil && json.Valid(text) && !json.Valid(got) {
			t.Errorf("%q becomes %q", text, got)
		}
	})
}
