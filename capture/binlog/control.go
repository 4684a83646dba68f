package binlog

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// GTID is the content of a GTID event of either server.
type GTID struct {
	SID       [16]byte // MySQL
	Tag       string   // MySQL
	Domain    uint32   // MariaDB; the server id is in the event's header
	Number    uint64
	Committed time.Time // on the server where the transaction began; zero when unknown

	// MariaDB only.
	Standalone  bool // one statement, no terminating event
	PreparedXA  bool // the group prepares an XA transaction
	CompletedXA bool // the group commits or rolls back a prepared one
	// TwoPhaseAlter says that the statement is the beginning or the end of an ALTER TABLE that is
	// logged twice.
	TwoPhaseAlter bool
}

// ParseGTID parses the body of a GTID event of MySQL.
func ParseGTID(body []byte) (GTID, error) {
	c := cursor{b: body}
	c.u8() // flags
	var g GTID
	copy(g.SID[:], c.take(16))
	g.Number = c.u64()
	if len(c.b) >= 17 && c.b[0] == 2 { // logical timestamps: last committed, sequence number
		c.take(17)
		g.Committed = commitTime(&c)
	}
	return g, c.err
}

// commitTime reads the immediate and, where it differs, the original commit time (7 bytes
// of microseconds each, the top bit of the first announcing the second). Servers before
// 8.0 write neither.
func commitTime(c *cursor) time.Time {
	if len(c.b) < 7 {
		return time.Time{}
	}
	const other = 1 << 55
	us := c.uint(7)
	if us&other != 0 {
		us = c.uint(7)
	}
	return micros(us)
}

func micros(us uint64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(us))
}

// The fields of a GTID_TAGGED event.
const (
	taggedFlags = iota
	taggedSID
	taggedNumber
	taggedTag
	taggedLastCommitted
	taggedSequence
	taggedCommitted
	taggedCommittedAtOrigin      // where it differs
	taggedFields            = 12 // that are known, with those that nothing here needs
)

// ParseGTIDTagged parses the body of a GTID_TAGGED event of MySQL: fields in ascending
// order, each behind its number (MySQL source documentation, "mysql::serialization").
func ParseGTIDTagged(body []byte) (GTID, error) {
	c := cursor{b: body}
	c.varint() // version
	if size := c.varint(); size != uint64(len(body)) {
		return GTID{}, ErrTruncated
	}
	if needed := c.varint(); needed >= taggedFields {
		return GTID{}, fmt.Errorf("GTID with a field %d, which must not be passed over", needed)
	}
	var g GTID
	for more := true; more && len(c.b) > 0; {
		more = g.readTagged(&c)
	}
	if c.err == nil && g.Number == 0 {
		c.take(-1)
	}
	return g, c.err
}

// readTagged reads the next field and reports whether one that matters can follow.
func (g *GTID) readTagged(c *cursor) bool {
	switch c.varint() {
	case taggedSID:
		for i := range g.SID {
			g.SID[i] = byte(c.varint())
		}
	case taggedNumber:
		g.Number = c.varint() >> 1 // the lowest bit is the sign
	case taggedTag:
		g.Tag = string(c.take(int(c.varint())))
	case taggedFlags, taggedLastCommitted, taggedSequence:
		c.varint()
	case taggedCommitted:
		g.Committed = micros(c.varint())
	case taggedCommittedAtOrigin:
		g.Committed = micros(c.varint())
	default:
		return false
	}
	return true
}

// ParseMariaDBGTID parses the body of a GTID event of MariaDB.
func ParseMariaDBGTID(body []byte) (GTID, error) {
	const standalone, grouped, prepared, completed = 0x01, 0x02, 0x40, 0x80
	const startAlter, commitAlter, rollbackAlter = 0x02, 0x04, 0x08
	c := cursor{b: body}
	g := GTID{Number: c.u64(), Domain: c.u32()}
	flags := c.u8()
	g.Standalone = flags&standalone != 0
	g.PreparedXA = flags&prepared != 0
	g.CompletedXA = flags&completed != 0
	extra := 0 // where the further flags are: behind the commit id
	if flags&grouped != 0 {
		extra = 8
	}
	if flags&(prepared|completed) == 0 && len(c.b) > extra {
		g.TwoPhaseAlter = c.b[extra]&(startAlter|commitAlter|rollbackAlter) != 0
	}
	return g, c.err
}

// Query is the content of a QUERY event. Its fields alias the event.
type Query struct {
	Schema  []byte // the session's default schema
	SQL     []byte
	SQLMode uint64 // sql_mode bits; 0 when the event has none
	Charset uint16 // collation id of character_set_client; 0 when the event has none
	// Connection is collation_connection, into which the server turns the texts of a statement.
	Connection uint16
	ExecTime   uint32 // seconds
}

