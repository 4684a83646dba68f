//go:build integration

package integration

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"cdcd/capture"
)

// draw draws the transactions of one writer. What it draws depends on the seed alone, never
// on an answer of the server.
//
// Where a row comes to be under a key it gets a version of the writer's own, which grows with
// each transaction, and each change in place adds one. Rows come and go only under keys of the
// writer whose they are (key modulo workloadWriters), so that the version that a key shows
// never goes back, even where the key is deleted and comes back.
type draw struct {
	random *rand.Rand
	writer int
	flavor capture.Flavor
	number int64 // of the transaction
}

func newDraw(seed uint64, writer int, f capture.Flavor) *draw {
	return &draw{random: rand.New(rand.NewPCG(seed, uint64(writer))), writer: writer, flavor: f}
}

const (
	drawKeys    = 250 // of one writer in keyed, placed and wide
	drawBulk    = 300 // of one writer in bulk
	drawPad     = 1500
	drawRegions = 6
)

// version is what a row shows that comes to be in this transaction.
func (d *draw) version() int64 {
	const changes = 20 // bits for changes in place until the next transaction
	return d.number << changes
}

// own draws a key of the writer, any draws one of all writers.
func (d *draw) own() int      { return d.key(d.random.IntN(drawKeys)) }
func (d *draw) any() int      { return 1 + d.random.IntN(drawKeys*workloadWriters) }
func (d *draw) key(i int) int { return 1 + d.writer + i*workloadWriters }

// operation is a kind of transaction and how often it is drawn.
type operation struct {
	name   string
	weight int
	make   func(d *draw) []string
}

func operations() []operation {
	return []operation{
		{"transfer", 48, (*draw).transfer},
		{"touch one row", 24, (*draw).touch},
		{"put rows", 24, (*draw).put},
		{"delete rows", 8, (*draw).remove},
		{"change a key", 16, (*draw).rekey},
		{"swap keys", 16, (*draw).swap},
		{"rotate keys", 6, (*draw).rotate},
		{"delete and insert", 16, (*draw).reinsert},
		{"move between regions", 16, (*draw).move},
		{"roll back to a savepoint", 16, (*draw).savepoint},
		{"roll back", 8, (*draw).rollback},
		{"odd values", 24, (*draw).odd},
		{"pair", 16, (*draw).pair},
		{"large", 1, (*draw).large},
		{"compression", 8, (*draw).compression},
	}
}

// transaction draws the next transaction. The first ones are one of each kind.
func (d *draw) transaction() (kind string, statements []string) {
	d.number++
	all := operations()
	if i := int(d.number) - 1; i < len(all) {
		o := all[(i+d.writer)%len(all)]
		return o.name, o.make(d)
	}
	total := 0
	for _, o := range all {
		total += o.weight
	}
	n := d.random.IntN(total)
	for _, o := range all {
		if n -= o.weight; n < 0 {
			return o.name, o.make(d)
		}
	}
	panic("weights do not add up")
}

func atomically(statements ...string) []string {
	return append(append([]string{"BEGIN"}, statements...), "COMMIT")
}

// transfer moves money from one table of the bank to the two others.
func (d *draw) transfer() []string {
	const most = 50
	tables := bankTables()
	d.random.Shuffle(len(tables), func(i, j int) { tables[i], tables[j] = tables[j], tables[i] })
	a, b := d.random.IntN(most), d.random.IntN(most)
	statement := func(table string, amount int) string {
		return fmt.Sprintf("UPDATE %s SET amount = amount + %d, version = version + 1 WHERE id = %d", table, amount, 1+d.random.IntN(workloadAccounts))
	}
	return atomically(statement(tables[0], -a-b), statement(tables[1], a), statement(tables[2], b))
}

// touch changes one row in place, of whatever writer, without BEGIN.
func (d *draw) touch() []string {
	table := []string{"keyed", "placed", "wide", "bulk"}[d.random.IntN(4)]
	return []string{fmt.Sprintf("UPDATE %s SET version = version + 1 WHERE id = %d", table, d.any())}
}

