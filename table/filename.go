package table

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// FileName is what the name of a file says that an attempt of ours wrote.
type FileName struct {
	Fence, Epoch int64
	Stem         string // that all files of one attempt or Delta have in common: e<fence>-k<epoch>-<uuid>
	Dir          string // that it is in, below the table's location
}

// NewStem makes a stem that nobody else will, for a daemon's fence and the epoch of the newest
// Mark or a later one.
func NewStem(fence, epoch int64) string {
	return fmt.Sprintf("e%d-k%d-%s", fence, epoch, uuid.NewString())
}

// ParseFileName reads the last element of a file's path. ok is false for a name that a namer
// does not make.
func ParseFileName(base string) (n FileName, ok bool) {
	rest, list := strings.CutPrefix(base, "snap-")
	if list {
		id, after, _ := strings.Cut(rest, "-")
		if _, ok := number(id); !ok {
			return FileName{}, false
		}
		rest = after
	}
	stem, after, ok := n.parseStem(rest)
	if !ok {
		return FileName{}, false
	}
	n.Stem = stem
	n.Dir, ok = dirOf(after, list)
	return n, ok
}

// parseStem takes fence, epoch and UUID off the front of a name.
func (n *FileName) parseStem(name string) (stem, after string, ok bool) {
	const idLen = len("00000000-0000-0000-0000-000000000000")
	digits, e := strings.CutPrefix(name, "e")
	fence, rest, k := strings.Cut(digits, "-k")
	epoch, rest, u := strings.Cut(rest, "-")
	if !e || !k || !u || len(rest) < idLen {
		return "", "", false
	}
	id, err := uuid.Parse(rest[:idLen])
	if err != nil || id.String() != rest[:idLen] {
		return "", "", false
	}
	var numbers [2]bool
	n.Fence, numbers[0] = number(fence)
	n.Epoch, numbers[1] = number(epoch)
	after = rest[idLen:]
	return strings.TrimSuffix(name, after), after, numbers[0] && numbers[1]
}

// dirOf tells by the end of a name what is in the file, and so where it is.
func dirOf(end string, list bool) (dir string, ok bool) {
	if list {
		return "metadata", end == ".avro"
	}
	count, kind, _ := strings.Cut(end, ".")
	prefix, dir := "-", "data"
	switch kind {
	case "avro":
		prefix, dir = "-m", "metadata"
	case "parquet", "puffin":
	default:
		return "", false
	}
	digits, ok := strings.CutPrefix(count, prefix)
	if ok {
		_, ok = number(digits)
	}
	return dir, ok
}

// number reads a number as it is written in names.
func number(digits string) (int64, bool) {
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && n >= 0 && strconv.FormatInt(n, 10) == digits
}
