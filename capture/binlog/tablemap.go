package binlog

import (
	"bytes"
	"fmt"
)

// ColumnType is a MySQL column type code as it stands in TABLE_MAP events, with ENUM and
// SET resolved out of STRING.
type ColumnType byte

// The column types.
const (
	ColumnTiny       ColumnType = 1
	ColumnShort      ColumnType = 2
	ColumnLong       ColumnType = 3
	ColumnFloat      ColumnType = 4
	ColumnDouble     ColumnType = 5
	ColumnNull       ColumnType = 6
	ColumnTimestamp  ColumnType = 7 // before 5.6.4
	ColumnLongLong   ColumnType = 8
	ColumnInt24      ColumnType = 9
	ColumnDate       ColumnType = 10
	ColumnTime       ColumnType = 11 // before 5.6.4
	ColumnDatetime   ColumnType = 12 // before 5.6.4
	ColumnYear       ColumnType = 13
	ColumnNewDate    ColumnType = 14
	ColumnVarchar    ColumnType = 15
	ColumnBit        ColumnType = 16
	ColumnTimestamp2 ColumnType = 17
	ColumnDatetime2  ColumnType = 18
	ColumnTime2      ColumnType = 19
	ColumnTypedArray ColumnType = 20
	ColumnBlobZ      ColumnType = 140 // MariaDB compressed
	ColumnVarcharZ   ColumnType = 141 // MariaDB compressed
	ColumnVector     ColumnType = 242
	ColumnJSON       ColumnType = 245
	ColumnDecimal    ColumnType = 246
	ColumnEnum       ColumnType = 247
	ColumnSet        ColumnType = 248
	ColumnBlob       ColumnType = 252
	ColumnVarString  ColumnType = 253
	ColumnString     ColumnType = 254
	ColumnGeometry   ColumnType = 255
)

// TableMapColumn is what a TABLE_MAP event says of one column.
type TableMapColumn struct {
	Name      string // "" without full metadata
	Type      ColumnType
	Meta      uint16 // precision<<8|scale of DECIMAL, fraction digits of temporals, length bytes of blobs, bytes<<8|bits of BIT
	Length    int    // bytes: the most a CHAR, VARCHAR or VECTOR holds; the size of an ENUM or SET value
	Unsigned  bool
	Nullable  bool
	Collation uint64 // of texts, ENUM and SET; 0 when the event does not say
	Elements  []string
	Key       int // place in the primary key, from 1; 0: not part of it
}

// TableMap describes a table's columns for the row events that follow it.
type TableMap struct {
	ID            uint64
	Schema, Table string
	Columns       []TableMapColumn
	Full          bool   // names are present (binlog_row_metadata=FULL)
	Raw           []byte // the event's body: equal bytes mean an equal TableMap
}

// PeekTableMap reads the table id and the names out of a TABLE_MAP body without parsing
// the columns. The names alias body.
func PeekTableMap(body []byte) (id uint64, schema, name []byte, err error) {
	c := cursor{b: body}
	id = c.uint(6)
	c.u16() // flags
	schema = c.take(int(c.u8()))
	c.u8()
	name = c.take(int(c.u8()))
	c.u8()
	return id, schema, name, c.err
}

// ParseTableMap parses a TABLE_MAP body. It copies what it keeps.
func ParseTableMap(body []byte, mariadb bool) (*TableMap, error) {
	tm := &TableMap{Raw: bytes.Clone(body)}
	c := cursor{b: tm.Raw}
	tm.ID = c.uint(6)
	c.u16() // flags
	tm.Schema = string(c.take(int(c.u8())))
	c.u8()
	tm.Table = string(c.take(int(c.u8())))
	c.u8()
	n := c.count()
	types := c.take(n)
	meta := cursor{b: c.take(c.count())}
	nullable := c.take((n + 7) / 8)
	if c.err != nil {
		return nil, c.err
	}
	tm.Columns = make([]TableMapColumn, n)
	for i := range tm.Columns {
		col := &tm.Columns[i]
		col.Type = ColumnType(types[i])
		col.Nullable = bitLSB(nullable, i)
		if err := col.readMeta(&meta); err != nil {
			return nil, fmt.Errorf("table map of %s.%s, column %d: %w", tm.Schema, tm.Table, i+1, err)
		}
	}
	if err := tm.readOptional(&c, mariadb); err != nil {
		return nil, fmt.Errorf("table map of %s.%s: %w", tm.Schema, tm.Table, err)
	}
	return tm, nil
}

// readMeta reads the column's part of the metadata block, whose size depends on the type.
func (col *TableMapColumn) readMeta(c *cursor) error {
	switch col.Type {
	case ColumnString:
		col.readStringMeta(c)
	case ColumnDecimal:
		precision := c.u8()
		col.Meta = uint16(precision)<<8 | uint16(c.u8())
	case ColumnBit:
		bits := c.u8()
		col.Meta = uint16(c.u8())<<8 | uint16(bits)
	case ColumnVarchar, ColumnVarString, ColumnVarcharZ:
		col.Meta = c.u16()
		col.Length = int(col.Meta)
	case ColumnBlob, ColumnDouble, ColumnFloat, ColumnGeometry, ColumnVector, ColumnJSON,
		ColumnTime2, ColumnDatetime2, ColumnTimestamp2, ColumnBlobZ:
		col.Meta = uint16(c.u8())
	case ColumnTypedArray:
		return fmt.Errorf("typed array")
	}
	return c.err
}

