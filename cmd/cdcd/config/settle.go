package config

import (
	"cmp"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// The format versions of Iceberg that a table can have.
const (
	oldestFormat = 2
	newestFormat = 3
)

// maxSocketPath is the longest path of a unix socket that the kernel takes, in bytes.
const maxSocketPath = 107

// settler brings a configuration into its effective form and collects what is wrong with it.
type settler struct {
	cfg      *Config
	problems []Problem
	warnings []Warning
}

// settle brings every value of cfg into its one canonical form, fills in the keys that
// follow from others, and checks everything. It is idempotent. It writes to the rules of
// cfg.Tables in place.
func settle(cfg *Config) *settler {
	s := &settler{cfg: cfg}
	s.bounds("", reflect.ValueOf(cfg).Elem())
	if ok, _ := regexp.MatchString(`^[a-z0-9][a-z0-9_-]{0,62}$`, cfg.Pipeline); !ok && cfg.Pipeline != "" {
		s.report("pipeline", "want at most 63 of a-z, 0-9, _ and -, the first a letter or digit")
	}
	s.canon("source.address", &cfg.Source.Address, canonAddress)
	s.canon("state", &cfg.State, canonPath)
	s.warehouse()
	s.tls()
	s.catalog()
	s.endpoints()
	s.control()
	s.memory()
	s.load()
	s.tables()
	return s
}

func (s *settler) report(key, format string, args ...any) {
	s.problems = append(s.problems, Problem{s.cfg.place(key), key, fmt.Sprintf(format, args...)})
}

func (s *settler) present(key string) bool {
	_, ok := s.cfg.origins[key]
	return ok
}

// canon replaces a text by its canonical form, or reports why it has none. An empty text
// stays.
func (s *settler) canon(key string, text *string, form func(string) (string, error)) {
	if *text == "" {
		return
	}
	canonical, err := form(*text)
	if err != nil {
		s.report(key, "%s", err)
		return
	}
	*text = canonical
}

// bounds checks what the struct tags say.
func (s *settler) bounds(path string, section reflect.Value) {
	for _, f := range fieldsOf(section.Type()) {
		key, v := join(path, f.key), section.Field(f.index)
		if v.Kind() == reflect.Struct {
			s.bounds(key, v)
			continue
		}
		s.bound(key, v, f)
		for i := 0; v.Type() == reflect.TypeFor[[]TableRule]() && i < v.Len(); i++ {
			s.bounds(element(key, i), v.Index(i))
		}
	}
}

// bound checks one value against the tags of its field.
func (s *settler) bound(key string, v reflect.Value, f field) {
	empty := v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0
	switch {
	case f.required && empty && s.present(key):
		s.report(key, "must not be empty")
	case f.required && empty:
		s.report(key, "the key is required")
	case f.oneof != nil && !slices.Contains(f.oneof, v.String()):
		allowed := strings.Join(slices.DeleteFunc(f.oneof, func(a string) bool { return a == "" }), ", ")
		s.report(key, "want one of %s", allowed)
	case f.min != "" && v.Int() < bound(v.Type(), f.min):
		s.report(key, "must be at least %s, is %v", f.min, v)
	case f.max != "" && v.Int() > bound(v.Type(), f.max):
		s.report(key, "must be at most %s, is %v", f.max, v)
	}
}

// bound reads the text of a tag as a value of type t.
func bound(t reflect.Type, text string) int64 {
	v := reflect.New(t).Elem()
	if err := setScalar(v, text); err != nil {
		panic("config: bound " + text + " of " + t.String() + ": " + err.Error())
	}
	return v.Int()
}

// tls settles source.tls. No key of it may be without effect, for who sets one wants an
// encrypted connection.
func (s *settler) tls() {
	t := &s.cfg.Source.TLS
	if t.Mode == "" && isLocal(s.cfg.Source.Address) {
		t.Mode = TLSDisabled
	} else if t.Mode == "" {
		t.Mode = TLSVerifyIdentity
	}
	s.canon("source.tls.ca", &t.CA, canonPath)
	s.canon("source.tls.cert", &t.Cert, canonPath)
	s.canon("source.tls.key", &t.Key, canonPath)
	if t.Cert != "" && t.Key == "" {
		s.report("source.tls.cert", "needs source.tls.key")
	}
	if t.Key != "" && t.Cert == "" {
		s.report("source.tls.key", "needs source.tls.cert")
	}
	if t.Mode == TLSVerifyIdentity && t.ServerName == "" && strings.HasPrefix(s.cfg.Source.Address, "/") {
		s.report("source.tls.mode", "verify-identity over a unix socket needs source.tls.server_name")
	}
	for _, set := range [][2]string{{"ca", t.CA}, {"cert", t.Cert}, {"key", t.Key}, {"server_name", t.ServerName}} {
		if t.Mode == TLSDisabled && set[1] != "" {
			s.report("source.tls."+set[0], "has no effect, for source.tls.mode is disabled (the default for a local server); set the mode")
		}
	}
}

// endpoints settles the listeners.
func (s *settler) endpoints() {
	catalog, http := &s.cfg.CatalogEndpoint, &s.cfg.HTTP
	s.canon("catalog_endpoint.listen", &catalog.Listen, canonListen)
	s.canon("http.listen", &http.Listen, canonListen)
	s.catalogEndpoint()
	host, port, ok := splitPort(http.Listen)
	if ok && !isLoopback(host) {
		s.warnings = append(s.warnings, Warning{s.cfg.place("http.listen"), "http.listen", "the status page and the metrics can be read from other machines"})
	}
	if _, other, both := splitPort(catalog.Listen); ok && both && port == other && port != "0" {
		key, rival := "http.listen", "catalog_endpoint.listen"
		if !s.present(key) {
			key, rival = rival, key
		}
		s.report(key, "port %s is that of %s too", port, rival)
	}
}

// control settles the control socket.
func (s *settler) control() {
	if s.cfg.Control.Socket == "" && filepath.IsAbs(s.cfg.State) {
		s.cfg.Control.Socket = filepath.Join(s.cfg.State, "ctl.sock")
	}
	s.canon("control.socket", &s.cfg.Control.Socket, canonPath)
	if n := len(s.cfg.Control.Socket); n > maxSocketPath {
		s.report("control.socket", "the path has %d bytes; a unix socket takes %d", n, maxSocketPath)
	}
}

// memory fits the size of epochs to the memory: one is collected while another is written,
// which takes about as much again.
func (s *settler) memory() {
	const share, smallest = 4, 1 << 20
	most := s.cfg.Memory.Limit / share
	size := &s.cfg.Commit.MaxBytes
	switch {
	case *size <= most || most < smallest:
	case s.present("commit.max_bytes"):
		s.report("commit.max_bytes", "must be at most a quarter of memory.limit, %v", most)
	default:
		*size = most
	}
}

// load refuses a limit that the daemon's own threads on the source exceed: the load would wait
// for ever.
func (s *settler) load() {
	const others = 2 // the stream's, and the one that is asked
	l := s.cfg.Load
	if own := l.Connections + others; l.MaxThreadsRunning > 0 && l.MaxThreadsRunning <= own {
		s.report("load.max_threads_running", "must be 0 or more than %d, for so many threads serve cdcd itself", own)
	}
}

// tables settles the table rules and the template of their namespace.
func (s *settler) tables() {
	if err := checkTemplate(s.cfg.Namespace, "{schema}"); err != nil && s.cfg.Namespace != "" {
		s.report("namespace", "%s", err)
	}
	for i := range s.cfg.Tables {
		rule, key := &s.cfg.Tables[i], element("tables", i)
		exact := s.globs(join(key, "include"), rule.Include)
		s.globs(join(key, "exclude"), rule.Exclude)
		s.identity(key, rule)
		s.layout(key, rule)
		s.formatVersion(join(key, "format_version"), rule)
		if rule.Target == "" {
			rule.Target = s.cfg.Namespace + ".{table}"
			continue
		}
		if err := checkTarget(rule.Target, exact); err != nil {
			s.report(join(key, "target"), "%s", err)
		}
	}
}

// identity settles how the rows of a rule's tables are told apart.
func (s *settler) identity(key string, rule *TableRule) {
	rule.Mode, rule.Load = cmp.Or(rule.Mode, ModeKey), cmp.Or(rule.Load, LoadAll)
	if len(rule.Key) > 0 && rule.Mode != ModeKey {
		s.report(join(key, "key"), "has no effect, for mode is %s", rule.Mode)
	}
	for i, column := range rule.Key {
		if column == "" || slices.Contains(rule.Key[:i], column) {
			s.report(element(join(key, "key"), i), "want the names of columns, each once")
		}
	}
	if rule.Load == LoadNone && rule.Mode != ModeAppend {
		s.report(join(key, "load"), "none takes mode append: changes of rows that the lake lacks could not be followed")
	}
}

// layout settles how a rule's tables are kept in files.
func (s *settler) layout(key string, rule *TableRule) {
	if rule.Lineage == "" {
		rule.Lineage = LineagePreserve
	}
	if rule.TargetFileSize == 0 {
		rule.TargetFileSize = DefaultTargetFileSize
	}
	if n := rule.TargetFileSize; n < minTargetFileSize || n > maxTargetFileSize {
		s.report(join(key, "target_file_size"), "must be from %v to %v, is %v", minTargetFileSize, maxTargetFileSize, n)
	}
}

// formatVersion settles the format version of a rule's tables.
func (s *settler) formatVersion(key string, rule *TableRule) {
	switch {
	case rule.FormatVersion == 0 && !s.present(key):
		rule.FormatVersion = newestFormat
	case rule.FormatVersion != oldestFormat && rule.FormatVersion != newestFormat:
		s.report(key, "want %d or %d", oldestFormat, newestFormat)
	case rule.FormatVersion == oldestFormat && len(rule.Partition) > 0:
		s.report(key, "a table of version %d cannot have partitions; leave out partition, or use %d", oldestFormat, newestFormat)
	}
}

// globs checks a list of globs and tells whether each names one table only.
func (s *settler) globs(key string, globs []string) (exact bool) {
	exact = true
	for i, g := range globs {
		schema, table, _ := strings.Cut(g, ".")
		if schema == "" || table == "" || strings.Contains(table, ".") {
			s.report(element(key, i), "want schema.table with * and ? as wildcards; ? also stands for a dot in a name")
		}
		exact = exact && !strings.ContainsAny(g, "*?")
	}
	return exact
}
