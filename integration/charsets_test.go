//go:build integration

package integration

import (
	"database/sql"
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"cdcd/capture/charset"
)

// TestCharsets asks the servers for the character of every code of every character set, and
// package charset for the same. With -update it writes that package's tables first.
func TestCharsets(t *testing.T) {
	eachTypesRelease(t, func(t *testing.T, s *server) {
		schema := s.schema(t, "charsets")
		s.exec(t, "CREATE TABLE charsets.b (b BINARY(1) PRIMARY KEY)")
		for b := range 256 {
			s.exec(t, fmt.Sprintf("INSERT INTO %s.b VALUES (x'%02X')", schema, b))
		}
		names := s.text(t, "SELECT GROUP_CONCAT(character_set_name ORDER BY 1) FROM information_schema.character_sets WHERE character_set_name NOT IN ('binary', 'utf8mb3', 'utf8mb4')")
		for name := range strings.SplitSeq(names, ",") {
			t.Run(name, func(t *testing.T) {
				codes := askCodes(t, s, name)
				if flag.Lookup("update").Value.String() == "true" && s.release == mysql97 && !strings.HasPrefix(name, "utf") && name != "ucs2" {
					writeTable(t, name, codes)
				}
				compareCodes(t, name, codes)
			})
		}
	})
}

// codeRange selects codes of as many bytes as it has conditions, on columns a.b, b.b and so on.
func codeRanges(name string) [][]string {
	one, two := []string{"TRUE"}, []string{"TRUE", "TRUE"}
	switch name {
	case "ucs2":
		return [][]string{two}
	case "utf16":
		return [][]string{two, {"a.b BETWEEN x'D8' AND x'DB'", "TRUE", "c.b BETWEEN x'DC' AND x'DF'", "TRUE"}}
	case "utf16le":
		return [][]string{two, {"TRUE", "b.b BETWEEN x'D8' AND x'DB'", "TRUE", "d.b BETWEEN x'DC' AND x'DF'"}}
	case "utf32":
		return [][]string{{"a.b = x'00'", "b.b <= x'11'", "TRUE", "TRUE"}}
	case "ujis", "eucjpms":
		return [][]string{one, two, {"a.b IN (x'80', x'8E', x'8F', x'A1')", "TRUE", "TRUE"}}
	case "gb18030":
		return [][]string{one, two, {"a.b >= x'80'", "b.b BETWEEN x'30' AND x'39'", "c.b >= x'80'", "d.b BETWEEN x'30' AND x'39'"}}
	case "big5", "cp932", "euckr", "gb2312", "gbk", "sjis":
		return [][]string{one, two}
	}
	return [][]string{one}
}

// askCodes gives a server's character of every code, -1 where it has none.
func askCodes(t *testing.T, s *server, name string) map[string]rune {
	t.Helper()
	codes := map[string]rune{}
	for _, conditions := range codeRanges(name) {
		var bytes, from []string
		for i := range conditions {
			alias := string(rune('a' + i))
			bytes, from = append(bytes, alias+".b"), append(from, "charsets.b "+alias)
		}
		code := "CONCAT(" + strings.Join(bytes, ", ") + ")"
		query := fmt.Sprintf("SELECT %s, CONVERT(CONVERT(%s USING %s) USING utf8mb4) FROM %s WHERE %s",
			code, code, name, strings.Join(from, ", "), strings.Join(conditions, " AND "))
		rows, err := s.db.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var k string
			var v sql.NullString
			if err := rows.Scan(&k, &v); err != nil {
				t.Fatal(err)
			}
			codes[k] = oneCharacter(k, v, codes)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		_ = rows.Close()
	}
	return codes
}

// oneCharacter is what a server made of a code where that is a character and not, in whole or
// in part, the question mark of its conversions.
func oneCharacter(code string, v sql.NullString, shorter map[string]rune) rune {
	r, n := utf8.DecodeRuneInString(v.String)
	if !v.Valid || n == 0 || n != len(v.String) || r == utf8.RuneError && v.String != "\uFFFD" || r == '?' && strings.Trim(code, "\x00") != "?" {
		return -1
	}
	for i := 1; i < len(code); i++ {
		if r, is := shorter[code[:i]]; is && r >= 0 {
			return -1 // the rest was dropped
		}
	}
	return r
}

func compareCodes(t *testing.T, name string, codes map[string]rune) {
	t.Helper()
	c := charset.For(name)
	if c == nil {
		t.Fatal("package charset does not know it")
	}
	wrong, characters := 0, 0
	for code, want := range codes {
		got, n := c.Rune([]byte(code))
		if n != len(code) {
			got = -1
		}
		if want >= 0 {
			characters++
		}
		if got != want {
			if wrong++; wrong < 10 {
				t.Errorf("code %X is %U, package charset has %U", code, want, got)
			}
		}
	}
	t.Logf("%d codes, %d characters, %d wrong", len(codes), characters, wrong)
}

// writeTable writes a table in the form that package charset states.
func writeTable(t *testing.T, name string, codes map[string]rune) {
	t.Helper()
	byNumber := map[uint32]rune{}
	for code, r := range codes {
		if r < 0 {
			continue
		}
		number, ok := charset.Code([]byte(code))
		if !ok {
			t.Fatalf("code %X has no number", code)
		}
		byNumber[number] = r
	}
	b := tableWriter{runes: byNumber}
	for _, number := range slices.Sorted(maps.Keys(byNumber)) {
		b.add(number)
	}
	path := filepath.Join("..", "capture", "charset", "tables", name+".bin")
	if err := os.WriteFile(path, b.file(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tableWriter collects segments from codes in their order.
type tableWriter struct {
	runes    map[uint32]rune
	segments [][3]uint32 // first, count, at
	units    []uint16
	done     uint32 // codes below it are in segments
}

const (
	isRun   = 1 << 31
	longRun = 12 // codes: shorter ones are cheaper as units
	longGap = 6  // a segment takes as much as so many units
)

func (w *tableWriter) add(code uint32) {
	if code < w.done {
		return
	}
	n := uint32(1)
	for r, is := w.runes[code+n]; is && r == w.runes[code]+rune(n); r, is = w.runes[code+n] {
		n++
	}
	if n >= longRun {
		w.segments = append(w.segments, [3]uint32{code, n, isRun | uint32(w.runes[code])})
		w.done = code + n
		return
	}
	last := len(w.segments) - 1
	if last < 0 || w.segments[last][2]&isRun != 0 || code-w.done > longGap {
		w.segments = append(w.segments, [3]uint32{code, 0, uint32(len(w.units))})
		w.done, last = code, last+1
	}
	for ; w.done < code; w.done++ {
		w.units = append(w.units, 0xffff)
	}
	if w.runes[code] >= 0xffff {
		panic("a character beyond sixteen bits outside a run")
	}
	w.units = append(w.units, uint16(w.runes[code]))
	w.done = code + 1
	w.segments[last][1] = w.done - w.segments[last][0]
}

func (w *tableWriter) file() []byte {
	out := binary.BigEndian.AppendUint16(nil, uint16(len(w.segments)))
	for _, s := range w.segments {
		for _, x := range s {
			out = binary.BigEndian.AppendUint32(out, x)
		}
	}
	for _, u := range w.units {
		out = binary.BigEndian.AppendUint16(out, u)
	}
	return out
}
