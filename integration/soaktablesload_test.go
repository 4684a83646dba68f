//go:build integration && bench

package integration

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

const (
	orderTable = `CREATE TABLE soak.orders (id INT PRIMARY KEY, customer INT UNSIGNED NOT NULL, sku VARCHAR(20) CHARACTER SET ascii NOT NULL,
		quantity SMALLINT NOT NULL, price DECIMAL(12,2) NOT NULL, state ENUM('new','paid','sent','back') NOT NULL, note VARCHAR(100), changed DATETIME(6) NOT NULL)`
	orderWriterCount = 4
	fillRows         = 2000 // in one statement
	// Of the changes of a transaction, one in ten inserts a new row and one in ten deletes one.
	insertShare, deleteShare = 10, 10
)

// orderWriters write to one table at the same time. Each has keys of its own, so none waits for
// another, and each knows which of its rows are there, so that every change is one.
type orderWriters []*orderWriter

type orderWriter struct {
	conn  *sql.Conn
	index int    // its ids are those with this remainder
	live  []bool // by its slot
	draw  *rand.Rand
	stamp int // of the newest change
}

func newOrderWriters(t *testing.T, s *server, rows int) orderWriters {
	t.Helper()
	s.exec(t, orderTable)
	var out orderWriters
	for i := range orderWriterCount {
		w := &orderWriter{conn: s.conn(t), index: i, live: make([]bool, rows/orderWriterCount), draw: rand.New(rand.NewPCG(1, uint64(i)))}
		for slot := range w.live {
			w.live[slot] = true
		}
		w.mustExec(t, "SET SESSION transaction_isolation = 'READ-COMMITTED'") // no locks on gaps, so no deadlocks
		out = append(out, w)
	}
	return out
}

func (w *orderWriter) mustExec(t *testing.T, query string) {
	t.Helper()
	if err := w.exec(query); err != nil {
		t.Fatal(err)
	}
}

func (w *orderWriter) exec(query string) error {
	if _, err := w.conn.ExecContext(context.Background(), query); err != nil {
		return fmt.Errorf("%s: %w", firstLine(query), err)
	}
	return nil
}

// together lets all writers do something at the same time.
func (ws orderWriters) together(t *testing.T, what func(w *orderWriter) error) {
	t.Helper()
	var g errgroup.Group
	for _, w := range ws {
		g.Go(func() error { return what(w) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// fill inserts the first rows, which the log does not get.
func (ws orderWriters) fill(t *testing.T) {
	t.Helper()
	ws.together(t, func(w *orderWriter) error {
		if err := w.exec("SET SESSION sql_log_bin = 0"); err != nil {
			return err
		}
		for from := 0; from < len(w.live); from += fillRows {
			var q strings.Builder
			for slot := from; slot < min(from+fillRows, len(w.live)); slot++ {
				w.value(&q, slot)
			}
			if err := w.exec(insertPrefix + q.String()[1:]); err != nil {
				return err
			}
		}
		return w.exec("SET SESSION sql_log_bin = 1")
	})
}

const (
	insertPrefix = "INSERT INTO soak.orders VALUES "
	upsertSuffix = ` AS n ON DUPLICATE KEY UPDATE quantity = n.quantity, price = n.price, state = n.state, note = n.note, changed = n.changed`
)

// value appends the row of a slot, as it is after one more change, behind a comma.
func (w *orderWriter) value(q *strings.Builder, slot int) {
	w.stamp++
	n := w.draw.Uint32()
	note := "NULL"
	if n%3 > 0 {
		note = fmt.Sprintf("'%s %s, parcel %d'", noteWords[n>>8%uint32(len(noteWords))], noteWords[n>>16%uint32(len(noteWords))], n>>4)
	}
	id := w.id(slot)
	fmt.Fprintf(q, ",(%d,%d,'SKU-%d',%d,%d.%02d,%d,%s,'2026-01-01' + INTERVAL %d MICROSECOND)",
		id, uint32(id)*2654435761%100_000, uint32(id)*40503%5000, 1+n%9, n%100_000, n%100, 1+n%4, note, w.stamp)
}

var noteWords = []string{"left at the door", "with the neighbour", "call before", "gift", "fragile", "no invoice", "second attempt", "express"}

func (w *orderWriter) id(slot int) int { return slot*orderWriterCount + w.index + 1 }

// churn makes transactions of so many changes each.
func (ws orderWriters) churn(t *testing.T, transactions, changes int) {
	t.Helper()
	ws.together(t, func(w *orderWriter) error {
		for i := w.index; i < transactions; i += orderWriterCount {
			if err := w.exec(w.transaction(changes)); err != nil {
				return err
			}
		}
		return nil
	})
}

// transaction draws one. A row that was deleted may come back as an update's.
func (w *orderWriter) transaction(changes int) string {
	inserts, deletes := changes/insertShare, changes/deleteShare
	drawn := map[int]bool{}
	var upserts, added, gone strings.Builder
	for len(drawn) < deletes {
		if slot := w.draw.IntN(len(w.live)); w.live[slot] {
			w.live[slot], drawn[slot] = false, true
			fmt.Fprintf(&gone, ",%d", w.id(slot))
		}
	}
	for len(drawn) < changes-inserts {
		if slot := w.draw.IntN(len(w.live)); !drawn[slot] {
			w.live[slot], drawn[slot] = true, true
			w.value(&upserts, slot)
		}
	}
	for range inserts {
		w.live = append(w.live, true)
		w.value(&added, len(w.live)-1)
	}
	return "BEGIN; " + insertPrefix + upserts.String()[1:] + upsertSuffix + "; " + insertPrefix + added.String()[1:] +
		"; DELETE FROM soak.orders WHERE id IN (" + gone.String()[1:] + "); COMMIT"
}
