package capture

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"cdcd/capture/binlog"
	"cdcd/capture/statement"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// scan reads a logged statement and gives its text as UTF-8. It stands in the log as the
// client sent it: in the client's character set, and with names in any case where the
// server does not tell cases apart.
func (s *Stream) scan(q binlog.Query) (statement.Statement, []byte) {
	sql, known := s.queryText(q)
	st := statement.Scan(sql, s.scanOptions(q))
	if !known {
		st.Certain = false
	}
	if s.fold {
		foldNames(&st)
	}
	return st, sql
}

// scanOptions gives what a statement's session says of how it is read.
func (s *Stream) scanOptions(q binlog.Query) statement.Options {
	return statement.Options{
		DefaultSchema:      string(q.Schema),
		ANSIQuotes:         q.SQLMode&binlog.SQLModeANSIQuotes != 0,
		NoBackslashEscapes: q.SQLMode&binlog.SQLModeNoBackslashEscapes != 0,
		MariaDB:            s.flavor == MariaDB,
	}
}

// queryText gives a statement as UTF-8. known is false where its character set is not: then
// names that are not ASCII cannot be told.
func (s *Stream) queryText(q binlog.Query) (sql []byte, known bool) {
	charset := s.collate[uint64(q.Charset)]
	if asciiPrefix(q.SQL) == len(q.SQL) && charset != charsetSWE7 {
		return q.SQL, true
	}
	switch {
	case isUTF8(charset):
		return q.SQL, true // what is not UTF-8 in it are values: names are checked
	case charset == "", charset == charsetBinary:
		return q.SQL, utf8.Valid(q.SQL)
	}
	decode := textDecoder(charset)
	text := growable{mem: memory.DefaultAllocator}
	if decode == nil || decode(&text, q.SQL) != nil {
		return q.SQL, false
	}
	if charset == charsetSWE7 { // the byte of its é quotes names, too
		return bytes.ReplaceAll(text.b, []byte("é"), []byte("`")), false
	}
	return text.b, true
}

// charsetSWE7 is the only character set of a client in which ASCII is not itself: it has letters
// in place of some punctuation.
const charsetSWE7 = "swe7"

// foldNames puts all names into lower case, in which the server keeps them.
func foldNames(st *statement.Statement) {
	lower := func(n *statement.Name) { n.Schema, n.Table = strings.ToLower(n.Schema), strings.ToLower(n.Table) }
	for i := range st.Tables {
		lower(&st.Tables[i])
	}
	for i := range st.Renames {
		lower(&st.Renames[i].From)
		lower(&st.Renames[i].To)
	}
	st.Schema = strings.ToLower(st.Schema)
}
