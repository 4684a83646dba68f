package table

// Truncate gives the Delta after which no row is left: all data files go, and their deletion
// vectors. Files are not deleted by it: older snapshots name them.
func (t *Table) Truncate() *Delta { return emptied(t.head.Snapshot, t.content) }

// emptied gives the Delta after which nothing is left of a snapshot's content.
func emptied(snapshot int64, c *content) *Delta {
	r := &replacement{removed: map[string]bool{}, truncates: true}
	d := &Delta{base: snapshot, deletes: map[string]*bitmap{}, replaces: r, Deleted: c.live()}
	for path := range c.files {
		r.removed[path] = true
	}
	return d
}
