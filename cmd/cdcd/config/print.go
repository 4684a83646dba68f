package config

import (
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Print writes the effective configuration as YAML with secrets hidden. With origins, every
// key is followed by a comment with the file and line that sets it, or default.
func (c Config) Print(w io.Writer, origins bool) error {
	p := printer{cfg: &c, comments: origins}
	p.section("", "", "", reflect.ValueOf(c))
	_, err := io.WriteString(w, p.out.String())
	return err
}

type printer struct {
	cfg      *Config
	comments bool
	out      strings.Builder
}

// section writes the keys of a section at an indentation; lead stands in for it on the
// first line, where the dash of a list element belongs.
func (p *printer) section(path, lead, indent string, v reflect.Value) {
	for _, f := range fieldsOf(v.Type()) {
		key, fv := join(path, f.key), v.Field(f.index)
		rules, list := fv.Interface().([]TableRule)
		switch {
		case fv.Kind() == reflect.Struct:
			fmt.Fprintf(&p.out, "%s%s:\n", lead, f.key)
			p.section(key, indent+"  ", indent+"  ", fv)
		case list && len(rules) > 0:
			fmt.Fprintf(&p.out, "%s%s:\n", lead, f.key)
			for i := range rules {
				p.section(element(key, i), indent+"  - ", indent+"    ", fv.Index(i))
			}
		default:
			fmt.Fprintf(&p.out, "%s%s: %s%s\n", lead, f.key, scalarText(fv), p.comment(key))
		}
		lead = indent
	}
}

func (p *printer) comment(key string) string {
	if !p.comments {
		return ""
	}
	if at, present := p.cfg.origins[key]; present {
		return fmt.Sprintf(" # %s:%d", at.File, at.Line)
	}
	return " # default"
}

// scalarText returns a value as YAML. Texts are always quoted, so that no reader takes one
// for something else; the escapes of Go are all known to YAML.
func scalarText(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.Map:
		var texts []string
		for _, k := range slices.Sorted(maps.Keys(v.Interface().(map[string]string))) {
			texts = append(texts, strconv.Quote(k)+": "+scalarText(v.MapIndex(reflect.ValueOf(k))))
		}
		return "{" + strings.Join(texts, ", ") + "}"
	case v.Type() == reflect.TypeFor[Transform]():
		return strconv.Quote(escape(v.Interface().(Transform).String()))
	case v.Kind() == reflect.Slice:
		texts := make([]string, v.Len())
		for i := range texts {
			texts[i] = scalarText(v.Index(i))
		}
		return "[" + strings.Join(texts, ", ") + "]"
	case v.Kind() == reflect.String:
		return strconv.Quote(escape(fmt.Sprint(v.Interface())))
	}
	return fmt.Sprint(v.Interface())
}
