//go:build integration

package integration

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"cdcd/capture"
	"cdcd/capture/charset"
)

// typeDraw draws columns and values of them from a seed.
type typeDraw struct {
	*rand.Rand
	flavor  capture.Flavor
	vectors bool                // there are vectors
	codes   map[string][]string // of a character set, found once
}

// drawnColumn is a column, and how its values are drawn, as SQL.
type drawnColumn struct {
	name, sql string
	keyable   bool // its values identify rows
	key       bool
	value     func() string
}

func newTypeDraw(s *server, seed uint64) *typeDraw {
	return &typeDraw{Rand: rand.New(rand.NewPCG(seed, uint64(s.flavor))), flavor: s.flavor, vectors: s.vectors(), codes: map[string][]string{}}
}

func one[T any](d *typeDraw, of ...T) T { return of[d.IntN(len(of))] }

func (d *typeDraw) chance(percent int) bool { return d.IntN(100) < percent }

func (d *typeDraw) column() drawnColumn {
	kinds := []func() drawnColumn{
		d.integer, d.integer, d.decimal, d.decimal, d.float, d.bits, d.temporal, d.temporal, d.temporal, d.time,
		d.text, d.text, d.text, d.text, d.enum, d.set, d.bytes, d.bytes, d.geometry, d.json,
	}
	if d.vectors {
		kinds = append(kinds, d.vector)
	}
	if d.flavor == capture.MariaDB {
		kinds = append(kinds, d.address, d.address)
	}
	return kinds[d.IntN(len(kinds))]()
}

func (d *typeDraw) integer() drawnColumn {
	sql := one(d, "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT") + one(d, "", "", " UNSIGNED", " ZEROFILL")
	return drawnColumn{sql: sql, keyable: true, value: func() string { // out of range is the nearest in range
		if d.chance(20) {
			return one(d, "-9223372036854775808", "18446744073709551615", "0", "-1")
		}
		return strconv.FormatInt(int64(d.Uint64())>>d.IntN(64), 10)
	}}
}

func (d *typeDraw) decimal() drawnColumn {
	precision := 1 + d.IntN(65)
	scale := d.IntN(min(precision, 30) + 1)
	sql := fmt.Sprintf("DECIMAL(%d,%d)%s", precision, scale, one(d, "", "", "", " UNSIGNED", " ZEROFILL"))
	return drawnColumn{sql: sql, keyable: true, value: func() string {
		text := one(d, "", "-") + "0"
		for range d.IntN(precision - scale + 1) {
			text += strconv.Itoa(d.IntN(10))
		}
		text += "."
		for range d.IntN(scale + 1) {
			text += one(d, "0", "9", strconv.Itoa(d.IntN(10)))
		}
		return text + "0"
	}}
}

func (d *typeDraw) float() drawnColumn {
	single := drawnColumn{sql: "FLOAT", value: func() string {
		for {
			if f := float64(math.Float32frombits(d.Uint32())); f == f && !math.IsInf(f, 0) {
				return strconv.FormatFloat(f, 'e', -1, 64)
			}
		}
	}}
	double := drawnColumn{sql: "DOUBLE", value: func() string {
		for {
			if f := math.Float64frombits(d.Uint64()); f == f && !math.IsInf(f, 0) {
				return one(d, strconv.FormatFloat(f, 'e', -1, 64), "-0e0", strconv.Itoa(d.IntN(1<<30))+"e-3")
			}
		}
	}}
	return one(d, single, double)
}

func (d *typeDraw) bits() drawnColumn {
	n := 1 + d.IntN(64)
	return drawnColumn{sql: fmt.Sprintf("BIT(%d)", n), keyable: true, value: func() string {
		return strconv.FormatUint(d.Uint64()>>(64-n), 10)
	}}
}

// fraction draws up to six digits of a second.
func (d *typeDraw) fraction() string {
	if d.chance(30) {
		return ""
	}
	return fmt.Sprintf(".%06d", d.IntN(1_000_000))
}

func (d *typeDraw) temporal() drawnColumn {
	day := func(from, years int) string {
		return fmt.Sprintf("%04d-%02d-%02d", from+d.IntN(years), 1+d.IntN(12), 1+d.IntN(28))
	}
	clock := func() string {
		return fmt.Sprintf(" %02d:%02d:%02d%s", d.IntN(24), d.IntN(60), d.IntN(60), d.fraction())
	}
	digits := d.IntN(7)
	c := one(d,
		drawnColumn{sql: "DATE", value: func() string { return day(1, 9999) }},
		drawnColumn{sql: fmt.Sprintf("DATETIME(%d)", digits), value: func() string { return day(1, 9998) + clock() }},
		drawnColumn{sql: fmt.Sprintf("TIMESTAMP(%d)", digits), value: func() string { return day(1971, 66) + clock() }})
	value, none := c.value, d.chance(50)
	c.keyable = !none
	c.value = func() string {
		if none && d.chance(20) {
			return one(d, "'0000-00-00'", "'2024-00-00'", "'2023-02-00'", "'2023-00-15'", "'2023-02-31'")
		}
		return "'" + value() + "'"
	}
	return c
}

