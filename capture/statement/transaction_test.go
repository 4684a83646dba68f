package statement

func transactionsCases() []scanCase {
	return []scanCase{
		{"BEGIN", mysql(), sure(Begin)},
		{"begin", mysql(), sure(Begin)},
		{"BEGIN;", mysql(), sure(Begin)},
		{" /* x */ BEGIN WORK ", mysql(), sure(Begin)},
		{"START TRANSACTION", mysql(), sure(Begin)},
		{"START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", mysql(), sure(Begin)},
		{"BEGIN NOT ATOMIC DELETE FROM t; END", maria(), doubtful(Unknown)},
		{"BEGIN DELETE FROM t; END", maria(), doubtful(Unknown)},
		{"COMMIT", mysql(), sure(Commit)},
		{"Commit Work", mysql(), sure(Commit)},
		{"COMMIT AND NO CHAIN NO RELEASE", mysql(), sure(Commit)},
		{"COMMIT t", mysql(), doubtful(Commit)},
		{"ROLLBACK", mysql(), sure(Rollback)},
		{"ROLLBACK WORK AND CHAIN", mysql(), sure(Rollback)},
		{"ROLLBACK TO x", mysql(), savepoint(RollbackTo, "x")},
		{"ROLLBACK WORK TO SAVEPOINT `x y`", mysql(), savepoint(RollbackTo, "x y")},
		{"SAVEPOINT x", mysql(), savepoint(Savepoint, "x")},
		{"SAVEPOINT `a``b`;", mysql(), savepoint(Savepoint, "a`b")},
		{"RELEASE SAVEPOINT x", mysql(), sure(Harmless)},
		{"SAVEPOINT", mysql(), doubtful(Savepoint)},
		{"RELEASE x", mysql(), doubtful(Unknown)},
	}
}

func savepoint(k Kind, name string) Statement {
	return Statement{Kind: k, Savepoint: name, Certain: true}
}

func xaCases() []scanCase {
	return []scanCase{
		{"XA START X'6162',X'',1", mysql(), xid(XAStart, "6162,,1")},
		{"XA BEGIN 'ab'", mysql(), xid(XAStart, "6162,,1")},
		{"XA START x JOIN", mysql(), xid(XAStart, "78,,1")},
		{"xa start 'ab','cd',7 resume", mysql(), xid(XAStart, "6162,6364,7")},
		{"XA END 'ab' SUSPEND FOR MIGRATE", mysql(), xid(XAEnd, "6162,,1")},
		{"XA END X'6aFf',x'6B',1", mysql(), xid(XAEnd, "6AFF,6B,1")},
		{"XA PREPARE 'ab'", mysql(), xid(XAPrepare, "6162,,1")},
		{"XA COMMIT X'6162',X'',1", mysql(), xid(XACommit, "6162,,1")},
		{"XA COMMIT 'ab' ONE PHASE", mysql(), xid(XACommit, "6162,,1")},
		{"XA COMMIT 'ab','',0x10", mysql(), xid(XACommit, "6162,,16")},
		{"XA COMMIT 0x6162,0b0110000101100010", mysql(), xid(XACommit, "6162,6162,1")},
		{"XA COMMIT 'ab','',010", mysql(), xid(XACommit, "6162,,10")},
		{`XA ROLLBACK "a""b"`, mysql(), xid(XARollback, "612262,,1")},
		{`XA ROLLBACK 'a''b\'\n\%\\'`, mysql(), xid(XARollback, "612762270A5C255C,,1")},
		{`XA ROLLBACK 'a\'`, noEscapes(), xid(XARollback, "615C,,1")},
		{"XA ROLLBACK 0x616, b'1', 18446744073709551615", mysql(), xid(XARollback, "0616,01,18446744073709551615")},
		{"XA ROLLBACK 0b101100001, N'x'", mysql(), xid(XARollback, "0161,78,1")},
		{"XA RECOVER CONVERT XID", mysql(), sure(Harmless)},
		{"XA COMMIT", mysql(), doubtful(XACommit)},
		{"XA COMMIT X'616'", mysql(), doubtful(XACommit)},
		{"XA COMMIT b'2'", mysql(), doubtful(XACommit)},
		{"XA COMMIT 'ab',", mysql(), doubtful(XACommit)},
		{"XA COMMIT 'ab','','1'", mysql(), doubtful(XACommit)},
		{"XA COMMIT 'ab', 'c', 1, 2", mysql(), Statement{Kind: XACommit, XID: "6162,63,1"}},
		{"XA FORGET 'ab'", mysql(), doubtful(Unknown)},
	}
}
