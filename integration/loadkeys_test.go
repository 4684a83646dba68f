//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"cdcd/capture"
)

// keyKind is a kind of key: how its columns are defined, and the values of one row.
type keyKind struct {
	columns string
	values  func(n int, random *rand.Rand) string
}

// keyKinds are kinds of keys whose order is easily got wrong: by signs, widths, collations, several
// columns, or because the server compares them as something else.
func keyKinds(s *server) map[string]keyKind {
	format := func(columns, form string) keyKind {
		return keyKind{columns, func(n int, _ *rand.Rand) string { return strings.ReplaceAll(form, "#", strconv.Itoa(n)) }}
	}
	drawn := func(columns, letters string) keyKind {
		return keyKind{columns, func(n int, random *rand.Rand) string {
			all, out := []rune(letters), ""
			for range 1 + random.IntN(4) {
				out += string(all[random.IntN(len(all))])
			}
			return "'" + out + strings.Repeat(" ", random.IntN(2)) + "'"
		}}
	}
	nopad := map[capture.Flavor]string{capture.MySQL: "utf8mb4_0900_ai_ci", capture.MariaDB: "utf8mb4_nopad_bin"}[s.flavor]
	kinds := map[string]keyKind{
		"negatives":   format("a BIGINT, PRIMARY KEY (a)", "IF(# = 0, -9223372036854775808, IF(# = 1, 9223372036854775807, (# - 20) * 219604096115589900))"),
		"huge":        format("a BIGINT UNSIGNED, PRIMARY KEY (a)", "18446744073709551615 - CAST(# AS UNSIGNED) * 439208192231179800"),
		"decimals":    format("a DECIMAL(65,0), PRIMARY KEY (a)", "(# - 20) * 4999999999999999999999999999999999999999999999999999999999999999"),
		"fractions":   format("a DECIMAL(65,30), PRIMARY KEY (a)", "(# - 20) * 1234567890123456789012345678901234.000000000000000000000000000001"),
		"composite":   format("b VARCHAR(30) CHARACTER SET utf8mb4, c DATETIME(6), a INT, PRIMARY KEY (a, b, c)", "ELT(1 + # % 4, 'x', 'X ', 'ä', ''), '2026-01-01' + INTERVAL # MICROSECOND, # DIV 12 - 2"),
		"unique":      format("a SMALLINT NOT NULL, b BINARY(3) NOT NULL, UNIQUE KEY u (b, a)", "#, CHAR(# % 5, 0, # % 3)"),
		"fixed":       format("a BINARY(16), PRIMARY KEY (a)", "UNHEX(RPAD(HEX(# * 7 % 256), 32, '0'))"),
		"binary":      format("a VARBINARY(300), PRIMARY KEY (a)", "CONCAT(REPEAT(CHAR(# % 3), # % 7), CHAR(#, 255 - #), REPEAT(CHAR(0), # * 7))"),
		"bits":        format("a BIT(64), PRIMARY KEY (a)", "18446744073709551615 - CAST(# AS UNSIGNED) * 439208192231179800"),
		"enums":       format("a ENUM('z', 'y', 'b', 'a'), b SET('q', 'p', 'o'), c INT, PRIMARY KEY (a, b, c)", "# % 4 + 1, # % 8, #"),
		"times":       format("a TIME(2), PRIMARY KEY (a)", "SEC_TO_TIME((# - 20) * 12345.67)"),
		"stamps":      format("a TIMESTAMP(3) DEFAULT '2026-01-01', PRIMARY KEY (a)", "'2025-10-26 00:30:00.125' + INTERVAL # * 7 MINUTE"),
		"days":        format("a DATE, b YEAR, PRIMARY KEY (b, a)", "'1000-02-28' + INTERVAL # DAY, 1901 + # * 3"),
		"folded":      drawn("a VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci, PRIMARY KEY (a)", "aAäÄbBßsSzZéE😀1 _%"),
		"unpadded":    drawn("a VARCHAR(40) CHARACTER SET utf8mb4 COLLATE "+nopad+", PRIMARY KEY (a)", "aAäbßsSzZé1 "),
		"germans":     drawn("a CHAR(40) CHARACTER SET latin1 COLLATE latin1_german2_ci, PRIMARY KEY (a)", "aAäÄoöuüßszZ"),
		"wide":        drawn("a VARCHAR(40) CHARACTER SET utf16 COLLATE utf16_general_ci, PRIMARY KEY (a)", "aAäb😀zéя"),
		"multibyte":   drawn("a VARCHAR(40) CHARACTER SET gbk, PRIMARY KEY (a)", "aA中文字"),
		"quoted":      drawn("a VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, PRIMARY KEY (a)", `ab"x;-`),
		"chunks":      format("a INT, PRIMARY KEY (a)", "#"),
		"single":      format("a INT, PRIMARY KEY (a)", "7"),
		"empty_table": {"a INT, PRIMARY KEY (a)", nil},
	}
	if s.flavor == capture.MariaDB {
		kinds["uuids"] = format("a UUID, PRIMARY KEY (a)", "CONCAT(LPAD(HEX(# * 97 % 256), 8, '0'), '-baba-', ELT(1 + # % 3, '1026', '4026', '7026'), '-9564-', LPAD(#, 12, '5'))")
		kinds["addresses"] = format("a INET6, b INET4, PRIMARY KEY (b, a)", "CONCAT(ELT(1 + # % 3, '::', '2001:db8::', 'ff::ffff:'), HEX(#)), CONCAT(# * 6, '.0.0.', #)")
	}
	return kinds
}

