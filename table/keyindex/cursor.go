package keyindex

// cursor reads the entries of a run in order.
type cursor struct {
	entries []Entry // the next ones
	run     *diskRun
	section int // of run, the next one to read
	open    section
	block   int // of the open section, the next one to read
	buffer  []Entry
}

func memoryCursor(r *memoryRun) *cursor { return &cursor{entries: r.entries} }

// diskCursor begins to read a run. A cursor at its end has no entries.
func diskCursor(r *diskRun) (*cursor, error) {
	c := &cursor{run: r, buffer: make([]Entry, 0, blockEntries)}
	return c, c.fill()
}

// next goes past the first entry.
func (c *cursor) next() error {
	c.entries = c.entries[1:]
	if len(c.entries) == 0 && c.run != nil {
		return c.fill()
	}
	return nil
}

// fill decodes the next block, if there is one.
func (c *cursor) fill() error {
	if c.block == blocksOf(c.open.n) {
		if c.section == len(c.run.fences) {
			return nil
		}
		var err error
		if c.open, err = c.run.section(c.section); err != nil {
			return err
		}
		c.section, c.block = c.section+1, 0
	}
	b := c.open.block(c.block)
	c.block++
	c.buffer = b.appendEntries(c.buffer[:0])
	c.entries = c.buffer
	return nil
}
