package statement

import (
	"strconv"
	"strings"
	"testing"
)

func commentsCases() []scanCase {
	dropped := sure(DropTable, "d.t")
	return []scanCase{
		{"/* a */ -- b\n# c\nDROP/**/TABLE/* ' */t", mysql(), dropped},
		{"/*/ not closed */ DROP TABLE t", mysql(), dropped},
		{"DROP TABLE t --\tcomment", mysql(), dropped},
		{"DROP TABLE t --", mysql(), dropped},
		{"DROP TABLE t # `", mysql(), dropped},
		{"# a\x00DROP TABLE t", mysql(), doubtful(Unknown)},
		{"DROP TABLE t --x", mysql(), doubtful(DropTable, "d.t")},
		{"/*!40000 DROP */ /*! TABLE */ t", mysql(), dropped},
		{"/*!50001DROP*//*!080000TABLE*//*!t*/", mysql(), dropped},
		{"/*!40000 DROP /* why */ TABLE */ t", mysql(), dropped},
		{"/*! DROP /*!80000 TABLE /*!90000 t */ */ */", mysql(), dropped},
		{"/*! DROP TABLE t */ */", mysql(), doubtful(DropTable, "d.t")},
		{"/*!1234 */ DROP TABLE t", mysql(), doubtful(Unknown)},
		{"/*+ MAX_EXECUTION_TIME(1) */ DROP TABLE t", mysql(), dropped},
		{"/* 99999 ALTER */ DROP TABLE t", mysql(), dropped},
		{"DROP TABLE t /*M!, u */", mysql(), dropped},
		{"DROP TABLE t /*M!, u */", maria(), sure(DropTable, "d.t", "d.u")},
		{"DROP TABLE t /*M!100100 , u */", maria(), sure(DropTable, "d.t", "d.u")},
		{"DROP TABLE t /*M!50701 , u */", maria(), sure(DropTable, "d.t", "d.u")},
		{"DROP TABLE t /*!50699 , u */", maria(), sure(DropTable, "d.t", "d.u")},
		{"DROP TABLE t /*!100100 , u */", maria(), sure(DropTable, "d.t", "d.u")},
		{"DROP TABLE t /*!50700 , u */", maria(), dropped},
		{"DROP TABLE t /*!99999 , u /* v */ , w */", maria(), dropped},
		{"DROP TABLE t /*!80000 , u /* v */ , w", maria(), doubtful(DropTable, "d.t")},
		{"DROP TABLE t /*!80000 , u */", mysql(), sure(DropTable, "d.t", "d.u")},
		{"DROP TABLE t /*! , u", mysql(), doubtful(DropTable, "d.t", "d.u")},
		{"DROP TABLE t /* no end", mysql(), doubtful(DropTable, "d.t")},
	}
}

