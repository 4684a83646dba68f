package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Place is a position in a file. Lines and columns start at 1; a column counts characters.
type Place struct {
	File         string
	Line, Column int
}

// String returns FILE:LINE:COL.
func (p Place) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Problem is one thing wrong with a configuration. Place is zero for a configuration that
// was not loaded from files; Key is empty for a problem of a whole file.
type Problem struct {
	Place   Place
	Key     string
	Message string
}

// String returns FILE:LINE:COL: path.to.key: message.
func (p Problem) String() string {
	s := p.Message
	if p.Key != "" {
		s = p.Key + ": " + s
	}
	if p.Place.File != "" {
		s = p.Place.String() + ": " + s
	}
	return s
}

// Warning is a Problem that does not keep the daemon from starting.
type Warning = Problem

// Errors is every problem of a configuration, in the order of the files and places.
type Errors []Problem

// Error returns one line for each problem.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sortProblems sorts by place, files in the order in which they were read.
func sortProblems(ps []Problem, files []string) {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(slices.Index(files, a.Place.File), slices.Index(files, b.Place.File)),
			cmp.Compare(a.Place.Line, b.Place.Line),
			cmp.Compare(a.Place.Column, b.Place.Column),
		)
	})
}

// join returns the path of a key inside the mapping at path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// element returns the path of an element of the list at path.
func element(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// parent returns the path of the mapping or list that holds path, "" at the top.
func parent(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

// place returns where the key at path, or the nearest present section around it, is set.
func (c *Config) place(path string) Place {
	for path != "" {
		if at, present := c.origins[path]; present {
			return at
		}
		path = parent(path)
	}
	return c.origins[""]
}
