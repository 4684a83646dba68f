package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"cdcd/table"
	"github.com/apache/arrow-go/v18/arrow"
)

// showCmd is cdcd show.
type showCmd struct {
	Table string `arg:"" help:"Lake table, as namespace.table."`
	Limit int64  `default:"20" help:"Rows to print; 0 prints all."`
}

// Run prints rows.
func (s *showCmd) Run(ctx context.Context, c console, flags *cli) error {
	cfg, err := loadLakeConfig(flags.Config, c)
	if err != nil {
		return err
	}
	lake, err := openLake(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer lake.Close()
	h, err := lakeHead(ctx, lake, cfg.Pipeline, s.Table)
	if err != nil {
		return err
	}
	records, err := h.Scan(ctx, table.ScanOptions{Limit: s.Limit})
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	var header []string
	for _, f := range h.Columns() {
		header = append(header, f.Name)
	}
	fmt.Fprintln(w, strings.Join(header, "\t"))
	for rec, err := range records {
		if err != nil {
			return err
		}
		printRows(w, rec)
		rec.Release()
	}
	return w.Flush()
}

// lakeHead loads a table by its name in the catalog.
func lakeHead(ctx context.Context, lake *lakehouse, pipeline, name string) (*table.Head, error) {
	n, err := parseName(name)
	if err != nil {
		return nil, err
	}
	h, err := table.LoadHead(ctx, lake.tables(pipeline), n)
	if err == nil && h == nil {
		err = coded{exitUsage, fmt.Errorf("there is no table %s in the lake", name)}
	}
	return h, err
}

// cellWidth bounds a printed value, in characters.
const cellWidth = 60

func printRows(w io.Writer, rec arrow.RecordBatch) {
	for i := range int(rec.NumRows()) {
		cells := make([]string, rec.NumCols())
		for j, col := range rec.Columns() {
			cells[j] = cell(col, i)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
}

// cell renders a value on one line.
func cell(a arrow.Array, i int) string {
	if a.IsNull(i) {
		return "NULL"
	}
	text := a.ValueStr(i)
	clean := strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
	if short := []rune(clean); len(short) > cellWidth {
		return string(short[:cellWidth-1]) + "…"
	}
	return clean
}
