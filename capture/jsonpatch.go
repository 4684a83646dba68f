package capture

import (
	"bytes"
	"errors"
	"slices"

	"cdcd/capture/binlog"
)

// Diffs are applied to a document's text, as the server prints it, and not to its binary form:
// they put values into places, take them out and never look at one, the text has all places in
// their order, and what they leave alone stays as it was printed. So the result is what the server
// prints, whether the old document comes from the log or from the lake.

// errMisfit reports a diff that its document has no place for.
var errMisfit = errors.New("a JSON diff does not fit the document")

// PatchJSON applies a patch, diffs in the form of MySQL's log, to a document as the server prints
// it, and gives the new one as it prints that. It may use doc's memory.
func PatchJSON(doc, patch []byte) ([]byte, error) {
	for len(patch) > 0 {
		d, rest, err := binlog.NextJSONDiff(patch)
		if err != nil {
			return nil, err
		}
		if doc, err = applyJSONDiff(doc, d); err != nil {
			return nil, err
		}
		patch = rest
	}
	return doc, nil
}

func applyJSONDiff(doc []byte, d binlog.JSONDiff) ([]byte, error) {
	legs, err := parseJSONPath(d.Path)
	if err != nil {
		return nil, err
	}
	if len(legs) == 0 { // the server logs the new document instead
		return nil, errMisfit
	}
	var value []byte
	if d.Op != binlog.JSONRemove {
		if value, err = appendJSON(nil, d.Value); err != nil {
			return nil, err
		}
	}
	parent, err := seekJSON(doc, legs[:len(legs)-1])
	if err != nil {
		return nil, err
	}
	last := legs[len(legs)-1]
	if d.Op == binlog.JSONInsert {
		return insertJSON(doc, parent, last, value)
	}
	e, _, err := last.find(doc, parent)
	switch {
	case err != nil:
		return nil, err
	case !e.found:
		return nil, errMisfit
	case d.Op == binlog.JSONReplace:
		return slices.Replace(doc, e.value, e.end, value...), nil
	}
	return removeJSON(doc, e), nil
}

// seekJSON gives where the value at a path begins.
func seekJSON(doc []byte, legs []jsonLeg) (int, error) {
	at := 0
	for _, leg := range legs {
		e, _, err := leg.find(doc, at)
		if err != nil {
			return 0, err
		}
		if !e.found {
			return 0, errMisfit
		}
		at = e.value
	}
	return at, nil
}

// insertJSON puts a value into the object or array at parent.
func insertJSON(doc []byte, parent int, leg jsonLeg, value []byte) ([]byte, error) {
	found, before, err := leg.find(doc, parent)
	if err != nil {
		return nil, err
	}
	if leg.key != nil {
		if found.found { // then it would have been a replacement
			return nil, errMisfit
		}
		value = slices.Concat(leg.key, []byte(": "), value)
	}
	at := before.from
	switch {
	case before.found:
		value = append(value, ", "...)
	case !before.first:
		value = append([]byte(", "), value...)
	}
	return slices.Insert(doc, at, value...), nil
}

// removeJSON takes an element out, with its key and one of the commas around it.
func removeJSON(doc []byte, e jsonElement) []byte {
	from, end := e.from, e.end
	switch {
	case !e.first:
		from -= len(", ")
	case bytes.HasPrefix(doc[end:], []byte(", ")):
		end += len(", ")
	}
	return slices.Delete(doc, from, end)
}

// jsonElement is where an element of an object or array stands in a document. Where it is not
// found it stands for the container's end.
type jsonElement struct {
	from, value, end int    // with its key, without it, and behind it
	key              []byte // with its quotes; of members of objects
	first            bool
	found            bool
}

// jsonWalk goes over the elements of an object or array.
type jsonWalk struct {
	doc    []byte
	at     int
	object bool
	begun  bool
}

// walkJSON begins at the container at a place.
func walkJSON(doc []byte, at int) (*jsonWalk, error) {
	if at >= len(doc) || doc[at] != '{' && doc[at] != '[' {
		return nil, errMisfit
	}
	return &jsonWalk{doc: doc, at: at + 1, object: doc[at] == '{'}, nil
}

// next gives the next element, or one that is not found behind the last of them.
func (w *jsonWalk) next() (jsonElement, error) {
	e := jsonElement{from: w.at, first: !w.begun}
	end := byte(']')
	if w.object {
		end = '}'
	}
	if w.at < len(w.doc) && w.doc[w.at] == end {
		return e, nil
	}
	var err error
	if w.begun {
		if e.from, err = passJSON(w.doc, e.from, ", "); err != nil {
			return e, err
		}
	}
	e.value = e.from
	if w.object {
		keyEnd, err := jsonStringEnd(w.doc, e.from)
		if err != nil {
			return e, err
		}
		e.key = w.doc[e.from:keyEnd]
		if e.value, err = passJSON(w.doc, keyEnd, ": "); err != nil {
			return e, err
		}
	}
	e.end, err = jsonValueEnd(w.doc, e.value)
	e.found, w.begun, w.at = true, true, e.end
	return e, err
}

var errBadText = errors.New("a JSON document that is not as MySQL prints it")

// passJSON gives what is behind what has to be at a place.
func passJSON(doc []byte, at int, what string) (int, error) {
	if !bytes.HasPrefix(doc[at:], []byte(what)) {
		return 0, errBadText
	}
	return at + len(what), nil
}

// jsonStringEnd gives where the string at a place ends, behind its quote.
func jsonStringEnd(doc []byte, at int) (int, error) {
	if at >= len(doc) || doc[at] != '"' {
		return 0, errBadText
	}
	for i := at + 1; i < len(doc); i++ {
		switch doc[i] {
		case '\\':
			i++
		case '"':
			return i + 1, nil
		}
	}
	return 0, errBadText
}

// jsonValueEnd gives where the value at a place ends.
func jsonValueEnd(doc []byte, at int) (int, error) {
	from, depth := at, 0
	for at < len(doc) {
		switch doc[at] {
		case '"':
			end, err := jsonStringEnd(doc, at)
			if err != nil || depth == 0 {
				return end, err
			}
			at = end - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return scalarEnd(from, at)
			}
			if depth == 0 {
				return at + 1, nil
			}
		case ',', ' ':
			if depth == 0 {
				return scalarEnd(from, at)
			}
		}
		at++
	}
	if depth > 0 {
		return 0, errBadText
	}
	return scalarEnd(from, at)
}

// scalarEnd accepts the end of a number or literal, which is not empty.
func scalarEnd(from, end int) (int, error) {
	if from == end {
		return 0, errBadText
	}
	return end, nil
}

// compareJSONKeys compares two keys, with their quotes, as MySQL orders them: by length, then by
// bytes.
func compareJSONKeys(a, b []byte) int {
	if bytes.IndexByte(a, '\\') >= 0 || bytes.IndexByte(b, '\\') >= 0 {
		a, b = unescapedJSON(a), unescapedJSON(b)
	}
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return bytes.Compare(a, b)
}

// unescapedJSON takes the escapes of appendJSONString out of a string, and leaves its quotes.
func unescapedJSON(s []byte) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out = append(out, s[i])
			continue
		}
		i++
		switch c := s[i]; {
		case c == 'u' && i+4 < len(s):
			out = append(out, hexDigit(s[i+3])<<4|hexDigit(s[i+4]))
			i += 4
		default:
			out = append(out, unescapedJSONByte(c))
		}
	}
	return out
}

func unescapedJSONByte(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

func hexDigit(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}