// The sql_mode bits that change how a statement is read, and what it does to values.
const (
	SQLModeRealAsFloat        = 1 << 0
	SQLModeStrict             = 1<<21 | 1<<22 // STRICT_TRANS_TABLES, STRICT_ALL_TABLES
	SQLModeANSIQuotes         = 1 << 2
	SQLModeOracle             = 1 << 9  // of MariaDB
	SQLModeMaxDB              = 1 << 12 // of MariaDB
	SQLModeNoBackslashEscapes = 1 << 20
	SQLModePadChar            = 1 << 31 // PAD_CHAR_TO_FULL_LENGTH
	SQLModeEmptyIsNull        = 1 << 32 // of MariaDB; another one of MySQL
)

// ParseQuery parses the body of a QUERY event.
func ParseQuery(body []byte) (Query, error) {
	c := cursor{b: body}
	c.u32() // thread id
	q := Query{ExecTime: c.u32()}
	schema := int(c.u8())
	c.u16() // error code
	vars := cursor{b: c.take(int(c.u16()))}
	q.Schema = c.take(schema)
	c.u8() // terminating zero of the schema
	q.SQL = c.b
	q.readStatusVars(&vars)
	return q, c.err
}

// readStatusVars walks the status variables as far as the two that matter: servers write
// only these before them.
func (q *Query) readStatusVars(c *cursor) {
	for len(c.b) > 0 && c.err == nil {
		switch c.u8() {
		case 0: // flags2
			c.u32()
		case 1:
			q.SQLMode = c.u64()
		case 2: // catalog, zero-terminated
			c.take(int(c.u8()) + 1)
		case 3: // auto_increment
			c.u32()
		case 4: // charset: client, connection, server
			q.Charset, q.Connection = c.u16(), c.u16()
			return
		case 6: // catalog
			c.take(int(c.u8()))
		case 131: // MariaDB, character_set_collations: pairs of character set and collation
			c.take(4 * int(c.u8()))
		default:
			return
		}
	}
}

// Rotate is the content of a ROTATE event.
type Rotate struct {
	File     string
	Position uint64
}

// ParseRotate parses the body of a ROTATE event.
func ParseRotate(body []byte) (Rotate, error) {
	c := cursor{b: body}
	r := Rotate{Position: c.u64()}
	r.File = string(c.b)
	return r, c.err
}

// XAPrepare is the content of an XA_PREPARE event.
type XAPrepare struct {
	OnePhase bool // committed at once, not only prepared
	XID      string
}

// ParseXAPrepare parses the body of an XA_PREPARE event. The XID's text is gtrid and bqual
// in upper-case hexadecimal and the format in decimal, joined by commas.
func ParseXAPrepare(body []byte) (XAPrepare, error) {
	c := cursor{b: body}
	x := XAPrepare{OnePhase: c.u8() != 0}
	format, gtrid, bqual := c.u32(), c.u32(), c.u32()
	if gtrid > 64 || bqual > 64 {
		return XAPrepare{}, ErrTruncated
	}
	g := c.take(int(gtrid))
	b := c.take(int(bqual))
	x.XID = fmt.Sprintf("%X,%X,%d", g, b, int32(format))
	return x, c.err
}

// checksummed reads from a whole FORMAT_DESCRIPTION event, checksum included, whether the
// events that follow carry a CRC32.
func checksummed(raw []byte) (bool, error) {
	if len(raw) < headerSize+checksumSize+1 {
		return false, ErrTruncated
	}
	return raw[len(raw)-checksumSize-1] == checksumAlgorithmCRC32, nil
}

// encodeGTIDSet renders a GTID set in the form of COM_BINLOG_DUMP_GTID.
func encodeGTIDSet(text string) ([]byte, error) {
	set, err := mysql.ParseMysqlGTIDSet(text)
	if err != nil {
		return nil, fmt.Errorf("GTID set: %w", err)
	}
	return set.Encode(), nil
}

// dumpGTIDCommand is a COM_BINLOG_DUMP_GTID packet (its first four bytes are left to the
// packet header) that asks for everything not in the encoded set, and with toEnd for nothing
// that is still to come.
func dumpGTIDCommand(serverID uint32, set []byte, toEnd bool) []byte {
	const nonBlock, throughGTID = 0x01, 0x04
	flags := uint16(throughGTID)
	if toEnd {
		flags |= nonBlock
	}
	p := make([]byte, 4, 64+len(set))
	p = append(p, mysql.COM_BINLOG_DUMP_GTID)
	p = binary.LittleEndian.AppendUint16(p, flags)
	p = binary.LittleEndian.AppendUint32(p, serverID)
	p = binary.LittleEndian.AppendUint32(p, 0) // no file name
	p = binary.LittleEndian.AppendUint64(p, 4)
	p = binary.LittleEndian.AppendUint32(p, uint32(len(set)))
	return append(p, set...)
}

// dumpCommand is a COM_BINLOG_DUMP packet without a file: MariaDB starts at
// @slave_connect_state.
func dumpCommand(serverID uint32) []byte {
	p := make([]byte, 4, 16)
	p = append(p, mysql.COM_BINLOG_DUMP)
	p = binary.LittleEndian.AppendUint32(p, 4)
	p = binary.LittleEndian.AppendUint16(p, 0)
	return binary.LittleEndian.AppendUint32(p, serverID)
}