// keyRows is how many rows a table of a kind of keys has, at most.
const keyRows = 42

// makeKeyTables makes a table of each kind of keys, and gives their names.
func makeKeyTables(t *testing.T, s *server, schema string) []string {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 7))
	var names []string
	for name, kind := range keyKinds(s) {
		names = append(names, schema+"."+name)
		s.exec(t, fmt.Sprintf("CREATE TABLE %s.%s (%s, v INT)", schema, name, kind.columns))
		for n := 0; n < keyRows && kind.values != nil; n++ {
			// Two texts may be one key of their collation.
			s.exec(t, fmt.Sprintf("INSERT IGNORE INTO %s.%s VALUES (%s, %d)", schema, name, kind.values(n, random), n))
		}
	}
	return names
}

// TestLoadKeys loads tables with all kinds of keys in small chunks while their rows change, and
// changes them again once they are loaded.
func TestLoadKeys(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		const chunk = 7 // by which keyRows can be divided
		s.schema(t, "loadkeys")
		names := makeKeyTables(t, s, "loadkeys")
		p := newPipeline(t, s, "loadkeys.*", settings{"load.chunk_rows": chunk, "load.connections": 3, "commit.max_rows": 1000})
		p.launch()
		for round := range 4 {
			for _, name := range names {
				s.exec(t, fmt.Sprintf("UPDATE %s SET v = v + 1000 WHERE v %% 4 = %d", name, round))
			}
		}
		p.reach()
		for _, name := range names {
			s.exec(t, fmt.Sprintf("UPDATE %[1]s SET v = -v WHERE v %% 3 = 0; DELETE FROM %[1]s WHERE v %% 5 = 0", name))
		}
		p.reach()
		p.oracle("duckdb").equal(t, names...)
		p.verify()
		p.stop()
	})
}

// loadedUpTo gives up to which key a table with an integer for a key is loaded, as its newest Mark
// says, and whether it is all of it.
func loadedUpTo(t *testing.T, uri, table string) (upTo int, complete bool) {
	t.Helper()
	var load struct {
		Complete bool
		Done     []capture.Range
	}
	text := newestMark(t, uri, table)["cdcd.load"]
	if text == "" {
		return 0, false
	}
	if err := json.Unmarshal([]byte(text), &load); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if load.Complete || len(load.Done) == 0 {
		return 0, load.Complete
	}
	if len(load.Done) != 1 || len(load.Done[0].After) != 0 {
		t.Fatalf("one connection has loaded %s", text)
	}
	n, err := strconv.Atoi(load.Done[0].UpTo[0])
	if err != nil {
		t.Fatal(err)
	}
	return n, false
}

