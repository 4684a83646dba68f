package fileio

import (
	"sync"
	"testing"
)

// TestInstallByMany: catalogs are opened by several goroutines at a time.
func TestInstallByMany(t *testing.T) {
	var g sync.WaitGroup
	for range 50 {
		g.Go(Install)
		g.Go(func() { Register("file", Disk{}) })
	}
	g.Wait()
}
