package table

// Truncate gives the Delta after which no row is left: all data files go, and their deletion
// vectors. Files are not deleted by it: older snapshots name them.
func (t *Table) Truncate() *Delta {
	r := &replacement{removed: map[string]bool{}, truncates: true}
	d := &Delta{base: t.head.Snapshot, deletes: map[string]*bitmap{}, replaces: r, Deleted: t.content.live()}
	for path := range t.content.files {
		r.removed[path] = true
	}
	return d
}