// readStringMeta unpacks the real type and length of a STRING: lengths above 255 borrow
// two bits of the type byte.
func (col *TableMapColumn) readStringMeta(c *cursor) {
	b0, b1 := c.u8(), c.u8()
	switch {
	case ColumnType(b0) == ColumnEnum || ColumnType(b0) == ColumnSet:
		col.Type, col.Length = ColumnType(b0), int(b1)
	case b0&0x30 != 0x30:
		col.Length = int(b1) | int((b0&0x30)^0x30)<<4
	default:
		col.Length = int(b1)
	}
}

// The codes of the optional metadata.
const (
	metaSignedness       = 1
	metaDefaultCharset   = 2
	metaColumnCharset    = 3
	metaColumnName       = 4
	metaSetElements      = 5
	metaEnumElements     = 6
	metaPrimaryKey       = 8
	metaPrimaryKeyPrefix = 9
	metaEnumSetDefault   = 10
	metaEnumSetColumn    = 11
	metaVectorDimensions = 13 // of MySQL
)

func (tm *TableMap) readOptional(c *cursor, mariadb bool) error {
	isText := func(t ColumnType) bool { return t.text(mariadb) }
	for len(c.b) > 0 && c.err == nil {
		code := c.u8()
		v := cursor{b: c.str()}
		switch code {
		case metaSignedness:
			tm.readSignedness(v.b)
		case metaDefaultCharset:
			tm.readDefaultCollations(&v, isText)
		case metaColumnCharset:
			tm.readCollations(&v, isText)
		case metaColumnName:
			tm.readNames(&v)
		case metaSetElements:
			tm.readElements(&v, ColumnSet)
		case metaEnumElements:
			tm.readElements(&v, ColumnEnum)
		case metaPrimaryKey:
			tm.readKey(&v, false)
		case metaPrimaryKeyPrefix:
			tm.readKey(&v, true)
		case metaEnumSetDefault:
			tm.readDefaultCollations(&v, ColumnType.elements)
		case metaEnumSetColumn:
			tm.readCollations(&v, ColumnType.elements)
		case metaVectorDimensions:
			tm.readDimensions(&v)
		}
		if v.err != nil {
			return fmt.Errorf("optional metadata %d: %w", code, v.err)
		}
	}
	return c.err
}

// numeric tells the types that have a signedness bit.
func (t ColumnType) numeric() bool {
	switch t {
	case ColumnTiny, ColumnShort, ColumnInt24, ColumnLong, ColumnLongLong, ColumnDecimal, ColumnFloat, ColumnDouble, ColumnYear:
		return true
	}
	return false
}

// text tells the types that have an entry in the charset metadata. MySQL counts VECTOR,
// MariaDB GEOMETRY.
func (t ColumnType) text(mariadb bool) bool {
	switch t {
	case ColumnString, ColumnVarString, ColumnVarchar, ColumnBlob, ColumnBlobZ, ColumnVarcharZ, ColumnVector:
		return true
	case ColumnGeometry:
		return mariadb
	}
	return false
}

func (t ColumnType) elements() bool { return t == ColumnEnum || t == ColumnSet }

func (tm *TableMap) readSignedness(bits []byte) {
	n := 0
	for i := range tm.Columns {
		if tm.Columns[i].Type.numeric() {
			tm.Columns[i].Unsigned = bitMSB(bits, n)
			n++
		}
	}
}

// readDefaultCollations reads one collation and the exceptions from it, by place among the
// columns that has selects.
func (tm *TableMap) readDefaultCollations(c *cursor, has func(ColumnType) bool) {
	general := c.lenenc()
	except := map[int]uint64{}
	for len(c.b) > 0 && c.err == nil {
		place := int(c.lenenc())
		except[place] = c.lenenc()
	}
	n := 0
	for i := range tm.Columns {
		if !has(tm.Columns[i].Type) {
			continue
		}
		tm.Columns[i].Collation = general
		if id, ok := except[n]; ok {
			tm.Columns[i].Collation = id
		}
		n++
	}
}

func (tm *TableMap) readCollations(c *cursor, has func(ColumnType) bool) {
	for i := range tm.Columns {
		if has(tm.Columns[i].Type) {
			tm.Columns[i].Collation = c.lenenc()
		}
	}
}

func (tm *TableMap) readNames(c *cursor) {
	tm.Full = true
	for i := range tm.Columns {
		tm.Columns[i].Name = string(c.str())
	}
}

func (tm *TableMap) readElements(c *cursor, t ColumnType) {
	for i := range tm.Columns {
		if tm.Columns[i].Type != t {
			continue
		}
		n := c.count()
		for range n {
			tm.Columns[i].Elements = append(tm.Columns[i].Elements, string(c.str()))
		}
	}
}

// readDimensions reads how many numbers a VECTOR can have.
func (tm *TableMap) readDimensions(c *cursor) {
	const numberBytes, most = 4, 1 << 16
	for i := range tm.Columns {
		if tm.Columns[i].Type == ColumnVector {
			tm.Columns[i].Length = numberBytes * int(min(c.lenenc(), most))
		}
	}
}

// readKey reads the columns of the primary key, in key order; with prefixes each is
// followed by the length of its prefix, which says nothing of a row's identity.
func (tm *TableMap) readKey(c *cursor, prefixes bool) {
	for place := 1; len(c.b) > 0 && c.err == nil; place++ {
		i := c.lenenc()
		if prefixes {
			c.lenenc()
		}
		if i >= uint64(len(tm.Columns)) {
			c.take(-1)
			return
		}
		tm.Columns[i].Key = place
	}
}
