package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// maxNodes bounds the nodes that are decoded, counting an alias as often as it is used.
const maxNodes = 100_000

// field is what the tags of one struct field say.
type field struct {
	index    int
	key      string
	required bool
	oneof    []string
	min, max string
}

// fieldsOf returns the keys of a section, in their order.
func fieldsOf(t reflect.Type) []field {
	var fs []field
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		if !t.Field(i).IsExported() {
			continue
		}
		f := field{index: i, key: tag.Get("yaml"), required: tag.Get("check") == "required", min: tag.Get("min"), max: tag.Get("max")}
		if allowed := tag.Get("oneof"); allowed != "" {
			f.oneof = strings.Split(allowed, "|")
		}
		fs = append(fs, f)
	}
	return fs
}

// decoder collects what all files say, and every problem on the way. The last of files is
// the one being read.
type decoder struct {
	env        Env
	files      []string
	origins    map[string]Place
	problems   []Problem
	warnings   []Warning
	nodes      int
	incomplete bool // a file could not be read or parsed
}

func (d *decoder) top() Place { return Place{File: d.files[len(d.files)-1], Line: 1, Column: 1} }

func (d *decoder) place(n *yaml.Node) Place {
	return Place{File: d.files[len(d.files)-1], Line: n.Line, Column: n.Column}
}

func (d *decoder) report(at Place, key, format string, args ...any) {
	d.problems = append(d.problems, Problem{at, key, fmt.Sprintf(format, args...)})
}

