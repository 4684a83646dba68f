package charset

import (
	"embed"
	"slices"
	"strings"
)

//go:embed tables
var tables embed.FS

const suffix = ".bin"

// Charset is a character set.
type Charset struct {
	read  func(src []byte) (r rune, n int)
	ascii bool
	table *table // nil where characters are computed from their codes
}

// For gives the character set of that name, or nil where it is not known.
func For(name string) *Charset {
	switch name {
	case "ucs2":
		return &Charset{read: readUCS2}
	case "utf16":
		return &Charset{read: readUTF16}
	case "utf16le":
		return &Charset{read: readUTF16LE}
	case "utf32":
		return &Charset{read: readUTF32}
	}
	file, err := tables.ReadFile("tables/" + name + suffix)
	if err != nil {
		return nil
	}
	t := parseTable(file)
	return &Charset{read: t.read, ascii: t.ascii(), table: t}
}

// Names lists the character sets, in order.
func Names() []string {
	names := []string{"ucs2", "utf16", "utf16le", "utf32"}
	files, err := tables.ReadDir("tables")
	if err != nil {
		panic(err) // it is in the binary
	}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), suffix))
	}
	slices.Sort(names)
	return names
}

// Rune reads the character at the front of src and tells how many bytes it took: none where
// src begins with no character.
func (c *Charset) Rune(src []byte) (r rune, n int) { return c.read(src) }

// ASCII tells that the bytes below 128 are those of ASCII.
func (c *Charset) ASCII() bool { return c.ascii }

// Injective tells that different texts are different in Unicode, too. Some sets have several
// codes for a character.
func (c *Charset) Injective() bool { return c.table == nil || c.table.injective() }
