package capture

import (
	"bytes"
	"errors"
	"strconv"
)

// jsonLeg is a step of a path: to a member of an object, or to an element of an array.
type jsonLeg struct {
	key     []byte // with its quotes, as it is printed in documents; nil: an element
	index   uint64
	fromEnd bool // index counts from the last element back
}

var errBadPath = errors.New("a JSON path that is not as MySQL logs it")

// parseJSONPath reads a path in the form that the server gives it in its log, which has no
// wildcards, ranges or blanks. A name is quoted where it is no identifier, and then as it is in
// documents.
func parseJSONPath(path []byte) ([]jsonLeg, error) {
	rest, ok := bytes.CutPrefix(path, []byte("$"))
	if !ok {
		return nil, errBadPath
	}
	var out []jsonLeg
	for len(rest) > 0 {
		parse := parseJSONCell
		if rest[0] == '.' {
			parse = parseJSONMember
		}
		leg, n, err := parse(rest)
		if err != nil {
			return nil, err
		}
		out, rest = append(out, leg), rest[n:]
	}
	return out, nil
}

// parseJSONMember reads .name or ."name", and gives its length.
func parseJSONMember(s []byte) (jsonLeg, int, error) {
	if len(s) > 1 && s[1] == '"' {
		end, err := jsonStringEnd(s, 1)
		if err != nil {
			return jsonLeg{}, 0, errBadPath
		}
		key, name := s[1:end], unescapedJSON(s[1:end])
		if !bytes.Equal(appendJSONString(nil, name[1:len(name)-1]), key) {
			return jsonLeg{}, 0, errBadPath // documents have the name in other words
		}
		return jsonLeg{key: key}, end, nil
	}
	name := s[1:]
	if n := bytes.IndexAny(name, ".["); n >= 0 {
		name = name[:n]
	}
	if len(name) == 0 || bytes.ContainsAny(name, "* ]") || !jsonPlain(name) {
		return jsonLeg{}, 0, errBadPath
	}
	return jsonLeg{key: appendJSONString(nil, name)}, 1 + len(name), nil
}

// parseJSONCell reads [n], [last] or [last-n], and gives its length.
func parseJSONCell(s []byte) (leg jsonLeg, n int, err error) {
	end := bytes.IndexByte(s, ']')
	if s[0] != '[' || end < 0 {
		return jsonLeg{}, 0, errBadPath
	}
	number, fromEnd := bytes.CutPrefix(s[1:end], []byte("last"))
	leg.fromEnd = fromEnd
	if fromEnd && len(number) == 0 {
		return leg, end + 1, nil
	}
	if fromEnd {
		var minus bool
		if number, minus = bytes.CutPrefix(number, []byte("-")); !minus {
			return jsonLeg{}, 0, errBadPath
		}
	}
	if leg.index, err = strconv.ParseUint(string(number), 10, 32); err != nil {
		return jsonLeg{}, 0, errBadPath
	}
	return leg, end + 1, nil
}

// find looks in the object or array at a place for what the leg names. before is what is behind
// where that would be inserted: itself in an array, else the first member with a greater key, or
// the end.
func (leg jsonLeg) find(doc []byte, at int) (found, before jsonElement, err error) {
	w, err := walkJSON(doc, at)
	if err != nil {
		return found, before, err
	}
	if w.object != (leg.key != nil) {
		return found, before, errMisfit
	}
	if !w.object {
		return leg.findCell(w)
	}
	for {
		e, err := w.next()
		if err != nil || !e.found {
			return jsonElement{}, e, err
		}
		if order := compareJSONKeys(e.key, leg.key); order == 0 {
			return e, e, nil
		} else if order > 0 {
			return jsonElement{}, e, nil
		}
	}
}

// findCell is find in an array.
func (leg jsonLeg) findCell(w *jsonWalk) (found, before jsonElement, err error) {
	index, within := leg.index, true
	if leg.fromEnd {
		n, err := w.count()
		if err != nil {
			return found, before, err
		}
		if within = leg.index < n; within {
			index = n - 1 - leg.index
		} else {
			index = 0
		}
	}
	for i := uint64(0); ; i++ {
		e, err := w.next()
		switch {
		case err != nil, !e.found:
			return jsonElement{}, e, err
		case i == index && within:
			return e, e, nil
		case i == index: // before the first element
			return jsonElement{}, e, nil
		}
	}
}

// count gives how many elements there are, and stays where it is.
func (w *jsonWalk) count() (uint64, error) {
	ahead := *w
	for n := uint64(0); ; n++ {
		if e, err := ahead.next(); err != nil || !e.found {
			return n, err
		}
	}
}
