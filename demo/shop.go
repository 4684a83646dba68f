package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// shop is the source's data and the people who work with it. One goroutine uses it.
type shop struct {
	db   *sql.DB
	rand *rand.Rand
	skus []string // of the products, as they are now
	// The rows that the tables hold, and the newest ids.
	customers, orders, nextCustomer, nextOrder int
	renames                                    int
}

// What the shop begins with.
const (
	customers = 20_000
	products  = 2_000
	orders    = 250_000
)

func shopTables() []string {
	return []string{
		`CREATE TABLE customers (
			id         INT NOT NULL PRIMARY KEY,
			name       VARCHAR(80) NOT NULL,
			tier       ENUM('bronze','silver','gold') NOT NULL,
			balance    DECIMAL(12,2) NOT NULL,
			profile    JSON,
			created_at DATETIME(6) NOT NULL) COMMENT '` + ours + `'`,
		`CREATE TABLE products (
			sku        VARCHAR(24) NOT NULL PRIMARY KEY,
			title      VARCHAR(80) NOT NULL,
			price      DECIMAL(10,2) NOT NULL,
			stock      INT NOT NULL,
			attributes JSON,
			updated_at DATETIME(6) NOT NULL) COMMENT '` + ours + `'`,
		`CREATE TABLE orders (
			id          BIGINT NOT NULL PRIMARY KEY,
			customer_id INT NOT NULL,
			sku         VARCHAR(24) NOT NULL,
			quantity    SMALLINT UNSIGNED NOT NULL,
			total       DECIMAL(12,2) NOT NULL,
			status      ENUM('new','paid','shipped','returned') NOT NULL,
			note        VARCHAR(120),
			placed_at   DATETIME(6) NOT NULL) COMMENT '` + ours + `'`,
	}
}

func newShop(db *sql.DB) *shop {
	return &shop{db: db, rand: rand.New(rand.NewPCG(1, 2)), nextCustomer: 1, nextOrder: 1}
}

// rows is how many rows the shop's tables hold.
func (s *shop) rows() int { return s.customers + s.orders + len(s.skus) }

const stockRows = customers + products + orders

// open makes the tables and fills them; progress is told how many rows there are.
func (s *shop) open(ctx context.Context, progress func(rows int)) error {
	for _, q := range shopTables() {
		if _, err := s.db.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("create the shop's tables: %w", err)
		}
	}
	fill := func(t string, n int, row func() []any) error {
		const batch = 1000
		for n > 0 {
			rows := min(n, batch)
			if err := insert(ctx, s.db, t, rows, row); err != nil {
				return fmt.Errorf("fill %s: %w", t, err)
			}
			n -= rows
			progress(s.rows())
		}
		return nil
	}
	if err := fill("products", products, s.product); err != nil {
		return err
	}
	if err := fill("customers", customers, s.customer); err != nil {
		return err
	}
	return fill("orders", orders, s.order)
}

// execer is a database or a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// insert inserts rows in one statement.
func insert(ctx context.Context, db execer, t string, rows int, row func() []any) error {
	var args []any
	var width int
	for range rows {
		values := row()
		width, args = len(values), append(args, values...)
	}
	tuple := "(?" + strings.Repeat(",?", width-1) + ")"
	_, err := db.ExecContext(ctx, "INSERT INTO "+t+" VALUES "+tuple+strings.Repeat(","+tuple, rows-1), args...)
	return err
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

const clock = "2006-01-02 15:04:05.000000"

// past gives a moment of the last year, to the microsecond.
func (s *shop) past() string {
	const year = 365 * 24 * time.Hour
	return time.Now().UTC().Add(-time.Duration(s.rand.Int64N(int64(year)))).Format(clock)
}

func now() string { return time.Now().UTC().Format(clock) }

func (s *shop) cents(most int) string {
	n := s.rand.IntN(most)
	return fmt.Sprintf("%d.%02d", n/100, n%100)
}

// customer makes a new customer's row.
func (s *shop) customer() []any {
	id := s.nextCustomer
	s.nextCustomer++
	s.customers++
	name := pick(s.rand, "Ada", "Björn", "Chloé", "Dmitri", "Emi", "Fátima", "Guðrún", "Hà", "Ines", "Jürgen", "Łukasz", "Miyu", "Nuria", "Zoë") + " " +
		pick(s.rand, "Almeida", "Brontë", "Çelik", "Dvořák", "García", "Ito", "Müller", "Nguyễn", "O'Neill", "Øster", "Petrov", "Silva")
	profile := fmt.Sprintf(`{"city": %q, "newsletter": %t, "sizes": [%d, %d]}`,
		pick(s.rand, "Lisboa", "Reykjavík", "São Paulo", "東京", "Zürich"), s.rand.IntN(2) == 0, 36+s.rand.IntN(10), s.rand.IntN(5))
	return []any{id, name, pick(s.rand, "bronze", "silver", "gold"), s.cents(500_000), profile, s.past()}
}

// product makes a new product's row.
func (s *shop) product() []any {
	sku := fmt.Sprintf("SKU-%05d", len(s.skus)+1)
	s.skus = append(s.skus, sku)
	title := pick(s.rand, "Blue", "Crème", "Green", "Señor", "Tiny", "Wool") + " " + pick(s.rand, "café mug", "hat", "kettle", "lamp", "notebook", "scarf ❄")
	attributes := fmt.Sprintf(`{"kg": %.2f, "tags": [%q]}`, float64(1+s.rand.IntN(900))/100, pick(s.rand, "new", "sale", "eco"))
	return []any{sku, title, s.cents(20_000), 100 + s.rand.IntN(9_000), attributes, s.past()}
}

// order makes a new order's row.
func (s *shop) order() []any {
	id := s.nextOrder
	s.nextOrder++
	s.orders++
	var note any
	if s.rand.IntN(4) == 0 {
		note = pick(s.rand, "gift wrap, please 🎁", "leave it at the neighbour's", "“fragile”", "zweiter Stock, links")
	}
	placed := now()
	if id <= orders {
		placed = s.past()
	}
	return []any{
		id, 1 + s.rand.IntN(customers), pick(s.rand, s.skus...), 1 + s.rand.IntN(5), s.cents(90_000),
		pick(s.rand, "new", "paid", "shipped", "returned"), note, placed,
	}
}
