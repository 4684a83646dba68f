package capture

import (
	"errors"
	"fmt"

	"cdcd/capture/statement"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// errDefinition reports a column type that is not one of those that are followed.
var errDefinition = errors.New("its type is not understood")

// column gives the column that a definition describes. like is what the column was before, nil
// for a new one: where the text does not name a character set, that of like stands in, for the
// log does not tell the table's own. What is not told shows in the next TABLE_MAP.
func (s session) column(name string, d statement.Definition, like *Column) (Column, error) {
	if s.oracle && d.Type == "DATE" || s.maxDB && d.Type == "TIMESTAMP" {
		d.Type = "DATETIME"
	}
	c := Column{Name: name, Nullable: d.Null != statement.NotNull, Unsigned: d.Unsigned}
	if c.numeric(d, s) || c.temporal(d) || c.special(d) {
		return c, c.checkSizes(d)
	}
	c.Unsigned = false
	if d.Binary || c.bytes(d) {
		if c.Type == "" {
			c.bytesOfText(d)
		}
		return c, c.checkSizes(d)
	}
	c.Charset = canonicalCharset(d.Charset)
	if c.Charset == "" && like != nil && like.Charset != "" {
		c.Charset = like.Charset
	}
	if c.Charset == "" {
		c.Charset = "utf8mb4"
	}
	switch {
	case d.Type == "JSON" && s.mariaDB:
		c.Type, c.Size, c.Charset = TypeText, 4, "utf8mb4"
		return c, nil
	case d.Type == "JSON":
		c.Type, c.Charset = TypeJSON, ""
		return c, nil
	}
	if textDecoder(c.Charset) == nil {
		return c, fmt.Errorf("%w: character set %s", ErrUnsupportedType, c.Charset)
	}
	return c, c.text(d)
}

// checkSizes refuses a type that was not found, or has sizes that it cannot have.
func (c *Column) checkSizes(d statement.Definition) error {
	if c.Type == "" || len(d.Sizes) > 2 {
		return fmt.Errorf("%w: %s", errDefinition, d.Type)
	}
	return nil
}

// size gives the i-th size in parentheses, or what stands for it.
func size(d statement.Definition, i, otherwise int) int {
	if i < len(d.Sizes) {
		return d.Sizes[i]
	}
	return otherwise
}

// numeric takes a numeric type in.
func (c *Column) numeric(d statement.Definition, s session) bool {
	switch d.Type {
	case "TINYINT", "INT1", "BOOL", "BOOLEAN":
		c.Type = TypeTinyInt
	case "SMALLINT", "INT2":
		c.Type = TypeSmallInt
	case "MEDIUMINT", "INT3", "MIDDLEINT":
		c.Type = TypeMediumInt
	case "INT", "INTEGER", "INT4":
		c.Type = TypeInt
	case "BIGINT", "INT8":
		c.Type = TypeBigInt
	case "DECIMAL", "DEC", "NUMERIC", "FIXED":
		c.Type, c.Precision, c.Scale = TypeDecimal, size(d, 0, 10), size(d, 1, 0)
		if c.Precision == 0 {
			c.Precision = 10
		}
	case "FLOAT", "FLOAT4":
		c.Type = TypeFloat
		if len(d.Sizes) == 1 && d.Sizes[0] > 24 {
			c.Type = TypeDouble
		}
	case "REAL":
		c.Type = TypeDouble
		if s.realAsFloat {
			c.Type = TypeFloat
		}
	case "DOUBLE", "DOUBLE PRECISION", "FLOAT8":
		c.Type = TypeDouble
	case "BIT":
		c.Type, c.Size = TypeBit, size(d, 0, 1)
	default:
		return false
	}
	return true
}

// temporal takes a type of dates and times in.
func (c *Column) temporal(d statement.Definition) bool {
	switch d.Type {
	case "DATE":
		c.Type = TypeDate
	case "YEAR":
		c.Type = TypeYear
	case "DATETIME":
		c.Type, c.Fraction = TypeDatetime, size(d, 0, 0)
	case "TIMESTAMP":
		c.Type, c.Fraction = TypeTimestamp, size(d, 0, 0)
	case "TIME":
		c.Type, c.Fraction = TypeTime, size(d, 0, 0)
	default:
		return false
	}
	c.Unsigned = false
	return true
}

// special takes a type in that is stored in a form of its own.
func (c *Column) special(d statement.Definition) bool {
	switch d.Type {
	case "GEOMETRY", "POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMCOLLECTION", "GEOMETRYCOLLECTION":
		c.Type = TypeGeometry
	case "VECTOR":
		c.Type, c.Size = TypeVector, 4*size(d, 0, 2048)
	case "UUID":
		c.Type = TypeUUID
	case "INET4":
		c.Type = TypeInet4
	case "INET6":
		c.Type = TypeInet6
	default:
		return false
	}
	c.Unsigned = false
	return true
}

// bytes takes a type of bytes in.
func (c *Column) bytes(d statement.Definition) bool {
	switch d.Type {
	case "BINARY":
		c.Type, c.Size = TypeBinary, size(d, 0, 1)
	case "VARBINARY":
		c.Type, c.Size = TypeVarbinary, size(d, 0, 0)
	case "TINYBLOB":
		c.Type, c.Size = TypeBlob, 1
	case "BLOB":
		c.Type, c.Size = TypeBlob, lengthBytes(size(d, 0, 1<<16-1))
	case "MEDIUMBLOB", "LONG VARBINARY":
		c.Type, c.Size = TypeBlob, 3
	case "LONGBLOB":
		c.Type, c.Size = TypeBlob, 4
	default:
		return false
	}
	return true
}

// bytesOfText takes in what CHARACTER SET binary makes of a type of text.
func (c *Column) bytesOfText(d statement.Definition) {
	switch d.Type {
	case "CHAR", "CHARACTER":
		c.Type, c.Size = TypeBinary, size(d, 0, 1)
	case "VARCHAR", "CHARACTER VARYING":
		c.Type, c.Size = TypeVarbinary, size(d, 0, 0)
	case "TINYTEXT":
		c.Type, c.Size = TypeBlob, 1
	case "TEXT":
		c.Type, c.Size = TypeBlob, lengthBytes(size(d, 0, 1<<16-1))
	case "MEDIUMTEXT":
		c.Type, c.Size = TypeBlob, 3
	case "LONGTEXT":
		c.Type, c.Size = TypeBlob, 4
	}
}

// text takes a type of text in, whose character set is there already.
func (c *Column) text(d statement.Definition) error {
	width := charsetWidth(c.Charset)
	switch d.Type {
	case "NATIONAL CHAR", "NATIONAL CHARACTER", "NCHAR", "NATIONAL VARCHAR", "NATIONAL CHAR VARYING", "NATIONAL CHARACTER VARYING", "NCHAR VARCHAR", "NCHAR VARYING", "NVARCHAR":
		return fmt.Errorf("%w: %s", errDefinition, d.Type) // of a character set that differs between servers
	case "CHAR", "CHARACTER":
		c.Type, c.Size = TypeChar, size(d, 0, 1)*width
	case "VARCHAR", "CHAR VARYING", "CHARACTER VARYING", "VARCHARACTER":
		c.Type, c.Size = TypeVarchar, size(d, 0, 0)*width
	case "TINYTEXT":
		c.Type, c.Size = TypeText, 1
	case "TEXT":
		c.Type, c.Size = TypeText, 2
		if len(d.Sizes) > 0 {
			c.Size = lengthBytes(d.Sizes[0] * width)
		}
	case "MEDIUMTEXT", "LONG", "LONG VARCHAR", "LONG CHAR VARYING":
		c.Type, c.Size = TypeText, 3
	case "LONGTEXT":
		c.Type, c.Size = TypeText, 4
	case "ENUM", "SET":
		return c.elements(d)
	default:
		return fmt.Errorf("%w: %s", errDefinition, d.Type)
	}
	return nil
}

// elements takes the elements of an ENUM or SET in. The server drops trailing spaces.
func (c *Column) elements(d statement.Definition) error {
	c.Type = TypeEnum
	if d.Type == "SET" {
		c.Type = TypeSet
	}
	for _, e := range d.Elements {
		for len(e) > 0 && e[len(e)-1] == ' ' {
			e = e[:len(e)-1]
		}
		text := growable{mem: memory.DefaultAllocator}
		if err := readUTF8(&text, e); err != nil {
			return fmt.Errorf("element of %s: %w", c.Type, err)
		}
		c.Elements = append(c.Elements, describedElement(string(text.b)))
	}
	if len(c.Elements) == 0 {
		return fmt.Errorf("%w: %s", errDefinition, d.Type)
	}
	return nil
}

// lengthBytes is how many bytes hold the length of a text or blob of up to n bytes.
func lengthBytes(n int) int {
	switch {
	case n < 1<<8:
		return 1
	case n < 1<<16:
		return 2
	case n < 1<<24:
		return 3
	}
	return 4
}

// charsetWidth is how many bytes the longest character of a set has.
func charsetWidth(charset string) int {
	switch charset {
	case "utf8mb4", "utf16", "utf16le", "utf32", "gb18030":
		return 4
	case "utf8mb3", "utf8", "ujis", "eucjpms":
		return 3
	case "ucs2", "sjis", "cp932", "gbk", "gb2312", "big5", "euckr":
		return 2
	}
	return 1
}
