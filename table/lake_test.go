package table_test

import (
	"testing"

	"cdcd/table"
	"cdcd/table/tabletest"
)

func TestEmbeddedConforms(t *testing.T) {
	dir := t.TempDir()
	tabletest.TestCatalog(t, func(t *testing.T) table.Catalog {
		l, err := table.OpenEmbedded("file://"+dir, true)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	})
}

func TestMemoryConforms(t *testing.T) {
	m := tabletest.NewMemory(t.TempDir(), tabletest.Faults{})
	tabletest.TestCatalog(t, func(*testing.T) table.Catalog { return m })
}