func namesCases() []scanCase {
	return []scanCase{
		{"DROP TABLE `a``b`.`c.d e`", mysql(), Statement{
			Kind: DropTable, Tables: []Name{{Schema: "a`b", Table: "c.d e"}}, Certain: true,
		}},
		{`DROP TABLE "a""b"`, ansi(), sure(DropTable, `d.a"b`)},
		{`DROP TABLE "a\"`, ansi(), sure(DropTable, `d.a\`)},
		{`DROP TABLE "a"`, mysql(), doubtful(DropTable, "d.a")},
		{"DROP TABLE 'a'", mysql(), doubtful(DropTable)},
		{"DROP TABLE grün.$x_9", mysql(), sure(DropTable, "grün.$x_9")},
		{"DROP TABLE 表.`таблица`", mysql(), sure(DropTable, "表.таблица")},
		{"DROP TABLE 1abc, db.1abc, db.123, db.1e5, 9d.1", mysql(), sure(DropTable, "d.1abc", "db.1abc", "db.123", "db.1e5", "9d.1")},
		{"DROP TABLE .t", mysql(), sure(DropTable, "d.t")},
		{"DROP TABLE db . t, db .u, db. v", mysql(), sure(DropTable, "db.t", "db.u", "db.v")},
		{"DROP TABLE db./* x */table, db.select", mysql(), sure(DropTable, "db.table", "db.select")},
		{"DROP TABLE x, b, n, x.x, b.b", mysql(), sure(DropTable, "d.x", "d.b", "d.n", "x.x", "b.b")},
		{"DROP TABLE `no end", mysql(), doubtful(DropTable, "d.no end")},
		{"DROP TABLE caf\xe9", mysql(), doubtful(DropTable, "d.caf\xe9")},
		{"DROP TABLE a.", mysql(), doubtful(DropTable)},
		{"DROP TABLE a..b", mysql(), doubtful(DropTable)},
	}
}

func literalsCases() []scanCase {
	altered := sure(AlterTable, "d.t")
	renamedTo := renamed(sure(AlterTable, "d.t", "d.u"), "d.t", "d.u")
	return []scanCase{
		{"ALTER TABLE t COMMENT 'it''s RENAME u'", mysql(), altered},
		{`ALTER TABLE t COMMENT 'it\'s RENAME u'`, mysql(), altered},
		{`ALTER TABLE t COMMENT 'a\', RENAME u`, noEscapes(), renamedTo},
		{`ALTER TABLE t COMMENT "a""\" RENAME u"`, mysql(), altered},
		{`ALTER TABLE t COMMENT "a\", RENAME u`, noEscapes(), renamedTo},
		{`ALTER TABLE t ADD "a\", RENAME u`, ansi(), renamedTo},
		{"ALTER TABLE t ADD a CHAR(9) DEFAULT _utf8mb4'RENAME', RENAME u", mysql(), renamedTo},
		{"ALTER TABLE t ADD a CHAR(9) DEFAULT _latin1 'it\\'s', RENAME u", mysql(), renamedTo},
		{"ALTER TABLE t ADD a CHAR(9) DEFAULT N'it''s', RENAME u", mysql(), renamedTo},
		{"ALTER TABLE t ADD a CHAR(9) DEFAULT n'it\\'s', RENAME u", mysql(), renamedTo},
		{"ALTER TABLE t ADD a CHAR(9) DEFAULT X'4D', RENAME u", mysql(), renamedTo},
		{"ALTER TABLE t ADD a BIT(4) DEFAULT b'0101', RENAME u", mysql(), renamedTo},
		{"ALTER TABLE t ADD a INT DEFAULT -1.5e-3, RENAME u", mysql(), renamedTo},
		{"ALTER TABLE t ADD a INT DEFAULT 1., RENAME u", mysql(), renamedTo},
		{"ALTER TABLE t ADD a INT DEFAULT .5, RENAME u", mysql(), renamedTo},
		{"ALTER TABLE t ADD a INT AS (b--1) RENAME u", mysql(), renamedTo},
		{"ALTER TABLE t ADD a INT AS (4/2*1) RENAME u", mysql(), renamedTo},
		{"CREATE TABLE t AS SELECT 1. FROM u", mysql(), asSelect(sure(CreateTable, "d.t"))},
		{"UPDATE t JOIN u ON u.a = 1. JOIN v ON v.a = 2.5E+1 SET t.b = 1", mysql(), sure(Update, "d.t", "d.u", "d.v")},
		{"ALTER TABLE t COMMENT X'4", mysql(), doubtful(AlterTable, "d.t")},
		{`ALTER TABLE t COMMENT 'a\`, mysql(), doubtful(AlterTable, "d.t")},
	}
}

// TestLongTexts would not end in its time if anything were quadratic.
func TestLongTexts(t *testing.T) {
	const many = 200_000
	var drop strings.Builder
	drop.WriteString("DROP TABLE t0")
	for i := range many {
		drop.WriteString(",t" + strconv.Itoa(i))
	}
	drop.WriteString(",t7,t100000")
	if got := Scan([]byte(drop.String()), mysql()); len(got.Tables) != many || !got.Certain {
		t.Errorf("DROP TABLE of %d tables gives %d, certain %v", many, len(got.Tables), got.Certain)
	}
	list := strings.Repeat("a,", many)
	for _, sql := range []string{
		"DELETE " + list + "a FROM " + list + "a",
		"WITH " + strings.Repeat("a AS (SELECT 1),", many),
		strings.Repeat("SET STATEMENT a=1 FOR ", many),
		strings.Repeat("(", many) + "SELECT 1",
		"UPDATE " + strings.Repeat("(", many) + "a",
		"CREATE TABLE t " + strings.Repeat("START ", many),
	} {
		if got := Scan([]byte(sql), mysql()); got.Certain != strings.HasPrefix(sql, "CREATE") {
			t.Errorf("Scan(%.40q...) = %.200v", sql, got)
		}
	}
}