func (d *typeDraw) time() drawnColumn {
	if d.chance(30) {
		return drawnColumn{sql: "YEAR", keyable: true, value: func() string { return one(d, "'0000'", strconv.Itoa(1901+d.IntN(255))) }}
	}
	return drawnColumn{sql: fmt.Sprintf("TIME(%d)", d.IntN(7)), keyable: true, value: func() string {
		return fmt.Sprintf("'%s%d:%02d:%02d%s'", one(d, "", "-"), one(d, d.IntN(24), d.IntN(838)), d.IntN(60), d.IntN(60), d.fraction())
	}}
}

// charset draws a character set that the server has.
func (d *typeDraw) charset() string {
	for {
		name := one(d, append(charset.Names(), "utf8mb4", "utf8mb3", "utf8mb4", "latin1")...)
		if name != "gb18030" || d.flavor == capture.MySQL {
			return name
		}
	}
}

func (d *typeDraw) text() drawnColumn {
	set, n, packed := d.charset(), 1+d.IntN(60), ""
	kind := one(d, fmt.Sprintf("CHAR(%d)", n), fmt.Sprintf("VARCHAR(%d)", n), fmt.Sprintf("VARCHAR(%d)", n), "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT")
	if d.flavor == capture.MariaDB && d.chance(20) && !strings.HasPrefix(kind, "CHAR") {
		packed = " COMPRESSED"
	}
	c := charset.For(set)
	return drawnColumn{
		sql:     kind + packed + " CHARACTER SET " + set,
		keyable: packed == "" && !strings.HasSuffix(kind, "TEXT") && (c == nil || c.Injective()),
		value:   func() string { return fmt.Sprintf("_%s x'%X'", set, d.characters(set, d.IntN(n+1))) },
	}
}

// characters draws n characters of a set, in its codes.
func (d *typeDraw) characters(set string, n int) string {
	var b strings.Builder
	if charset.For(set) == nil {
		for range n {
			b.WriteString(one(d, "a", " ", "'", "\\", "\x00", "ß", "é", "€", "中", "\uffff", string(rune(0x1f600+d.IntN(64)))))
		}
		if set == "utf8mb3" {
			return strings.Map(func(r rune) rune { return min(r, 0xffff) }, b.String())
		}
		return b.String()
	}
	if d.codes[set] == nil {
		d.codes[set] = charsetCodes(set)
	}
	for range n {
		b.WriteString(one(d, d.codes[set]...))
	}
	return b.String()
}

// elements draws what an ENUM or SET in a set of characters may have.
func (d *typeDraw) elements(more ...string) (sql string, n int) {
	set := one(d, "utf8mb4", "utf16", "ucs2", "latin1", "gbk", "cp1251", "swe7")
	pool := append([]string{"a", "b c", "it''s", `"`, " x", "none", "y-z"}, map[string][]string{
		"utf8mb4": {"ß", "中", "😀"}, "utf16": {"é", "👍"}, "ucs2": {"é", "中"}, "latin1": {"ÿ", "€"}, "gbk": {"中", "文"}, "cp1251": {"Я"}, "swe7": {"Å"},
	}[set]...)
	pool = append(pool, more...)
	d.Shuffle(len(pool), func(i, j int) { pool[i], pool[j] = pool[j], pool[i] })
	n = 1 + d.IntN(len(pool))
	return "('" + strings.Join(pool[:n], "','") + "') CHARACTER SET " + set, n
}

func (d *typeDraw) enum() drawnColumn {
	list, n := d.elements("x,y", `\\`)
	return drawnColumn{sql: "ENUM" + list, keyable: true, value: func() string { return strconv.Itoa(d.IntN(n + 1)) }}
}

func (d *typeDraw) set() drawnColumn {
	list, n := d.elements()
	return drawnColumn{sql: "SET" + list, keyable: true, value: func() string { return strconv.Itoa(d.IntN(1 << n)) }}
}

func (d *typeDraw) bytes() drawnColumn {
	n, packed := 1+d.IntN(80), ""
	kind := one(d, fmt.Sprintf("BINARY(%d)", n), fmt.Sprintf("VARBINARY(%d)", n), "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB")
	if d.flavor == capture.MariaDB && d.chance(20) && !strings.HasPrefix(kind, "BINARY") {
		packed = " COMPRESSED"
	}
	return drawnColumn{sql: kind + packed, keyable: packed == "" && strings.Contains(kind, "BINARY"), value: func() string {
		b := make([]byte, d.IntN(n+1))
		for i := range b {
			b[i] = one(d, 0, byte(d.Uint32()), ' ')
		}
		return "x'" + hex.EncodeToString(b) + "'"
	}}
}

