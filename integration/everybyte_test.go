//go:build integration

package integration

import (
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"cdcd/capture"
	"golang.org/x/sync/errgroup"
)

// dumpCutter passes connections on to a server, and cuts the first that asks for the log behind
// a number of the bytes that come then.
type dumpCutter struct {
	address string

	mu    sync.Mutex
	left  int // bytes before the cut
	dumps int // connections that asked for the log: only the first is cut
	bytes int // of all logs that were asked for
}

func startDumpCutter(t testing.TB, to string) *dumpCutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &dumpCutter{address: l.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				_ = client.Close()
				continue
			}
			asked := make(chan int, 1) // closed without one where the log is not asked for
			running.Go(func() { c.ask(client, server, asked) })
			running.Go(func() { c.answer(client, server, asked) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	return c
}

// arm has the next connection that asks for the log cut behind n bytes.
func (c *dumpCutter) arm(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left, c.dumps, c.bytes = n, 0, 0
}

// seen gives how often the log was asked for, and how much came of it.
func (c *dumpCutter) seen() (dumps, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dumps, c.bytes
}

// ask passes on what the client says, and tells behind how many bytes of the log to cut.
func (c *dumpCutter) ask(client, server net.Conn, asked chan<- int) {
	const dump, dumpGTID = 0x12, 0x1e
	defer close(asked)
	defer server.Close()
	buf := make([]byte, pieceBytes)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if n > 4 && buf[3] == 0 && (buf[4] == dump || buf[4] == dumpGTID) { // a packet that begins a command
			c.mu.Lock()
			left := c.left
			if c.dumps > 0 {
				left = math.MaxInt
			}
			c.dumps++
			c.mu.Unlock()
			asked <- left
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

// answer passes on what the server says, up to the cut.
func (c *dumpCutter) answer(client, server net.Conn, asked <-chan int) {
	defer client.Close()
	buf := make([]byte, pieceBytes)
	left, dumping := 0, false
	for {
		n, err := server.Read(buf)
		if !dumping {
			select {
			case left, dumping = <-asked:
			default:
			}
		}
		if dumping {
			n = min(n, left)
			left -= n
			c.mu.Lock()
			c.bytes += n
			c.mu.Unlock()
		}
		if _, failed := client.Write(buf[:n]); failed != nil || err != nil || dumping && left == 0 {
			_ = server.Close()
			return
		}
	}
}

// TestCutAtEveryByte cuts the connection behind every byte of a small log in turn. Each time the
// stream gives every row once, in order.
func TestCutAtEveryByte(t *testing.T) {
	// MariaDB takes a tenth of a second to end the dump that was cut, of a server id; MySQL would
	// take dumps of one test for the same replica's.
	for release, workers := range map[string]int{mysql97: 1, mariadb118: 8} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			s := ownServer(t, release)
			s.schema(t, "bytes")
			s.exec(t, "USE bytes; CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9)); CREATE TABLE other LIKE t; FLUSH BINARY LOGS")
			s.checkpointed(t)
			info := describe(t, s, "bytes")
			i := slices.IndexFunc(info, func(i capture.TableInfo) bool { return i.Name.Table == "t" })
			log := smallLog{table: capture.Capture{Table: &info[i].Table, Applied: capture.EmptyPosition(s.flavor)}, start: s.executed(t)}
			s.exec(t, "USE bytes; BEGIN; INSERT INTO t VALUES (1, 'a'), (2, 'b'); INSERT INTO other VALUES (1, 'o'); UPDATE t SET v = 'c' WHERE id = 1; COMMIT; CREATE TABLE x (id INT); DELETE FROM t WHERE id = 2")
			log.end = s.executed(t)
			whole := startDumpCutter(t, s.address)
			want, err := log.read(t, s, whole, math.MaxInt)
			if err != nil || len(want) != 4 {
				t.Fatalf("uncut: %v, %v", want, err)
			}
			_, size := whole.seen()
			t.Logf("%d bytes, %v", size, want)
			var cutting errgroup.Group
			for w := range workers {
				c := startDumpCutter(t, s.address)
				cutting.Go(func() error {
					for n := w; n <= size; n += workers {
						if got, err := log.read(t, s, c, n); err != nil || !slices.Equal(got, want) {
							return fmt.Errorf("cut behind %d bytes: %v, want %v, %v", n, got, want, err)
						}
						if dumps, _ := c.seen(); n < size && dumps < 2 {
							return fmt.Errorf("nothing was cut behind %d of %d bytes", n, size)
						}
					}
					return nil
				})
			}
			if err := cutting.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// checkpointed waits until MariaDB has noted in the newest file of its log that it needs no other: it
// does so in its own time, and nothing that comes behind it is the stream's.
func (s *server) checkpointed(t testing.TB) {
	t.Helper()
	if s.flavor != capture.MariaDB {
		return
	}
	eventually(t, time.Minute, "the server has a checkpoint", func() error {
		var file, at, do, ignore string
		if err := s.db.QueryRow("SHOW MASTER STATUS").Scan(&file, &at, &do, &ignore); err != nil {
			return err
		}
		rows, err := s.db.Query("SHOW BINLOG EVENTS IN '" + file + "'")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name, pos, kind, server, end, info string
			if err := rows.Scan(&name, &pos, &kind, &server, &end, &info); err != nil {
				return err
			}
			if kind == "Binlog_checkpoint" && info == file {
				return nil
			}
		}
		return errors.Join(rows.Err(), fmt.Errorf("%s has none", file))
	})
}

// smallLog is a part of a server's log that changes one table.
type smallLog struct {
	table      capture.Capture
	start, end capture.Position
}

// read reads the log from its start, through a cut behind some of its bytes.
func (l smallLog) read(t testing.TB, s *server, c *dumpCutter, cut int) ([]string, error) {
	c.arm(cut)
	past := *s
	past.address = c.address
	st := streamOf(t, &past, l.start, l.table)
	defer st.Close()
	st.EndAt(l.end)
	var rows []string
	for {
		segment, err := st.Next(t.Context())
		if err != nil {
			return rows, err
		}
		rows = append(rows, opsOf(segment)...)
		if segment.End.Covers(l.end) {
			return rows, nil
		}
	}
}

// opsOf gives the changes of a segment of one table, and hands it back.
func opsOf(segment *capture.Segment) []string {
	defer segment.Release()
	var out []string
	for _, b := range segment.Batches {
		for i, op := range b.Ops {
			out = append(out, fmt.Sprint(op, b.Record.Column(0).ValueStr(i), b.Record.Column(1).ValueStr(i)))
		}
	}
	return out
}
