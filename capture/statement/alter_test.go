package statement

func alterTableCases() []scanCase {
	return []scanCase{
		{"ALTER TABLE t ADD COLUMN a INT DEFAULT 7", mysql(), sure(AlterTable, "d.t")},
		{"alter table a.t drop column b, modify c bigint", mysql(), sure(AlterTable, "a.t")},
		{"ALTER ONLINE IGNORE TABLE t ADD a INT", mysql(), sure(AlterTable, "d.t")},
		{"ALTER OFFLINE TABLE t ADD a INT", mysql(), sure(AlterTable, "d.t")},
		{"ALTER TABLE IF EXISTS t WAIT 10 ADD COLUMN IF NOT EXISTS a INT", maria(), sure(AlterTable, "d.t")},
		{"ALTER TABLE t NOWAIT RENAME u", maria(), renamed(sure(AlterTable, "d.t", "d.u"), "d.t", "d.u")},
		{"ALTER TABLE t ADD a INT, ALGORITHM=NOCOPY, LOCK=NONE", maria(), sure(AlterTable, "d.t")},
		{"ALTER TABLE t ADD a INT DEFAULT ( 1 + (2) ) /*!80023 INVISIBLE */ AFTER b", mysql(), sure(AlterTable, "d.t")},
		{"ALTER TABLE t COMMENT = 'RENAME TO x, DROP PARTITION p'", mysql(), sure(AlterTable, "d.t")},
		{"ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES u (b)", mysql(), sure(AlterTable, "d.t")},
		{"ALTER TABLE t ADD `partition` INT, ADD `rename` INT", mysql(), sure(AlterTable, "d.t")},
		{"ALTER TABLE t ADD import INT, ADD discard INT", mysql(), sure(AlterTable, "d.t")},
		{"ALTER TABLE t TABLESPACE = ts1 STORAGE DISK", mysql(), sure(AlterTable, "d.t")},
		{"ALTER TABLE t ADD SYSTEM VERSIONING", maria(), sure(AlterTable, "d.t")},
		{"ALTER TABLE t", mysql(), sure(AlterTable, "d.t")},
		{"ALTER TABLE", mysql(), doubtful(AlterTable)},
		{"ALTER TABLE t ADD a INT DEFAULT 'x", mysql(), doubtful(AlterTable, "d.t")},
		{"ALTER TABLE t ADD (a INT, b INT", mysql(), doubtful(AlterTable, "d.t")},
		{"ALTER TABLE t ADD a INT) ", mysql(), doubtful(AlterTable, "d.t")},
		{
			"SET STATEMENT max_statement_time=1 FOR ALTER TABLE t ADD a INT",
			maria(), sure(AlterTable, "d.t"),
		},
		{
			"SET STATEMENT a=(SELECT 1 FROM x FOR UPDATE), b='FOR' FOR ALTER TABLE t ADD a INT",
			maria(), sure(AlterTable, "d.t"),
		},
		{"SET STATEMENT a=1 FOR SET STATEMENT b=2 FOR DROP TABLE t", maria(), sure(DropTable, "d.t")},
		{"SET STATEMENT max_statement_time=1", maria(), doubtful(Harmless)},
		{"SET statement = 1", mysql(), sure(Harmless)},
	}
}

func alterTableRenameCases() []scanCase {
	return []scanCase{
		{"ALTER TABLE t RENAME u", mysql(), renamed(sure(AlterTable, "d.t", "d.u"), "d.t", "d.u")},
		{"ALTER TABLE t RENAME TO x.u, ADD a INT", mysql(), renamed(sure(AlterTable, "d.t", "x.u"), "d.t", "x.u")},
		{"ALTER TABLE t ADD a INT, RENAME AS `u`", mysql(), renamed(sure(AlterTable, "d.t", "d.u"), "d.t", "d.u")},
		{"ALTER TABLE t RENAME = u", mysql(), renamed(sure(AlterTable, "d.t", "d.u"), "d.t", "d.u")},
		{"ALTER TABLE x.t RENAME TO u", mysql(), renamed(sure(AlterTable, "x.t", "d.u"), "x.t", "d.u")},
		{"ALTER TABLE t RENAME TO u, RENAME TO v", mysql(), renamed(sure(AlterTable, "d.t", "d.u", "d.v"), "d.t", "d.v")},
		{"ALTER TABLE t RENAME COLUMN a TO b", mysql(), sure(AlterTable, "d.t")},
		{"ALTER TABLE t RENAME INDEX a TO b, RENAME KEY c TO d", mysql(), sure(AlterTable, "d.t")},
		{
			"ALTER TABLE t RENAME COLUMN a TO b, RENAME TO u",
			mysql(), renamed(sure(AlterTable, "d.t", "d.u"), "d.t", "d.u"),
		},
		{"ALTER TABLE t RENAME TO", mysql(), doubtful(AlterTable, "d.t")},
	}
}

func alterTablePartitionCases() []scanCase {
	return []scanCase{
		{"ALTER TABLE t ADD PARTITION (PARTITION p1 VALUES LESS THAN (9))", mysql(), partition(sure(AlterTable, "d.t"))},
		{"ALTER TABLE t DROP PARTITION p0, p1", mysql(), partition(sure(AlterTable, "d.t"))},
		{"ALTER TABLE t TRUNCATE PARTITION ALL", mysql(), partition(sure(AlterTable, "d.t"))},
		{
			"ALTER TABLE t EXCHANGE PARTITION p WITH TABLE x.u WITHOUT VALIDATION",
			mysql(), partition(sure(AlterTable, "d.t", "x.u")),
		},
		{"ALTER TABLE t REORGANIZE PARTITION p INTO (PARTITION q VALUES IN (1))", mysql(), partition(sure(AlterTable, "d.t"))},
		{"ALTER TABLE t COALESCE PARTITION 2", mysql(), partition(sure(AlterTable, "d.t"))},
		{"ALTER TABLE t REBUILD PARTITION p", mysql(), partition(sure(AlterTable, "d.t"))},
		{"ALTER TABLE t ADD a INT PARTITION BY HASH (id) PARTITIONS 4", mysql(), partition(sure(AlterTable, "d.t"))},
		{"ALTER TABLE t REMOVE PARTITIONING", mysql(), partition(sure(AlterTable, "d.t"))},
		{"ALTER TABLE t ADD partitioning INT", mysql(), sure(AlterTable, "d.t")},
		{"ALTER TABLE t CONVERT PARTITION p TO TABLE u", maria(), partition(sure(AlterTable, "d.t", "d.u"))},
		{
			"ALTER TABLE t CONVERT TABLE u TO PARTITION p VALUES LESS THAN (9)",
			maria(), partition(sure(AlterTable, "d.t", "d.u")),
		},
		{"ALTER TABLE t EXCHANGE PARTITION p WITH TABLE", mysql(), partition(doubtful(AlterTable, "d.t"))},
		{"ALTER TABLE t DISCARD TABLESPACE", mysql(), sure(Unknown, "d.t")},
		{"ALTER TABLE t IMPORT TABLESPACE", mysql(), sure(Unknown, "d.t")},
		{"ALTER TABLE t IMPORT PARTITION p TABLESPACE", mysql(), partition(sure(Unknown, "d.t"))},
	}
}