func (d *typeDraw) geometry() drawnColumn {
	point := func() string { return fmt.Sprintf("%d.%d %d", d.IntN(178)-89, d.IntN(1000), d.IntN(178)-89) }
	srid := one(d, "0", "0", "4326")
	return drawnColumn{sql: one(d, "GEOMETRY", "POINT"), value: func() string { return "ST_GeomFromText('POINT(" + point() + ")', " + srid + ")" }}
}

func (d *typeDraw) vector() drawnColumn {
	n, from := 1+d.IntN(20), "STRING_TO_VECTOR"
	if d.flavor == capture.MariaDB {
		from = "VEC_FromText"
	}
	return drawnColumn{sql: fmt.Sprintf("VECTOR(%d)", n), value: func() string {
		numbers := make([]string, n)
		for i := range numbers {
			numbers[i] = strconv.FormatFloat(d.NormFloat64(), 'e', 6, 32)
		}
		return from + "('[" + strings.Join(numbers, ",") + "]')"
	}}
}

func (d *typeDraw) json() drawnColumn {
	if d.flavor == capture.MariaDB {
		return drawnColumn{sql: "JSON", value: func() string { return fmt.Sprintf(`'{"a":  %d, "é": ["x"]}'`, d.Int32()) }}
	}
	return drawnColumn{sql: "JSON", value: func() string { return "CAST(" + d.document(3) + " AS JSON)" }}
}

// document draws an expression that is JSON.
func (d *typeDraw) document(depth int) string {
	if depth == 0 || d.chance(30) {
		return one(d, "JSON_EXTRACT('[true]', '$[0]')", strconv.FormatInt(int64(d.Uint64())>>d.IntN(64), 10), "18446744073709551615", "JSON_QUOTE('a\\\\\"\\n😀')",
			strconv.FormatFloat(d.NormFloat64()*math.Pow(10, float64(d.IntN(40)-20)), 'e', -1, 64), fmt.Sprintf("%d.%d", d.Int64(), d.Uint32()),
			"CAST(DATE'2024-02-29' AS JSON)", "CAST(TIME'-12:34:56.5' AS JSON)", "CAST(TIMESTAMP'2024-02-29 01:02:03.000004' AS JSON)", "CAST(x'00FF' AS JSON)", "CAST(b'101' AS JSON)")
	}
	var parts []string
	object := d.chance(50)
	for i := range d.IntN(5) {
		if object {
			parts = append(parts, fmt.Sprintf("'%s%d'", strings.Repeat("k", d.IntN(4)), i))
		}
		parts = append(parts, d.document(depth-1))
	}
	return map[bool]string{true: "JSON_OBJECT(", false: "JSON_ARRAY("}[object] + strings.Join(parts, ", ") + ")"
}

func (d *typeDraw) address() drawnColumn {
	words := func(n int, format, between string) string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprintf(format, one(d, 0, 0, d.IntN(1<<8), 1))
		}
		return "'" + strings.Join(out, between) + "'"
	}
	c := one(d,
		drawnColumn{sql: "INET4", value: func() string { return words(4, "%d", ".") }},
		drawnColumn{sql: "INET6", value: func() string { return one(d, words(8, "%x", ":"), "'::ffff:1.2.3.4'", "'::7.0.0.9'") }},
		drawnColumn{sql: "UUID", value: func() string {
			return fmt.Sprintf("'%08x-%04x-%d%03x-8%03x-%012x'", d.Uint32(), d.IntN(1<<16), d.IntN(8), d.IntN(1<<12), d.IntN(1<<12), d.Uint64()>>16)
		}})
	c.keyable = true
	return c
}

// columns draws the columns of a table, of which one or two are its key.
func (d *typeDraw) columns() []drawnColumn {
	out := []drawnColumn{{sql: "BIGINT", keyable: true, value: func() string { return strconv.Itoa(d.IntN(1 << 20)) }}}
	for range 1 + d.IntN(9) {
		out = append(out, d.column())
	}
	d.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	keys := 1 + d.IntN(2)
	for i := range out {
		out[i].name = one(d, fmt.Sprintf("c%d", i), fmt.Sprintf("Größe %d", i), fmt.Sprintf("select%d", i))
		if keys > 0 && out[i].keyable {
			out[i].key, keys = true, keys-1
		}
	}
	return out
}

// draw gives a value of a column, or NULL where that may be.
func (d *typeDraw) draw(c drawnColumn) string {
	if !c.key && d.chance(10) {
		return "NULL"
	}
	return c.value()
}

// keyOf gives the quoted names of the key.
func keyOf(columns []drawnColumn) string {
	var names []string
	for _, c := range slices.DeleteFunc(slices.Clone(columns), func(c drawnColumn) bool { return !c.key }) {
		names = append(names, "`"+c.name+"`")
	}
	return strings.Join(names, ", ")
}
