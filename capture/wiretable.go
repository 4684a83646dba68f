package capture

import (
	"fmt"
	"strings"

	"cdcd/capture/binlog"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// tableOf reads a table's shape out of the log's description of it. What the log cannot
// say is taken from the captured table: its key, and which of two types that are logged alike
// a column has.
func tableOf(wire *binlog.TableMap, captured *Table, collations map[uint64]string) (*Table, error) {
	columns := visible(wire, captured)
	t := &Table{Name: captured.Name, Key: captured.Key, Columns: make([]Column, len(columns))}
	for i, w := range columns {
		c, err := columnOf(w, collations)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", w.Name, err)
		}
		if i < len(captured.Columns) && captured.Columns[i].loggedAs().equal(c) {
			nullable := c.Nullable
			c = captured.Columns[i]
			c.Nullable = nullable
		}
		t.Columns[i] = c
	}
	return t, nil
}

// loggedAs gives a column as the log describes it: some types of MariaDB look like bytes there.
// MySQL's VECTOR does not.
func (c Column) loggedAs() Column {
	switch c.Type {
	case TypeUUID:
		c.Type, c.Size = TypeBinary, uuidBytes
	case TypeInet4:
		c.Type, c.Size = TypeBinary, inet4Bytes
	case TypeInet6:
		c.Type, c.Size = TypeBinary, inet6Bytes
	case TypeVector:
		c.Type = TypeVarbinary
	}
	return c
}

func columnOf(w binlog.TableMapColumn, collations map[uint64]string) (Column, error) {
	c := Column{Name: w.Name, Nullable: w.Nullable}
	switch w.Type {
	case binlog.ColumnTiny, binlog.ColumnShort, binlog.ColumnInt24, binlog.ColumnLong, binlog.ColumnLongLong:
		c.Type = integerTypes(w.Type)
		c.Unsigned = w.Unsigned
	case binlog.ColumnYear:
		c.Type = TypeYear
	case binlog.ColumnFloat:
		c.Type, c.Unsigned = TypeFloat, w.Unsigned
	case binlog.ColumnDouble:
		c.Type, c.Unsigned = TypeDouble, w.Unsigned
	case binlog.ColumnDecimal:
		c.Type, c.Unsigned = TypeDecimal, w.Unsigned
		c.Precision, c.Scale = int(w.Meta>>8), int(w.Meta&0xff)
	case binlog.ColumnBit:
		c.Type, c.Size = TypeBit, int(w.Meta>>8)*8+int(w.Meta&0xff)
	case binlog.ColumnDate, binlog.ColumnNewDate:
		c.Type = TypeDate
	case binlog.ColumnDatetime2:
		c.Type, c.Fraction = TypeDatetime, int(w.Meta)
	case binlog.ColumnTimestamp2:
		c.Type, c.Fraction = TypeTimestamp, int(w.Meta)
	case binlog.ColumnTime2:
		c.Type, c.Fraction = TypeTime, int(w.Meta)
	case binlog.ColumnJSON:
		c.Type = TypeJSON
	case binlog.ColumnGeometry:
		c.Type = TypeGeometry
	case binlog.ColumnVector:
		c.Type, c.Size = TypeVector, w.Length
	default:
		return textualColumnOf(c, w, collations)
	}
	return c, nil
}

func integerTypes(t binlog.ColumnType) Type {
	switch t {
	case binlog.ColumnTiny:
		return TypeTinyInt
	case binlog.ColumnShort:
		return TypeSmallInt
	case binlog.ColumnInt24:
		return TypeMediumInt
	case binlog.ColumnLong:
		return TypeInt
	}
	return TypeBigInt
}

// textualColumnOf tells text from bytes by the collation, as the server does.
func textualColumnOf(c Column, w binlog.TableMapColumn, collations map[uint64]string) (Column, error) {
	charset, ok := collations[w.Collation]
	if !ok {
		return c, fmt.Errorf("%w: column type %d with unknown collation %d", ErrUnsupportedType, w.Type, w.Collation)
	}
	type pair struct{ text, bytes Type }
	var types pair
	switch w.Type {
	case binlog.ColumnString:
		types, c.Size = pair{TypeChar, TypeBinary}, w.Length
	case binlog.ColumnVarchar, binlog.ColumnVarString:
		types, c.Size = pair{TypeVarchar, TypeVarbinary}, w.Length
	case binlog.ColumnBlob:
		types, c.Size = pair{TypeText, TypeBlob}, int(w.Meta)
	case binlog.ColumnVarcharZ: // it holds how it is compressed, too
		types, c.Size, c.Compressed = pair{TypeVarchar, TypeVarbinary}, w.Length-1, true
	case binlog.ColumnBlobZ:
		types, c.Size, c.Compressed = pair{TypeText, TypeBlob}, int(w.Meta), true
	case binlog.ColumnEnum, binlog.ColumnSet:
		return elementsColumnOf(c, w, charset)
	default:
		return c, fmt.Errorf("%w: column type %d", ErrUnsupportedType, w.Type)
	}
	c.Type, c.Charset = types.text, charset
	if charset == charsetBinary {
		c.Type, c.Charset = types.bytes, ""
	}
	return c, nil
}

const charsetBinary = "binary"

func elementsColumnOf(c Column, w binlog.TableMapColumn, charset string) (Column, error) {
	c.Type, c.Charset = TypeEnum, charset
	if w.Type == binlog.ColumnSet {
		c.Type = TypeSet
	}
	elements, err := elementsOf(w, charset)
	if err != nil {
		return c, fmt.Errorf("%s: %w", c.Type, err)
	}
	for _, e := range elements {
		c.Elements = append(c.Elements, describedElement(e))
	}
	return c, nil
}

// elementsOf gives the elements of an ENUM or SET as UTF-8.
func elementsOf(w binlog.TableMapColumn, charset string) ([]string, error) {
	decode := textDecoder(charset)
	if decode == nil {
		return nil, fmt.Errorf("%w: character set %s", ErrUnsupportedType, charset)
	}
	elements := make([]string, len(w.Elements))
	for i, e := range w.Elements {
		text := growable{mem: memory.DefaultAllocator}
		if err := decode(&text, []byte(e)); err != nil {
			return nil, fmt.Errorf("an element: %w", err)
		}
		elements[i] = string(text.b)
	}
	return elements, nil
}

// describedElement is an element as information_schema shows it, which knows no characters
// beyond sixteen bits.
func describedElement(element string) string {
	keep := func(r rune) rune {
		if r > 0xffff {
			return '?'
		}
		return r
	}
	return strings.Map(keep, element)
}
