package binlog

import "errors"

// JSONOp is what a JSONDiff does.
type JSONOp byte

// The operations.
const (
	JSONReplace JSONOp = iota // the value at the path becomes another one
	JSONInsert                // an object gets a member, or an array an element, which is at the path then
	JSONRemove                // what is at the path is taken out of its object or array
)

// JSONDiff is one change of a JSON document, of those that binlog_row_value_options = PARTIAL_JSON
// logs in place of the document.
type JSONDiff struct {
	Op    JSONOp
	Path  []byte // as text, from $ on
	Value []byte // binary JSON; nil where something is removed
}

var errBadDiff = errors.New("a damaged JSON diff")

// NextJSONDiff reads the first diff of a list, and gives what follows it.
func NextJSONDiff(list []byte) (JSONDiff, []byte, error) {
	c := cursor{b: list}
	d := JSONDiff{Op: JSONOp(c.u8())}
	d.Path = c.str()
	if d.Op != JSONRemove {
		d.Value = c.str()
	}
	if c.err != nil {
		return JSONDiff{}, nil, c.err
	}
	if d.Op > JSONRemove {
		return JSONDiff{}, nil, errBadDiff
	}
	return d, c.b, nil
}

// partialJSON is the only option of an after image that there is: it holds diffs.
const partialJSON = 1

// CutPartial reads what precedes the after image of a Rows that is Partial: a bit for each JSON
// column of the table, those in neither image too, which is set where the image has diffs of the
// document. nil stands for none. It gives the image, too.
func CutPartial(image []byte, jsonColumns int) (diffs, rest []byte, err error) {
	c := cursor{b: image}
	switch options := c.lenenc(); {
	case options&^partialJSON != 0:
		return nil, nil, errBadDiff
	case options != 0:
		diffs = c.take((jsonColumns + 7) / 8)
	}
	return diffs, c.b, c.err
}

// CutDiffs reads a list of diffs, which stands in the place of a value.
func CutDiffs(b []byte) (list, rest []byte, err error) {
	c := cursor{b: b}
	list = c.take(int(c.u32()))
	return list, c.b, c.err
}
