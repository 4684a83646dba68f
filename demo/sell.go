package main

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
	"time"
)

// tally counts what the shop has written since it opened. Its numbers are those of the
// server: rows that really changed, in transactions that were committed.
type tally struct {
	rows                                            atomic.Int64 // that the tables hold
	transactions, inserted, updated, deleted, moved atomic.Int64 // moved: rows that got another key
}

func (t *tally) written() int64 {
	return t.inserted.Load() + t.updated.Load() + t.deleted.Load() + t.moved.Load()
}

// pace is how often the shop does something: a little less than what a small machine and a
// disk that syncs each commit can take.
const pace = 5 * time.Millisecond

// sell does business until ctx ends, a transaction at a time. A transaction that has begun
// is finished.
func (s *shop) sell(ctx context.Context, t *tally) error {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := s.transact(context.WithoutCancel(ctx), t); err != nil {
			return fmt.Errorf("the shop's own transaction: %w", err)
		}
	}
}

// transact runs one of the things that happen in a shop.
func (s *shop) transact(ctx context.Context, t *tally) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	w := &work{tx: tx}
	switch n := s.rand.IntN(100); {
	case n < 55:
		s.purchase(ctx, w)
	case n < 80:
		s.ship(ctx, w)
	case n < 88:
		s.forget(ctx, w)
	case n < 94:
		s.join(ctx, w)
	case n < 98:
		s.reprice(ctx, w)
	default:
		s.rename(ctx, w)
	}
	if w.err != nil {
		return w.err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	w.count(t)
	s.orders -= int(w.deleted) // only orders are deleted
	t.rows.Store(int64(s.rows()))
	return nil
}

// work is one transaction under way; the first error sticks.
type work struct {
	tx                                *sql.Tx
	err                               error
	inserted, updated, deleted, moved int64
}

func (w *work) count(t *tally) {
	t.transactions.Add(1)
	t.inserted.Add(w.inserted)
	t.updated.Add(w.updated)
	t.deleted.Add(w.deleted)
	t.moved.Add(w.moved)
}

// do executes a statement and adds the rows that it changed.
func (w *work) do(ctx context.Context, rows *int64, query string, args ...any) {
	if w.err != nil {
		return
	}
	result, err := w.tx.ExecContext(ctx, query, args...)
	if err != nil {
		w.err = err
		return
	}
	n, err := result.RowsAffected()
	*rows, w.err = *rows+n, err
}

func (w *work) insert(ctx context.Context, t string, rows int, row func() []any) {
	if w.err == nil {
		w.err = insert(ctx, w.tx, t, rows, row)
		w.inserted += int64(rows)
	}
}

// purchase: a customer orders several things; stock and balance follow, in one transaction
// over three tables.
func (s *shop) purchase(ctx context.Context, w *work) {
	n := 1 + s.rand.IntN(4)
	w.insert(ctx, "orders", n, s.order)
	for range n {
		w.do(ctx, &w.updated, "UPDATE products SET stock = stock - 1, updated_at = ? WHERE sku = ?", now(), pick(s.rand, s.skus...))
	}
	w.do(ctx, &w.updated, "UPDATE customers SET balance = balance - ? WHERE id = ?", s.cents(9_000), 1+s.rand.IntN(customers))
}

// ship: a dozen orders go out.
func (s *shop) ship(ctx context.Context, w *work) {
	first := s.rand.IntN(s.nextOrder)
	w.do(ctx, &w.updated, "UPDATE orders SET status = 'shipped', note = NULL WHERE id BETWEEN ? AND ?", first, first+11)
}

// forget: old orders are deleted.
func (s *shop) forget(ctx context.Context, w *work) {
	first := s.rand.IntN(s.nextOrder)
	w.do(ctx, &w.deleted, "DELETE FROM orders WHERE id BETWEEN ? AND ?", first, first+4)
}

// join: new customers.
func (s *shop) join(ctx context.Context, w *work) {
	w.insert(ctx, "customers", 1+s.rand.IntN(3), s.customer)
}

// reprice: a part of the range gets dearer.
func (s *shop) reprice(ctx context.Context, w *work) {
	w.do(ctx, &w.updated, "UPDATE products SET price = ROUND(price * 1.01, 2) + 0.01, updated_at = ? WHERE sku >= ? ORDER BY sku LIMIT 25", now(), pick(s.rand, s.skus...))
}

// rename: a product gets another key, together with its newest orders.
func (s *shop) rename(ctx context.Context, w *work) {
	i := s.rand.IntN(len(s.skus))
	s.renames++
	old, sku := s.skus[i], fmt.Sprintf("NEW-%05d", s.renames)
	w.do(ctx, &w.moved, "UPDATE products SET sku = ? WHERE sku = ?", sku, old)
	w.do(ctx, &w.updated, "UPDATE orders SET sku = ? WHERE sku = ? AND id > ?", sku, old, s.nextOrder-2_000)
	s.skus[i] = sku
}
