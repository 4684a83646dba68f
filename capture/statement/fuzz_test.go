package statement

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// The bits of the fuzzer's flags.
const (
	fuzzANSI = 1 << iota
	fuzzNoEscapes
	fuzzMariaDB
	fuzzSchema
)

func FuzzScan(f *testing.F) {
	for i, c := range allCases() {
		f.Add([]byte(c.sql), flagsOf(c.opts), uint64(i))
	}
	f.Fuzz(func(t *testing.T, sql []byte, flags uint8, seed uint64) {
		o := optionsOf(flags)
		before := bytes.Clone(sql)
		got := Scan(sql, o)
		if !bytes.Equal(sql, before) {
			t.Errorf("Scan(%q) has changed its text to %q", before, sql)
		}
		checkInvariants(t, sql, got)
		tokens, malformed := split(sql, o)
		if malformed {
			if got.Certain && got.Kind != Harmless {
				t.Errorf("Scan(%q, %+v) is certain of malformed text: %+v", sql, o, got)
			}
			return
		}
		spaced := respaced(tokens, rand.New(rand.NewPCG(seed, 0)))
		if again := Scan(spaced, o); !reflect.DeepEqual(again, got) {
			t.Errorf("options %+v:\nScan(%q) = %+v\nScan(%q) = %+v", o, sql, got, spaced, again)
		}
	})
}

func flagsOf(o Options) (flags uint8) {
	if o.ANSIQuotes {
		flags |= fuzzANSI
	}
	if o.NoBackslashEscapes {
		flags |= fuzzNoEscapes
	}
	if o.MariaDB {
		flags |= fuzzMariaDB
	}
	if o.DefaultSchema != "" {
		flags |= fuzzSchema
	}
	return flags
}

func optionsOf(flags uint8) Options {
	o := Options{
		ANSIQuotes:         flags&fuzzANSI != 0,
		NoBackslashEscapes: flags&fuzzNoEscapes != 0,
		MariaDB:            flags&fuzzMariaDB != 0,
	}
	if flags&fuzzSchema != 0 {
		o.DefaultSchema = "d"
	}
	return o
}

// checkInvariants checks what holds of every answer.
func checkInvariants(t *testing.T, sql []byte, s Statement) {
	t.Helper()
	named := map[Name]bool{}
	for _, n := range s.Tables {
		if n.Table == "" || named[n] {
			t.Errorf("Scan(%q) has an empty name or one twice: %+v", sql, s)
		}
		named[n] = true
	}
	for _, r := range s.Renames {
		if !named[r.From] || !named[r.To] {
			t.Errorf("Scan(%q) renames what is no target: %+v", sql, s)
		}
	}
	for _, f := range s.Fates(func(n Name) bool { return len(n.Table)%2 == 0 }) {
		if !named[f.Name] || f.Kind == Taken && (f.Was == f.Name || !named[f.Was]) {
			t.Errorf("Scan(%q) has the fate %+v", sql, f)
		}
	}
	xa := s.Kind >= XAStart && s.Kind <= XARollback
	table := s.Kind >= CreateTable && s.Kind <= TruncateTable || s.Kind >= Insert && s.Kind <= LoadData
	databases := s.Kind >= CreateDatabase && s.Kind <= DropDatabase
	called := s.Kind >= Call && s.Kind <= Do
	for _, wrong := range []struct {
		what string
		is   bool
	}{
		{"kind out of range", s.Kind >= kinds},
		{"certain of nothing", s.Certain && len(s.Tables) == 0 && (table || s.Kind == Unknown)},
		{"certain of a call", s.Certain && called},
		{"database of no name", s.Certain && databases && s.Schema == ""},
		{"misplaced tables", s.Tables != nil && !table && s.Kind != Unknown},
		{"misplaced schema", s.Schema != "" && !databases},
		{"misplaced temporary", s.Temporary && s.Kind != CreateTable && s.Kind != DropTable},
		{"misplaced partition", s.Partition && s.Kind != AlterTable && s.Kind != Unknown},
		{"misplaced query", s.AsSelect && s.Kind != CreateTable},
		{"misplaced IF EXISTS", s.IfExists && s.Kind != RenameTable},
		{"misplaced OR REPLACE", s.Replaces && s.Kind != CreateDatabase},
		{"misplaced xid", s.XID != "" && !xa},
		{"xa without xid", s.Certain && xa && s.XID == ""},
		{"xid not canonical", s.XID != "" && !isXID(s.XID)},
		{"misplaced renames", s.Renames != nil && s.Kind != RenameTable && s.Kind != AlterTable && s.Kind != Unknown},
		{"rename without a pair", s.Certain && s.Kind == RenameTable && s.Renames == nil},
		{"renamed more than once", s.Kind == AlterTable && len(s.Renames) > 1},
	} {
		if wrong.is {
			t.Errorf("Scan(%q): %s: %+v", sql, wrong.what, s)
		}
	}
}

// isXID tells whether s is like "6162,,1".
func isXID(s string) bool {
	parts := strings.Split(s, ",")
	return len(parts) == 3 && isHex(parts[0]) && isHex(parts[1]) && parts[2] != "" && strings.Trim(parts[2], "0123456789") == ""
}

func isHex(s string) bool { return len(s)%2 == 0 && strings.Trim(s, "0123456789ABCDEF") == "" }

// span is a token, and whether it touches the one before it.
type span struct {
	raw     []byte
	touches bool
}

// split gives the tokens of a text without what is between them.
func split(sql []byte, o Options) (tokens []span, malformed bool) {
	l := lexer{src: sql, opts: o}
	end := 0
	for t := l.next(); t.kind != endToken; t = l.next() {
		tokens = append(tokens, span{raw: t.raw, touches: l.pos-len(t.raw) == end})
		end = l.pos
	}
	return tokens, l.malformed
}

// respaced writes tokens with other comments and white space between them.
// Two dashes that touch are kept apart from a blank, which would make them a
// comment, by being kept apart from each other.
func respaced(tokens []span, random *rand.Rand) []byte {
	spaces := []string{
		" ", "\t", "\n", " /* c */ ", " /*!50000 */ ", " /*! */\r", " /*+ h */ ", "\f-- c ' ` \"\n", " # c */\n", " /*'*/ ",
		" /*!40000 /* c */ */ ",
	}
	var b []byte
	dash := false
	for _, t := range tokens {
		isDash := string(t.raw) == "-"
		switch {
		case dash && isDash:
			b = append(b, ' ')
		case !t.touches || random.IntN(2) == 0:
			b = append(b, spaces[random.IntN(len(spaces))]...)
		}
		b = append(b, t.raw...)
		dash = isDash
	}
	return append(b, spaces[random.IntN(len(spaces))]...)
}