func (d *draw) note() string {
	return []string{"NULL", "''", "'NULL'", "'é ü ß 漢字 😀'", fmt.Sprintf("'%x'", d.random.Uint64())}[d.random.IntN(5)]
}

// put inserts rows or changes them where they are, by one statement of several rows.
func (d *draw) put() []string {
	values := make([]string, 1+d.random.IntN(20))
	for i := range values {
		values[i] = fmt.Sprintf("(%d,%d,%s)", d.own(), d.version(), d.note())
	}
	return []string{"INSERT INTO keyed VALUES " + strings.Join(values, ",") + " ON DUPLICATE KEY UPDATE version = version + 1, note = VALUES(note)"}
}

func (d *draw) remove() []string {
	table := []string{"keyed", "placed", "wide"}[d.random.IntN(3)]
	from := d.own()
	return []string{fmt.Sprintf("DELETE FROM %s WHERE id BETWEEN %d AND %d AND id %% %d = %d", table, from, from+40, workloadWriters, (1+d.writer)%workloadWriters)}
}

// rekey moves a row to another key, over whatever is there.
func (d *draw) rekey() []string {
	from, to := d.own(), d.own()
	if from == to {
		return d.touch()
	}
	return atomically(
		fmt.Sprintf("DELETE FROM keyed WHERE id = %d", to),
		fmt.Sprintf("UPDATE keyed SET id = %d, version = %d WHERE id = %d", to, d.version(), from),
	)
}

// swap exchanges two rows by way of a negative key, once or there and back.
func (d *draw) swap() []string {
	a, b := d.own(), d.own()
	if a == b {
		return d.touch()
	}
	var out []string
	for i := range 1 + d.random.IntN(2) {
		v := d.version() + int64(i)
		out = append(out,
			fmt.Sprintf("UPDATE keyed SET id = -id WHERE id = %d", a),
			fmt.Sprintf("UPDATE keyed SET id = %d, version = %d WHERE id = %d", a, v, b),
			fmt.Sprintf("UPDATE keyed SET id = %d, version = %d WHERE id = -%d", b, v, a))
	}
	return atomically(out...)
}

// rotate moves a run of rows up by one key each, by one statement, and the last one to the
// first key.
func (d *draw) rotate() []string {
	const run = 12
	i := d.random.IntN(drawKeys - run)
	low, high := d.key(i), d.key(i+run)
	return atomically(
		fmt.Sprintf("UPDATE keyed SET id = -id WHERE id = %d", high),
		fmt.Sprintf("UPDATE keyed SET id = id + %d, version = %d WHERE id >= %d AND id < %d AND id %% %d = %d ORDER BY id DESC",
			workloadWriters, d.version(), low, high, workloadWriters, low%workloadWriters),
		fmt.Sprintf("UPDATE keyed SET id = %d, version = %d WHERE id = -%d", low, d.version(), high),
	)
}

// reinsert deletes a key and inserts it again, perhaps to delete it after all.
func (d *draw) reinsert() []string {
	id := d.own()
	remove := fmt.Sprintf("DELETE FROM keyed WHERE id = %d", id)
	insert := fmt.Sprintf("INSERT INTO keyed VALUES (%d,%d,%s)", id, d.version(), d.note())
	all := []string{remove, insert, remove, insert, remove}
	return atomically(all[:2+d.random.IntN(4)]...)
}

// move moves rows to other regions, as an update between partitions would.
func (d *draw) move() []string {
	id := d.any()
	region := func() string { return fmt.Sprintf("region %d", d.random.IntN(drawRegions)) }
	return atomically(
		fmt.Sprintf("INSERT INTO placed VALUES (%d,%d,'%s',%s) ON DUPLICATE KEY UPDATE version = version + 1, region = VALUES(region)", d.own(), d.version(), region(), d.note()),
		fmt.Sprintf("UPDATE placed SET region = '%s', version = version + 1 WHERE id BETWEEN %d AND %d", region(), id, id+d.random.IntN(30)),
	)
}

