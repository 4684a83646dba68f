package statement

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// transaction reads the statements that begin, divide and end a transaction.
func (p *parser) transaction() {
	switch {
	case p.accept("BEGIN"):
		p.begin()
	case p.accept("START"):
		p.start()
	case p.accept("COMMIT"):
		p.out.Kind = Commit
		p.acceptAll("WORK", "AND", "NO", "CHAIN", "RELEASE")
		p.end()
	case p.accept("ROLLBACK"):
		p.rollback()
	case p.accept("RELEASE"):
		if !p.accept("SAVEPOINT") {
			p.unknown()
			return
		}
		p.savepoint(Harmless)
		p.out.Savepoint = ""
	case p.accept("SAVEPOINT"):
		p.savepoint(Savepoint)
	}
}

// begin reads behind BEGIN. Anything but WORK makes it the start of a block
// of MariaDB, such as BEGIN NOT ATOMIC, with any statement in it.
func (p *parser) begin() {
	p.accept("WORK")
	if !p.done() {
		p.unknown()
		return
	}
	p.out.Kind = Begin
}

// start reads behind START, which is not about transactions alone.
func (p *parser) start() {
	switch {
	case p.accept("TRANSACTION"):
		p.out.Kind = Begin
	case p.oneOf("REPLICA", "SLAVE", "ALL", "GROUP_REPLICATION"):
		p.out.Kind = Harmless
	default:
		p.unknown()
	}
}

func (p *parser) rollback() {
	p.acceptAll("WORK", "AND", "NO", "CHAIN", "RELEASE")
	if p.accept("TO") {
		p.accept("SAVEPOINT")
		p.savepoint(RollbackTo)
		return
	}
	p.out.Kind = Rollback
	p.end()
}

func (p *parser) savepoint(kind Kind) {
	name, ok := p.identifier()
	p.out.Kind, p.out.Savepoint = kind, name
	if !ok {
		p.doubt()
	}
	p.end()
}

// xa reads the statements of distributed transactions.
func (p *parser) xa() {
	p.next()
	switch {
	case p.accept("START", "BEGIN"):
		p.out.Kind = XAStart
	case p.accept("END"):
		p.out.Kind = XAEnd
	case p.accept("PREPARE"):
		p.out.Kind = XAPrepare
	case p.accept("COMMIT"):
		p.out.Kind = XACommit
	case p.accept("ROLLBACK"):
		p.out.Kind = XARollback
	case p.accept("RECOVER"):
		p.out.Kind = Harmless
		return
	default:
		p.unknown()
		return
	}
	xid, ok := p.xid()
	if !ok {
		p.doubt()
		return
	}
	p.out.XID = xid
	p.acceptAll("JOIN", "RESUME", "SUSPEND", "FOR", "MIGRATE", "ONE", "PHASE")
	p.end()
}

// xid consumes gtrid [, bqual [, formatID]]. Without them, bqual is empty and
// formatID is 1.
func (p *parser) xid() (string, bool) {
	gtrid, ok := p.xidPart()
	if !ok {
		return "", false
	}
	var bqual []byte
	format := uint64(1)
	if p.acceptSign(',') {
		if bqual, ok = p.xidPart(); !ok {
			return "", false
		}
	}
	if p.acceptSign(',') {
		var err error
		if format, err = strconv.ParseUint(string(p.tok.raw), p.formatBase(), 64); err != nil {
			return "", false
		}
		p.next()
	}
	return upperHex(gtrid) + "," + upperHex(bqual) + "," + strconv.FormatUint(format, 10), true
}

// formatBase tells the base of a formatID: 0x is read by its prefix, but a
// leading zero does not mean octal.
func (p *parser) formatBase() int {
	if p.tok.kind == wordToken {
		return 0
	}
	return 10
}

// xidPart consumes a gtrid or a bqual: a string, or a literal in bits, as
// X'..', B'..', 0x.. or 0b... A bare word stands for itself.
func (p *parser) xidPart() (part []byte, ok bool) {
	raw := p.tok.raw
	switch {
	case p.tok.kind == textToken:
		part, ok = p.tok.text(!p.lex.opts.NoBackslashEscapes), true
	case p.tok.kind == bitsToken && upper(raw[0]) == 'X':
		part, ok = fromHex(string(inner(raw[1:])))
	case p.tok.kind == bitsToken:
		part, ok = fromBits(string(inner(raw[1:])))
	case p.tok.kind == wordToken && len(raw) > 2 && string(raw[:2]) == "0x":
		part, ok = fromHex(padded(string(raw[2:]), 2))
	case p.tok.kind == wordToken && len(raw) > 2 && string(raw[:2]) == "0b":
		part, ok = fromBits(string(raw[2:]))
	case p.tok.kind == wordToken:
		part, ok = raw, true
	}
	if ok {
		p.next()
	}
	return part, ok
}

func upperHex(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }

func fromHex(digits string) ([]byte, bool) {
	b, err := hex.DecodeString(digits)
	return b, err == nil
}

// fromBits gives the bytes that a string of 0 and 1 spells, as the servers do:
// filled up with zeros on the left.
func fromBits(digits string) ([]byte, bool) {
	digits = padded(digits, 8)
	b := make([]byte, len(digits)/8)
	for i, c := range []byte(digits) {
		if c != '0' && c != '1' {
			return nil, false
		}
		b[i/8] = b[i/8]<<1 | (c - '0')
	}
	return b, true
}

// padded fills up digits with zeros on the left to a multiple of a length.
func padded(digits string, length int) string {
	if lack := len(digits) % length; lack > 0 {
		return strings.Repeat("0", length-lack) + digits
	}
	return digits
}
