package binlog

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Type is the type code of an event.
type Type byte

// The event types that are told apart.
const (
	TypeQuery              Type = 2
	TypeStop               Type = 3
	TypeRotate             Type = 4
	TypeIntVar             Type = 5
	TypeRand               Type = 13
	TypeUserVar            Type = 14
	TypeFormatDescription  Type = 15
	TypeXID                Type = 16
	TypeBeginLoadQuery     Type = 17
	TypeExecuteLoadQuery   Type = 18
	TypeTableMap           Type = 19
	TypeWriteRowsV1        Type = 23
	TypeUpdateRowsV1       Type = 24
	TypeDeleteRowsV1       Type = 25
	TypeIncident           Type = 26
	TypeHeartbeat          Type = 27
	TypeIgnorable          Type = 28
	TypeRowsQuery          Type = 29
	TypeWriteRowsV2        Type = 30
	TypeUpdateRowsV2       Type = 31
	TypeDeleteRowsV2       Type = 32
	TypeGTID               Type = 33
	TypeAnonymousGTID      Type = 34
	TypePreviousGTIDs      Type = 35
	TypeTransactionContext Type = 36
	TypeViewChange         Type = 37
	TypeXAPrepare          Type = 38
	TypePartialUpdateRows  Type = 39
	TypeTransactionPayload Type = 40
	TypeHeartbeatV2        Type = 41
	TypeGTIDTagged         Type = 42

	TypeAnnotateRows       Type = 160
	TypeBinlogCheckpoint   Type = 161
	TypeMariaDBGTID        Type = 162
	TypeGTIDList           Type = 163
	TypeStartEncryption    Type = 164
	TypeQueryCompressed    Type = 165
	TypeWriteRowsZV1       Type = 166
	TypeUpdateRowsZV1      Type = 167
	TypeDeleteRowsZV1      Type = 168
	TypeWriteRowsZ         Type = 169
	TypeUpdateRowsZ        Type = 170
	TypeDeleteRowsZ        Type = 171
	headerSize                  = 19
	checksumSize                = 4
	flagIgnorable               = 0x80
	checksumAlgorithmCRC32      = 1
)

// String names the type for messages.
func (t Type) String() string {
	names := map[Type]string{
		TypeQuery: "QUERY", TypeRotate: "ROTATE", TypeFormatDescription: "FORMAT_DESCRIPTION", TypeXID: "XID",
		TypeTableMap: "TABLE_MAP", TypeIncident: "INCIDENT", TypeGTID: "GTID", TypeAnonymousGTID: "ANONYMOUS_GTID",
		TypeXAPrepare: "XA_PREPARE", TypePartialUpdateRows: "PARTIAL_UPDATE_ROWS", TypeTransactionPayload: "TRANSACTION_PAYLOAD",
		TypeExecuteLoadQuery: "EXECUTE_LOAD_QUERY", TypeBeginLoadQuery: "BEGIN_LOAD_QUERY", TypeIntVar: "INTVAR",
		TypeRand: "RAND", TypeUserVar: "USER_VAR", TypeQueryCompressed: "QUERY_COMPRESSED", TypeStartEncryption: "START_ENCRYPTION",
		TypeWriteRowsZV1: "WRITE_ROWS_COMPRESSED", TypeUpdateRowsZV1: "UPDATE_ROWS_COMPRESSED", TypeDeleteRowsZV1: "DELETE_ROWS_COMPRESSED",
		TypeWriteRowsZ: "WRITE_ROWS_COMPRESSED_V2", TypeUpdateRowsZ: "UPDATE_ROWS_COMPRESSED_V2", TypeDeleteRowsZ: "DELETE_ROWS_COMPRESSED_V2",
	}
	if n, ok := names[t]; ok {
		return n
	}
	return fmt.Sprintf("event type %d", byte(t))
}

// Event is one binlog event. Body aliases the connection's buffer: it is valid until the
// next read.
type Event struct {
	Type      Type
	Flags     uint16
	Timestamp uint32 // seconds since the epoch, when the statement began
	ServerID  uint32
	LogPos    uint32 // end of the event in its file, modulo 2^32; for people only
	Body      []byte // without header and checksum
}

// Ignorable reports that a reader which does not know the event may skip it.
func (e Event) Ignorable() bool { return e.Flags&flagIgnorable != 0 }

// Size is the event's length in the log, without its checksum.
func (e Event) Size() int { return headerSize + len(e.Body) }

// Time is Timestamp as a time.
func (e Event) Time() time.Time { return time.Unix(int64(e.Timestamp), 0) }

// parseHeader cuts raw, a whole event without checksum, into header fields and body.
func parseHeader(raw []byte) (Event, error) {
	if len(raw) < headerSize {
		return Event{}, ErrTruncated
	}
	return Event{
		Timestamp: binary.LittleEndian.Uint32(raw),
		Type:      Type(raw[4]),
		ServerID:  binary.LittleEndian.Uint32(raw[5:]),
		LogPos:    binary.LittleEndian.Uint32(raw[13:]),
		Flags:     binary.LittleEndian.Uint16(raw[17:]),
		Body:      raw[headerSize:],
	}, nil
}
