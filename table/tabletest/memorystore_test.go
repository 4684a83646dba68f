package tabletest

import (
	"testing"

	"cdcd/table/fileio"
)

func TestMemoryStore(t *testing.T) {
	TestStore(t, func(*testing.T) (fileio.Store, string) { return NewStore(), "mem:///" })
}
