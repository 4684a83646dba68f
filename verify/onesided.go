package verify

import "context"

// heldRows is how many rows of the lake are counted one by one at a time, about.
const heldRows = maxSuspects / 2

// oneSided reports that the lake need not have all rows of the source: the table began empty.
// Rows are only ever inserted there, and are told apart by all columns.
func (c *comparison) oneSided() bool { return c.reader.source.Empty }

// surplus counts, of each row in the given buckets, how many more the lake has than the source; and
// all that only the source has. The lake is read first: what it has by then the source has, too,
// for none of its rows goes.
func (c *comparison) surplus(ctx context.Context, bad map[int]bool) (map[digest]int64, error) {
	shown, err := c.shown(ctx)
	if err != nil {
		return nil, err
	}
	over := map[digest]int64{}
	c.result.NotLoaded = 0
	parts := 1 + int(c.result.LakeRows/heldRows)
	for part := range parts {
		mine := func(key digest) bool { return bad[bucketOf(key)] && bucketOf(key)%parts == part }
		held := map[digest]int64{}
		if err := c.reader.readLake(ctx, shown, func(r row) {
			if mine(r.key) {
				held[r.key]++
			}
		}); err != nil {
			return nil, err
		}
		if err := c.reader.readSource(ctx, c.conn, "", nil, func(r row) {
			if mine(r.key) && !takeOne(held, r.key) {
				c.result.NotLoaded++
			}
		}); err != nil {
			return nil, err
		}
		for d, n := range held {
			over[d] = n
		}
	}
	return over, nil
}

// takeOne takes one row of those that are held, if there is one.
func takeOne(held map[digest]int64, key digest) bool {
	n := held[key]
	if n > 1 {
		held[key] = n - 1
	} else {
		delete(held, key)
	}
	return n > 0
}

// concludeOneSided states that the lake has nothing which the source does not have.
func (c *comparison) concludeOneSided() {
	r := &c.result
	r.Verdict = Equal
	switch {
	case r.NotLoaded == 0:
	case c.behind != "": // what it lacks may be on its way
		r.Verdict, r.Reason = Unknown, c.behind
	default:
		r.Reason = "it began empty (tables[].load: none): only what the lake has was compared"
	}
}