// newestMark gives the summary of the newest snapshot of a table that has a position; none where
// the table is not there yet.
func newestMark(t *testing.T, uri, table string) map[string]string {
	t.Helper()
	all := marked(t, uri, table)
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1].Summary
}

// readFrom gives behind which key the first chunk was read that the server's general log has, and
// how many there are. It empties the log.
func readFrom(t *testing.T, s *server, table string) (least, chunks int) {
	t.Helper()
	rows, err := s.db.Query("SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE argument LIKE 'SELECT%' AND argument NOT LIKE '%general_log%' AND argument NOT LIKE '%ORDER BY%' AND argument LIKE ?", "%FROM "+table+" WHERE%")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	above := regexp.MustCompile("`id` > (\\d+)")
	least = -1
	for rows.Next() {
		var statement string
		if err := rows.Scan(&statement); err != nil {
			t.Fatal(err)
		}
		from := 0
		if m := above.FindStringSubmatch(statement); m != nil {
			if from, err = strconv.Atoi(m[1]); err != nil {
				t.Fatal(err)
			}
		}
		if least < 0 || from < least {
			least = from
		}
		chunks++
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	s.exec(t, "TRUNCATE mysql.general_log")
	return least, chunks
}

// TestLoadKilledAtEveryChunk kills the daemon around the commit of every chunk of a load in turn,
// while rows change. What a Mark has as loaded is not read again.
func TestLoadKilledAtEveryChunk(t *testing.T) {
	eachRelease(t, func(t *testing.T, s *server) {
		const chunk = 1000
		chunks := map[string]int{mysql97: 20, mariadb118: 6}[s.release]
		rounds := 3 * chunks
		s.schema(t, "boundary")
		churnTables(t, s, "boundary", chunks*chunk)
		s.exec(t, "SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log; SET GLOBAL general_log = ON")
		t.Cleanup(func() {
			s.exec(t, "SET GLOBAL general_log = OFF; SET GLOBAL log_output = 'FILE'; TRUNCATE mysql.general_log")
		})
		p := newPipeline(t, s, "boundary.kv", settings{"load.chunk_rows": chunk, "commit.max_rows": chunk, "load.connections": 1})
		random := rand.New(rand.NewPCG(1, 1))
		hit := map[string]int{}
		// A start commits two fences, and the record of it.
		kinds := []crash{{"landed", 2}, {"after-swap", 4}, {"before-swap", 4}, {"landed", 2}, {"after-swap", 4}}
		upTo, complete, boundaries := 0, false, 0
		for round := 0; !complete; round++ {
			if round == rounds {
				t.Fatalf("after %d kills it is loaded up to %d", round, upTo)
			}
			if round%7 == 3 {
				id := upTo + random.IntN(chunk)
				s.exec(t, fmt.Sprintf("UPDATE boundary.kv SET n = n + 1 WHERE id BETWEEN %d AND %d; DELETE FROM boundary.kv WHERE id IN (%d, %d); UPDATE boundary.kv SET id = -id WHERE id = %d",
					id-3, id+3, id-9, id+9, random.IntN(chunks*chunk)))
			}
			if p.crash(t, kinds[round%len(kinds)], random, hit); round == 0 {
				p.uri() // from now on there is something to serve
			}
			if first, n := readFrom(t, s, "`boundary`.`kv`"); n > 0 && first < upTo {
				t.Errorf("round %d: it was loaded up to %d, and read again from %d", round, upTo, first)
			}
			before := upTo
			if upTo, complete = loadedUpTo(t, p.uri(), "boundary.kv"); !complete && upTo < before {
				t.Fatalf("round %d: it was loaded up to %d, and then up to %d", round, before, upTo)
			}
			if complete || upTo > before {
				boundaries++
			}
		}
		t.Logf("%d boundaries; kills: %v", boundaries, hit)
		if boundaries < chunks {
			t.Errorf("killed at %d boundaries of chunks, of %d", boundaries, chunks)
		}
		p.start()
		p.reach()
		p.oracle("duckdb").equal(t, "boundary.kv")
		p.verify()
		p.stop()
	})
}