// inner are statements for the inside of a transaction.
func (d *draw) inner() string {
	return fmt.Sprintf("UPDATE %s SET version = version + 1 WHERE id BETWEEN %d AND %[2]d + 9", []string{"keyed", "placed", "wide"}[d.random.IntN(3)], d.any())
}

func (d *draw) savepoint() []string {
	return atomically(d.inner(), "SAVEPOINT a", d.inner(), d.put()[0], "SAVEPOINT b", d.inner(), "ROLLBACK TO b", d.inner(), "ROLLBACK TO a", d.inner())
}

func (d *draw) rollback() []string { return []string{"BEGIN", d.inner(), d.put()[0], "ROLLBACK"} }

// odd puts values that are easily got wrong.
func (d *draw) odd() []string {
	pick := func(values ...string) string { return values[d.random.IntN(len(values))] }
	return []string{fmt.Sprintf("REPLACE INTO wide VALUES (%d,%d,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s)", d.own(), d.version(),
		pick("NULL", "0", "-0.0001", "9999999999999999.9999", "-9999999999999999.9999"),
		pick("NULL", "0", "18446744073709551615", "9223372036854775808"),
		pick("NULL", "''", "'漢字 😀 e\u0301'", "REPEAT('ü', 300)", `'\\n\t\\'`),
		pick("NULL", "'null'", `'{"a": [1, null, "é"], "b": {"c": 1.50}}'`, "'[]'", "'\"x\"'"),
		pick("NULL", "'1000-01-01 00:00:00.000001'", "'9999-12-31 23:59:59.999999'", "'2026-03-29 02:30:00'"),
		pick("NULL", "'1970-01-02 00:00:00.001'", "'2038-01-18 03:14:07.999'"),
		pick("NULL", "''", "X'00FF00'", "X'2020'"), pick("NULL", "'a'", "'ö'"),
		pick("NULL", "0", "1e308", "-2.5e-308", "0.1"), pick("NULL", "'é'", "'€'", "'a '"))}
}

// pair changes a table whose key has two columns, one of them text.
func (d *draw) pair() []string {
	a, b := d.own(), []string{"", "a", "A", "é", "a "}[d.random.IntN(5)]
	if d.random.IntN(3) == 0 {
		return []string{fmt.Sprintf("DELETE FROM pair WHERE a = %d AND b <> '%s'", a, b)}
	}
	return []string{fmt.Sprintf("INSERT INTO pair VALUES (%d,'%s',%d,%s) ON DUPLICATE KEY UPDATE version = version + 1, v = VALUES(v)", a, b, d.version(), d.note())}
}

// large makes a transaction that is larger than an epoch may be.
func (d *draw) large() []string {
	values := make([]string, drawBulk)
	for i := range values {
		values[i] = fmt.Sprintf("(%d,%d,REPEAT('%c',%d))", d.key(i), d.version(), 'a'+rune(i%26), drawPad)
	}
	own := fmt.Sprintf("id %% %d = %d", workloadWriters, (1+d.writer)%workloadWriters)
	return atomically(
		"DELETE FROM bulk WHERE id % 7 = 3 AND "+own,
		"INSERT INTO bulk VALUES "+strings.Join(values, ",")+" ON DUPLICATE KEY UPDATE version = version + 1, pad = VALUES(pad)",
		"UPDATE bulk SET version = version + 1, pad = CONCAT(pad, 'x') WHERE "+own,
		"DELETE FROM bulk WHERE id % 5 = 3 AND "+own,
		d.inner(),
	)
}

// compression changes whether the session's transactions are compressed in the log.
func (d *draw) compression() []string {
	on := d.random.IntN(2)
	if d.flavor == capture.MariaDB {
		return []string{"DO 0"} // the setting is the server's there
	}
	return []string{fmt.Sprintf("SET SESSION binlog_transaction_compression = %d", on)}
}
