package commit

import (
	"context"
	"errors"
	"time"

	"cdcd/capture"
)

// Stream delivers the source's changes; capture.Stream is one. It is used by one goroutine
// at a time.
type Stream interface {
	Connect(ctx context.Context) error
	Next(ctx context.Context) (*capture.Segment, error)
	Capture(c capture.Capture) error
	Forget(n capture.Name)    // nothing of a table is delivered any more
	EndAt(p capture.Position) // a segment ends at the transaction that completes p
	Hold(on bool)             // Next returns at a transaction's end, with what there is
	Server() string
	Heard() time.Time // when the source last gave a sign of life
	Close()
}

// Reader reads ranges of tables for the initial load; capture.Reader is one. It is used by
// one goroutine at a time.
type Reader interface {
	Bound(ctx context.Context, t *capture.Table, within capture.Range, rows int) (b capture.Bound, last bool, err error)
	Read(ctx context.Context, c capture.Capture, within capture.Range, after capture.Position) (*capture.Chunk, error)
	Running(ctx context.Context) (threads int, err error) // how many threads of the source are at work
	// ReadWhole begins to read a whole table in a state with at least the transactions of after.
	ReadWhole(ctx context.Context, c capture.Capture, after capture.Position) (Whole, error)
	Close()
}

// Whole is a table under way to be read as it was at one position; a capture.Whole is one. It is
// used by one goroutine.
type Whole interface {
	At() capture.Position
	// Next gives the next rows, nil behind the last, and how many dates that are none they had.
	Next() (b *capture.Batch, noDates int64, err error)
	Close()
}

// Source opens the source.
type Source interface {
	// Position is where new tables begin: everything that the server has made visible, without
	// the XA transactions that are prepared behind known and not completed. Those prepared before
	// it are in nobody's hands: where there is no known position, a new pipeline's, it waits for them.
	Position(ctx context.Context, known *capture.Position) (capture.Position, error)
	// Executed is everything that the server has made visible.
	Executed(ctx context.Context) (capture.Position, error)
	// Stream opens the stream behind a position. The server must have the transactions of the
	// Witnesses, or hold them no longer.
	Stream(start capture.Position, witnesses []capture.Witness, tables []capture.Capture) (Stream, error)
	// Reader opens a reader of the server that the stream reads; "" where there is no stream yet.
	Reader(ctx context.Context, flavor capture.Flavor, server string) (Reader, error)
	// Member describes a source table that came into being and is wanted. ok is false when
	// it is gone again; the error says why it cannot be replicated.
	Member(ctx context.Context, n capture.Name) (m Member, ok bool, err error)
}

// ErrFenced reports that another daemon has taken the pipeline over.
var ErrFenced = errors.New("another daemon has taken over this pipeline")
