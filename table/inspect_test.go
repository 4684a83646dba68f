package table

import (
	"context"
	"errors"
	"testing"

	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

// TestInspect looks at a table in every state in which somebody may leave it.
func TestInspect(t *testing.T) {
	inspect := func(l *lab) *Inspection {
		i, err := Inspect(context.Background(), l.cfg, testName())
		if err != nil || i == nil {
			t.Fatal(i, err)
		}
		return i
	}
	t.Run("in order", func(t *testing.T) {
		l := openLab(t)
		l.write(row{id: 1, val: "a"})
		h, i := l.load(), inspect(l)
		if i.Trouble != nil || !i.Agree() || i.Snapshot != h.Snapshot || i.Fence != 1 || i.Pipeline != "p" || len(i.Foreign) != 0 || !i.Mark.Mark.Position.Equal(h.Mark.Position) {
			t.Errorf("%+v", i)
		}
		if len(i.Main) != 2 || len(i.Retained) != 3 || i.Main[h.Snapshot] != 0 { // the fence's is not of main
			t.Errorf("main %v, retained %v", i.Main, i.Retained)
		}
	})
	t.Run("rolled back", func(t *testing.T) {
		l := openLab(t)
		back := l.load().Snapshot
		l.write(row{id: 1, val: "a"})
		l.foreign(icetable.NewSetSnapshotRefUpdate(icetable.MainBranch, back, icetable.BranchRef, 0, 0, 0))
		if i := inspect(l); !errors.Is(i.Trouble, ErrRolledBack) || i.Agree() || i.Mark.Snapshot != back || i.Tag == back {
			t.Errorf("%+v", i)
		}
	})
	t.Run("no tag", func(t *testing.T) {
		l := openLab(t)
		l.foreign(icetable.NewRemoveSnapshotRefUpdate(refPosition))
		if i := inspect(l); !errors.Is(i.Trouble, ErrRolledBack) || i.Agree() || i.Tag != 0 {
			t.Errorf("%+v", i)
		}
	})
	t.Run("foreign", func(t *testing.T) {
		l := openLab(t)
		l.write(row{id: 1, val: "a"})
		marked := l.load().Snapshot
		l.foreignSnapshot(icetable.OpReplace)
		if i := inspect(l); i.Trouble != nil || !i.Agree() || len(i.Foreign) != 1 || i.Foreign[0].Operation != "replace" || i.Mark.Snapshot != marked {
			t.Errorf("%+v", i)
		}
		l.foreignSnapshot(icetable.OpAppend)
		if i := inspect(l); !errors.Is(i.Trouble, ErrForeignRows) || len(i.Foreign) != 2 || i.Foreign[0].Operation != "append" {
			t.Errorf("%+v", i)
		}
	})
	t.Run("not ours", func(t *testing.T) {
		l := openLab(t)
		l.foreign(icetable.NewSetPropertiesUpdate(iceberg.Properties{keyPipeline: "other"}))
		if i := inspect(l); !errors.Is(i.Trouble, ErrOtherPipeline) || i.Pipeline != "other" {
			t.Errorf("%+v", i)
		}
	})
	l := openLab(t)
	if i, err := Inspect(context.Background(), l.cfg, Name{"shop", "none"}); i != nil || err != nil {
		t.Error(i, err)
	}
}
