package verify

import (
	"context"
	"strings"
)

// lookAtSource reads the source's rows: those of the known keys where they are few, else
// all.
func (c *comparison) lookAtSource(ctx context.Context, known suspects, visit visitor) error {
	if known == nil || len(known) > keysAtMost || !c.reader.searchable() {
		return c.reader.readSource(ctx, c.conn, "", nil, visit)
	}
	var keys [][]string
	for _, x := range known {
		keys = append(keys, x.key)
	}
	for len(keys) > 0 {
		n := min(len(keys), keysPerQuery)
		where, args := c.keysCondition(keys[:n])
		if err := c.reader.readSource(ctx, c.conn, where, args, visit); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// keysCondition selects rows by the text of their key columns, as expression renders them.
func (c *comparison) keysCondition(keys [][]string) (string, []any) {
	var b strings.Builder
	var args []any
	columns := c.reader.source.Table.Columns
	for i, key := range keys {
		b.WriteString(map[bool]string{true: " WHERE (", false: " OR ("}[i == 0])
		at := 0
		for col, isKey := range c.reader.isKey {
			if !isKey {
				continue
			}
			if at > 0 {
				b.WriteString(" AND ")
			}
			b.WriteString(keyComparison(columns[col]))
			args = append(args, key[at])
			at++
		}
		b.WriteString(")")
	}
	return b.String(), args
}
