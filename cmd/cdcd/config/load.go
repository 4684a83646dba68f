package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxFileBytes bounds a configuration file.
const maxFileBytes = 1 << 20

// Env is what a configuration is read from.
type Env interface {
	// LookupEnv returns an environment variable and whether it is set.
	LookupEnv(name string) (string, bool)
	// ReadFile returns a file's content, of a very large file at least the first 1 MiB and
	// one byte. The error names the path.
	ReadFile(path string) ([]byte, error)
	// ReadDir returns the names in a directory, fs.ErrNotExist if there is none.
	ReadDir(path string) ([]string, error)
}

// OS is the Env of the process.
type OS struct{}

// LookupEnv looks into the environment of the process.
func (OS) LookupEnv(name string) (string, bool) { return os.LookupEnv(name) }

// ReadFile reads a file up to a bound that no file may exceed.
func (OS) ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFileBytes+1))
}

// ReadDir lists a directory.
func (OS) ReadDir(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// Load reads the file at path and the drop-ins of the directory conf.d beside it. The error
// is [Errors] unless the file itself cannot be read; the warnings are valid with it too.
func Load(path string, env Env) (Config, []Warning, error) {
	data, err := env.ReadFile(path)
	if err != nil {
		return Config{}, nil, fmt.Errorf("read config: %w", err)
	}
	cfg := Default()
	cfg.origins = map[string]Place{"": {File: path, Line: 1, Column: 1}}
	d := &decoder{env: env, files: []string{path}, origins: cfg.origins}
	if !d.document(data, &cfg) && !d.incomplete {
		d.fileProblem(d.top(), "the file is empty")
	}
	d.dropIns(filepath.Join(filepath.Dir(path), "conf.d"), &cfg)

	s := settle(&cfg)
	d.addNew(s.problems)
	warnings := slices.Concat(d.warnings, s.warnings)
	sortProblems(warnings, d.files)
	sortProblems(d.problems, d.files)
	if len(d.problems) > 0 {
		return Config{}, warnings, Errors(d.problems)
	}
	return cfg, warnings, nil
}

// Validate checks a configuration, be it loaded or made by hand. The error is [Errors]; its
// places are zero if c was not loaded.
func (c Config) Validate() error {
	c.Tables = slices.Clone(c.Tables)
	if s := settle(&c); len(s.problems) > 0 {
		return Errors(s.problems)
	}
	return nil
}

// addNew adds those problems of the settled configuration that say something the decoder did
// not: a value that could not be read is not also missing, and of a key that is in none of
// the readable files nothing is known while another file could not be read.
func (d *decoder) addNew(problems []Problem) {
	reported := map[string]bool{}
	for _, p := range d.problems {
		reported[p.Key] = true
	}
	for _, p := range problems {
		_, present := d.origins[p.Key]
		known := d.incomplete && !present
		for key := p.Key; key != "" && !known; key = parent(key) {
			known = reported[key]
		}
		if !known {
			d.problems = append(d.problems, p)
		}
	}
}

// dropIns decodes the files of conf.d into cfg.
func (d *decoder) dropIns(dir string, cfg *Config) {
	names, err := d.env.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.files = append(d.files, dir)
		d.fileProblem(d.top(), err.Error())
	}
	slices.Sort(names)
	for _, name := range names {
		if strings.HasPrefix(name, ".") {
			continue
		}
		switch path := filepath.Join(dir, name); filepath.Ext(name) {
		case ".yml":
			d.files = append(d.files, path)
			d.warnings = append(d.warnings, Warning{d.top(), "", "the file is ignored: the name of a drop-in ends in .yaml"})
		case ".yaml":
			d.files = append(d.files, path)
			d.dropIn(path, cfg)
		}
	}
}

// dropIn decodes one file of conf.d. It may be empty: all of it may be commented out.
func (d *decoder) dropIn(path string, cfg *Config) {
	data, err := d.env.ReadFile(path)
	if err != nil {
		d.fileProblem(d.top(), err.Error())
		return
	}
	d.document(data, cfg)
}

// document decodes one file, which holds at most one YAML document, and tells whether it
// held one.
func (d *decoder) document(data []byte, cfg *Config) bool {
	if len(data) > maxFileBytes {
		d.fileProblem(d.top(), fmt.Sprintf("the file is larger than %s", Size(maxFileBytes)))
		return false
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		d.fileProblem(d.top(), err.Error())
		return false
	}
	var doc, second yaml.Node
	if err := loader.Load(&doc); errors.Is(err, io.EOF) {
		return false
	} else if err != nil {
		d.syntaxError(err)
		return false
	}
	if err := loader.Load(&second); err == nil {
		d.report(d.place(&second), "", "a second YAML document starts here; a file holds one")
	} else if !errors.Is(err, io.EOF) {
		d.syntaxError(err)
	}
	root := doc.Content[0]
	if isNull(root) {
		return false
	}
	if root.Kind != yaml.MappingNode {
		d.fileProblem(d.place(root), "want keys and values, have "+kindName(root))
		return false
	}
	d.value("", root, reflect.ValueOf(cfg).Elem(), field{})
	return true
}

// syntaxError reports an error of the YAML parser at its line, as far as it has one.
func (d *decoder) syntaxError(err error) {
	at, message := d.top(), err.Error()
	if e, ok := errors.AsType[*yaml.LoadError](err); ok {
		message = e.Message
		if e.ContextMsg != "" && e.ContextMark.Line > 0 {
			message += fmt.Sprintf(" (%s from line %d)", e.ContextMsg, e.ContextMark.Line)
		}
		if e.Mark.Line > 0 {
			at.Line, at.Column = e.Mark.Line, max(1, e.Mark.Column)
		}
	}
	d.fileProblem(at, message)
}

// fileProblem reports that a file could not be used, so that it is not known what it sets.
func (d *decoder) fileProblem(at Place, message string) {
	d.incomplete = true
	d.report(at, "", "%s", message)
}
