package datafile

import (
	"fmt"
	"strconv"

	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/iceberg-go"
)

// The table properties that say how files are compressed.
const (
	codecProperty = "write.parquet.compression-codec"
	levelProperty = "write.parquet.compression-level"
)

// Compression is how the pages of a file are compressed.
type Compression struct {
	codec compress.Compression
	level int
}

// DefaultCompression is zstd at a level that costs little.
func DefaultCompression() Compression { return Compression{compress.Codecs.Zstd, zstdLevel} }

const (
	zstdLevel     = 1
	mostZstdLevel = 22
	gzipLevel     = 6
	mostGzipLevel = 9
)

// CompressionOf reads what a table's properties say. The error says what is possible; without
// the property it is the default.
func CompressionOf(p iceberg.Properties) (Compression, error) {
	c, most := DefaultCompression(), mostZstdLevel
	switch name := p.Get(codecProperty, "zstd"); name {
	case "zstd":
	case "gzip":
		c, most = Compression{compress.Codecs.Gzip, gzipLevel}, mostGzipLevel
	case "snappy":
		c, most = Compression{compress.Codecs.Snappy, 0}, 0
	case "uncompressed":
		c, most = Compression{compress.Codecs.Uncompressed, 0}, 0
	default:
		return DefaultCompression(), fmt.Errorf("%s: cdcd writes zstd, gzip, snappy or uncompressed, not %q", codecProperty, name)
	}
	text, ok := p[levelProperty]
	if !ok || most == 0 { // these have no levels
		return c, nil
	}
	level, err := strconv.Atoi(text)
	if err != nil || level < 1 || level > most {
		return DefaultCompression(), fmt.Errorf("%s: want 1 to %d for this codec, have %q", levelProperty, most, text)
	}
	c.level = level
	return c, nil
}
