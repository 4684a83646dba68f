package capture

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Bound is a key as SQL literals, one a key column. It is only ever compared by the
// server, whose collations decide the order of texts. An empty Bound is the open end.
type Bound []string

// Range is the rows whose key is above After and not above UpTo.
type Range struct {
	After Bound `json:"after,omitempty"`
	UpTo  Bound `json:"upto,omitempty"`
}

// literals are the forms that a Bound may hold: numbers, times, and texts as hex with
// their character set. A Bound is read back from table metadata, so it is checked before
// it goes into a statement.
const literals = `^(-?[0-9]+(\.[0-9]+)?|'[0-9:. -]*'|(_[a-z0-9]+ )?x'[0-9A-F]*')$`

// UnmarshalJSON reads a Bound and refuses what Bound does not write.
func (b *Bound) UnmarshalJSON(data []byte) error {
	var parts []string
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	re, err := regexp.Compile(literals)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if !re.MatchString(p) {
			return errors.New("a key bound that is not an SQL literal")
		}
	}
	*b = parts
	return nil
}

// literal renders a key value, as the text protocol gives it, so that comparing with it
// gives the order of the column's index.
func literal(c Column, text []byte) (string, error) {
	switch c.Type {
	case TypeTinyInt, TypeSmallInt, TypeMediumInt, TypeInt, TypeBigInt, TypeDecimal, TypeYear, TypeBit, TypeEnum, TypeSet:
		return string(text), nil // BIT, ENUM and SET are selected as numbers: they sort by them
	case TypeDate, TypeDatetime, TypeTimestamp, TypeTime:
		return "'" + string(text) + "'", nil
	case TypeBinary, TypeVarbinary, TypeBlob:
		return fmt.Sprintf("x'%X'", text), nil
	case TypeUUID, TypeInet4, TypeInet6:
		return fmt.Sprintf("_ascii x'%X'", text), nil
	case TypeChar, TypeVarchar, TypeText:
		return fmt.Sprintf("_%s x'%X'", c.Charset, text), nil
	}
	return "", fmt.Errorf("%w: %s in a key", ErrUnsupportedType, c.SQLType())
}

// keyExpression is how a key column is selected for literal.
func keyExpression(c Column) string {
	switch c.Type {
	case TypeBit, TypeEnum, TypeSet:
		return quoteName(c.Name) + "+0"
	}
	return quoteName(c.Name)
}

// condition renders the range as a WHERE condition, "TRUE" for the whole table. A row
// comparison (a, b) > (x, y) is spelled out, for the optimizer uses no index for it.
func (r Range) condition(key []Column) string {
	var parts []string
	if len(r.After) > 0 {
		parts = append(parts, compareKey(key, r.After, ">", ">"))
	}
	if len(r.UpTo) > 0 {
		parts = append(parts, compareKey(key, r.UpTo, "<", "<="))
	}
	if len(parts) == 0 {
		return "TRUE"
	}
	return strings.Join(parts, " AND ")
}

// compareKey renders a comparison of the whole key; the last column uses last.
func compareKey(key []Column, b Bound, op, last string) string {
	name := quoteName(key[0].Name)
	if len(key) == 1 {
		return fmt.Sprintf("%s %s %s", name, last, b[0])
	}
	rest := compareKey(key[1:], b[1:], op, last)
	return fmt.Sprintf("(%s %s= %s AND (%s %s %s OR (%s)))", name, op, b[0], name, op, b[0], rest)
}

// orderBy lists the key columns.
func orderBy(key []Column) string {
	names := make([]string, len(key))
	for i, c := range key {
		names[i] = quoteName(c.Name)
	}
	return strings.Join(names, ", ")
}

// sameBound compares two bounds as written. The loader only ever compares bounds that it
// took from each other, so equal keys have equal text.
func sameBound(a, b Bound) bool { return slices.Equal(a, b) }

// AddRange joins r to the done ranges, which are in key order and do not touch. Chunks of a
// gap arrive in the order in which they were planned, so r begins where a done range ends,
// or at the start of the table.
func AddRange(done []Range, r Range) ([]Range, error) {
	at := 0
	if len(r.After) > 0 {
		at = 1 + slices.IndexFunc(done, func(d Range) bool { return sameBound(d.UpTo, r.After) })
	}
	if at == 0 && (len(r.After) > 0 || len(done) > 0 && len(done[0].After) == 0) {
		return nil, errors.New("a loaded range does not follow what is loaded")
	}
	return joinRanges(slices.Insert(slices.Clone(done), at, r)), nil
}

// joinRanges merges neighbours that touch.
func joinRanges(rs []Range) []Range {
	out := rs[:1]
	for _, r := range rs[1:] {
		if last := &out[len(out)-1]; sameBound(last.UpTo, r.After) {
			last.UpTo = r.UpTo
			continue
		}
		out = append(out, r)
	}
	return out
}

// Gaps gives what the done ranges leave to load, in key order.
func Gaps(done []Range) []Range {
	var out []Range
	var at Bound // the end of what is done so far
	for i, d := range done {
		if i > 0 || len(d.After) > 0 {
			out = append(out, Range{After: at, UpTo: d.After})
		}
		if at = d.UpTo; len(at) == 0 {
			return out // done up to the end of the table
		}
	}
	return append(out, Range{After: at})
}
