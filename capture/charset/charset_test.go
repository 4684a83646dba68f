package charset

import (
	"encoding/hex"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestTables holds what lookups rely on. That the characters are those of the servers is held
// by package integration.
func TestTables(t *testing.T) {
	const notASCII = " swe7 ucs2 utf16 utf16le utf32"
	for _, name := range Names() {
		c := For(name)
		if c == nil {
			t.Fatalf("%s is not known", name)
		}
		if c.ASCII() == strings.Contains(notASCII+" ", " "+name+" ") {
			t.Errorf("%s: ASCII is %v", name, c.ASCII())
		}
		if c.table == nil {
			continue
		}
		end := uint32(0)
		for _, s := range c.table.segments {
			if s.first < end || s.count == 0 {
				t.Fatalf("%s: codes from %X on are out of order", name, s.first)
			}
			end = s.first + s.count
			for n := range s.count {
				if r := c.table.character(s, n); r >= 0 {
					checkCode(t, name, c.table, s.first+n, r)
				}
			}
		}
	}
}

// checkCode fails for a code that begins with a shorter one.
func checkCode(t *testing.T, name string, table *table, code uint32, r rune) {
	t.Helper()
	if !utf8.ValidRune(r) {
		t.Errorf("%s: %X is %U, which is no character", name, code, r)
	}
	for shorter := code >> 8; shorter > 0 && code < 1<<24; shorter >>= 8 {
		if table.lookup(shorter) >= 0 {
			t.Errorf("%s: code %X begins with %X", name, code, shorter)
		}
	}
}

func TestRune(t *testing.T) {
	for _, c := range []struct{ name, code, want string }{
		{"latin1", "41", "A"},
		{"latin1", "80", "€"},
		{"latin1", "81", "\u0081"},
		{"ascii", "80", ""},
		{"cp1251", "CF", "П"},
		{"swe7", "5B", "Ä"},
		{"gbk", "D6D0", "中"},
		{"gbk", "D6", ""},
		{"gbk", "A2A0", ""},
		{"big5", "A4A4", "中"},
		{"sjis", "B1", "ｱ"},
		{"sjis", "5C", `\`},
		{"cp932", "8790", "≒"},
		{"cp932", "81E0", "≒"},
		{"ujis", "8FB0A1", "丂"},
		{"euckr", "C7D1", "한"},
		{"gb18030", "81308130", "\u0080"},
		{"gb18030", "95328236", "𠀀"},
		{"gb18030", "E3329A36", ""},
		{"ucs2", "20AC", "€"},
		{"ucs2", "D800", ""},
		{"utf16", "D83DDE00", "😀"},
		{"utf16", "D83D0041", ""},
		{"utf16", "DE00D83D", ""},
		{"utf16le", "3DD800DE", "😀"},
		{"utf32", "0001F600", "😀"},
		{"utf32", "00110000", ""},
		{"utf32", "8000F600", ""},
		{"utf32", "0000D800", ""},
	} {
		src, err := hex.DecodeString(c.code)
		if err != nil {
			t.Fatal(err)
		}
		r, n := For(c.name).Rune(src)
		got := ""
		if n > 0 {
			got = string(r)
		}
		if got != c.want || n > 0 && n != len(src) {
			t.Errorf("%s %s is %q of %d bytes, want %q", c.name, c.code, got, n, c.want)
		}
	}
}

// TestInjective names the sets in which different texts can be the same in Unicode.
func TestInjective(t *testing.T) {
	var not []string
	for _, name := range Names() {
		if !For(name).Injective() {
			not = append(not, name)
		}
	}
	if got := strings.Join(not, " "); got != "armscii8 big5 cp932 eucjpms sjis tis620 ujis" {
		t.Errorf("not injective: %s", got)
	}
}

func TestUnknown(t *testing.T) {
	for _, name := range []string{"", "utf8", "utf8mb4", "binary", "klingon", "../tables/gbk"} {
		if For(name) != nil {
			t.Errorf("%q is known", name)
		}
	}
}

// FuzzRune reads any bytes in every set.
func FuzzRune(f *testing.F) {
	f.Add([]byte("\x81\x30\x81\x30a\xd8\x3d"))
	var sets []*Charset
	for _, name := range Names() {
		sets = append(sets, For(name))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		for _, c := range sets {
			r, n := c.Rune(src)
			if n < 0 || n > len(src) || n > 0 && !utf8.ValidRune(r) {
				t.Fatalf("%U of %d bytes", r, n)
			}
		}
	})
}