// value decodes n, the value of the key at path, into v.
func (d *decoder) value(path string, n *yaml.Node, v reflect.Value, f field) {
	at := d.place(n)
	if d.nodes++; d.nodes > maxNodes {
		if d.nodes == maxNodes+1 {
			d.report(at, path, "more than %d values, aliases counted", maxNodes)
		}
		return
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	section := v.Kind() == reflect.Struct && !isText(v.Type())
	first, again := d.origins[path]
	if again && !section && v.Type() != reflect.TypeFor[[]TableRule]() {
		d.report(at, path, "already set at %s", first)
		return
	}
	if !again {
		d.origins[path] = at
	}
	switch {
	case n.Style&yaml.TaggedStyle != 0:
		d.report(at, path, "the tag %s is not supported; write a plain value", n.Tag)
	case section:
		d.section(path, at, n, v)
	case v.Kind() == reflect.Slice:
		d.list(path, at, n, v)
	case v.Kind() == reflect.Map:
		d.texts(path, at, n, v)
	default:
		d.scalar(path, at, n, v, f)
	}
}

// section decodes a mapping. One that is null, since all its keys are commented out, sets
// nothing.
func (d *decoder) section(path string, at Place, n *yaml.Node, v reflect.Value) {
	if !d.isMapping(path, at, n) {
		return
	}
	fields := fieldsOf(v.Type())
	seen := map[string]Place{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if f, ok := d.key(path, n.Content[i], fields, seen); ok {
			d.value(join(path, f.key), n.Content[i+1], v.Field(f.index), f)
		}
	}
}

// key returns the field that a key of a mapping names; ok is false if it was reported.
func (d *decoder) key(path string, n *yaml.Node, fields []field, seen map[string]Place) (f field, ok bool) {
	at := d.place(n)
	if n.Kind != yaml.ScalarNode || n.Style&yaml.TaggedStyle != 0 {
		d.report(at, path, "a key must be a plain name")
		return f, false
	}
	if n.Tag == "!!merge" {
		d.report(at, path, "merge keys (<<) are not supported; repeat the keys, or alias a whole value")
		return f, false
	}
	shown := n.Value
	if shown == "" || strings.IndexFunc(shown, func(r rune) bool { return !isNameRune(r) }) >= 0 {
		shown = strconv.Quote(shown)
	}
	if first, twice := seen[n.Value]; twice {
		d.report(at, join(path, shown), "the key is given twice, first at %s", first)
		return f, false
	}
	seen[n.Value] = at
	for _, f := range fields {
		if f.key == n.Value {
			return f, true
		}
	}
	d.report(at, join(path, shown), "unknown key; %s", suggestion(n.Value, fields))
	return f, false
}

// list decodes a list; where strings are wanted, one alone stands for a list of one.
// Elements that cannot be read leave an empty one, so that indexes and counts stay right.
func (d *decoder) list(path string, at Place, n *yaml.Node, v reflect.Value) {
	elements := n.Content
	switch {
	case isNull(n):
		return
	case n.Kind == yaml.ScalarNode && (v.Type().Elem().Kind() == reflect.String || isText(v.Type().Elem())):
		elements = []*yaml.Node{n}
	case n.Kind != yaml.SequenceNode:
		d.report(at, path, "want a list, have %s", kindName(n))
		return
	}
	if v.Type() == reflect.TypeFor[[]Transform]() {
		elements = rejoin(elements)
	}
	for _, e := range elements {
		i := v.Len()
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		d.value(element(path, i), e, v.Index(i), field{})
	}
}

// isMapping reports whether there are keys to decode, and tells where something else stands.
func (d *decoder) isMapping(path string, at Place, n *yaml.Node) bool {
	if isNull(n) {
		return false
	}
	if n.Kind != yaml.MappingNode {
		d.report(at, path, "want keys and values, have %s", kindName(n))
		return false
	}
	return true
}

// texts decodes a mapping whose keys are not cdcd's to say. Its values are texts.
func (d *decoder) texts(path string, at Place, n *yaml.Node, v reflect.Value) {
	if !d.isMapping(path, at, n) {
		return
	}
	if len(n.Content) > 0 {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || key.Style&yaml.TaggedStyle != 0 || key.Tag == "!!merge" {
			d.report(d.place(key), path, "a key must be a plain name")
			continue
		}
		name := reflect.ValueOf(key.Value)
		if v.MapIndex(name).IsValid() {
			d.report(d.place(key), join(path, key.Value), "the key is given twice")
			continue
		}
		text := reflect.New(v.Type().Elem()).Elem()
		d.value(join(path, key.Value), n.Content[i+1], text, field{})
		v.SetMapIndex(name, text)
	}
}

// scalar decodes a single value and resolves its references. Messages show the text of the
// file, not what a reference gave.
func (d *decoder) scalar(path string, at Place, n *yaml.Node, v reflect.Value, f field) {
	if n.Kind != yaml.ScalarNode {
		d.report(at, path, "want a single value, have %s", kindName(n))
		return
	}
	if isNull(n) && !slices.Contains(f.oneof, n.Value) {
		d.report(at, path, `no value is given; write "" for an empty text, or remove the key`)
		return
	}
	text, refs, err := expand(n.Value, d.env)
	if err != nil {
		d.report(at, path, "%s", err)
		return
	}
	if err := setScalar(v, text); err != nil {
		d.report(at, path, "%s, have %.60q", err, n.Value)
	} else if refs == 0 && holdsSecret(v) {
		d.warnings = append(d.warnings, Warning{at, path, "the secret stands in the file; refer to it by ${cred:NAME}, ${file:/path} or ${env:NAME}"})
	}
}

// setScalar reads text as the type of v. The error says what is wanted. A Secret takes any
// text.
func setScalar(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		if v.Type() != reflect.TypeFor[Secret]() && strings.IndexFunc(text, unicode.IsControl) >= 0 {
			return errors.New("want a text without control characters and line breaks")
		}
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return errors.New("want true or false")
		}
		v.SetBool(text == "true")
	case reflect.Int, reflect.Int64:
		// Comparing what was read keeps out 010, which other readers take for octal.
		i, err := strconv.ParseInt(text, 10, 64)
		if err != nil || strconv.FormatInt(i, 10) != text {
			return errors.New("want a whole number")
		}
		v.SetInt(i)
	case reflect.Uint32:
		u, err := strconv.ParseUint(text, 10, 32)
		if err != nil || strconv.FormatUint(u, 10) != text {
			return errors.New("want a whole number from 0 to 4294967295")
		}
		v.SetUint(u)
	default:
		panic("config: no decoding for " + v.Type().String())
	}
	return nil
}

// isText reports whether a type is read from a text.
func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}
