package statement

func insertAndLoadCases() []scanCase {
	return []scanCase{
		{"INSERT INTO t VALUES (1, 'x')", mysql(), sure(Insert, "d.t")},
		{"insert t set a=1", mysql(), sure(Insert, "d.t")},
		{"INSERT LOW_PRIORITY IGNORE INTO a.t (b) SELECT b FROM u ON DUPLICATE KEY UPDATE b=1", mysql(), sure(Insert, "a.t")},
		{"INSERT DELAYED t VALUES (1)", mysql(), sure(Insert, "d.t")},
		{"INSERT /*+ NO_BKA(t) */ HIGH_PRIORITY INTO `t` PARTITION (p0) VALUES (1)", mysql(), sure(Insert, "d.t")},
		{"INSERT INTO t VALUES (1) RETURNING a", maria(), sure(Insert, "d.t")},
		{"REPLACE INTO t VALUES (1)", mysql(), sure(Replace, "d.t")},
		{"REPLACE DELAYED a.t SELECT 1", mysql(), sure(Replace, "a.t")},
		{"INSERT INTO t VALUES ('a", mysql(), doubtful(Insert, "d.t")},
		{"INSERT INTO t VALUES (1", mysql(), doubtful(Insert, "d.t")},
		{"INSERT INTO (a) VALUES (1)", mysql(), doubtful(Insert)},
		{"LOAD DATA INFILE '/tmp/into table x' INTO TABLE t FIELDS TERMINATED BY ','", mysql(), sure(LoadData, "d.t")},
		{"LOAD DATA CONCURRENT LOCAL INFILE 'f' REPLACE INTO TABLE a.t (@x) SET b=@x", mysql(), sure(LoadData, "a.t")},
		{"LOAD XML INFILE 'f' INTO TABLE t ROWS IDENTIFIED BY '<r>'", mysql(), sure(LoadData, "d.t")},
		{"LOAD DATA FROM MASTER", mysql(), doubtful(LoadData)},
		{"LOAD TABLE t FROM MASTER", mysql(), doubtful(Unknown)},
		{"LOAD INDEX INTO CACHE t", mysql(), sure(Harmless)},
	}
}

func updateCases() []scanCase {
	return []scanCase{
		{"update im set a=7", mysql(), sure(Update, "d.im")},
		{"UPDATE LOW_PRIORITY IGNORE a.t SET b=1 WHERE c IN (SELECT d FROM e)", mysql(), sure(Update, "a.t")},
		{"UPDATE t1, t2 JOIN t3 SET t1.a=1", mysql(), sure(Update, "d.t1", "d.t2", "d.t3")},
		{"UPDATE t1 AS x LEFT JOIN b.t2 y ON x.a = y.a AND (x.b, y.b) = (1, 2) SET x.c=1", mysql(), sure(Update, "d.t1", "b.t2")},
		{"UPDATE (t1, t2 CROSS JOIN (t3 NATURAL JOIN t4)) SET a=1", mysql(), sure(Update, "d.t1", "d.t2", "d.t3", "d.t4")},
		{"UPDATE t1 STRAIGHT_JOIN t2 USING (a, b) SET c=1", mysql(), sure(Update, "d.t1", "d.t2")},
		{"UPDATE t PARTITION (p0, p1) x USE INDEX (i, j) SET a=1", mysql(), sure(Update, "d.t")},
		{"UPDATE t JOIN (SELECT a FROM u, v) x ON x.a=t.a SET t.b=1", mysql(), sure(Update, "d.t")},
		{"UPDATE t JOIN ((SELECT 1) UNION (SELECT 2)) x SET t.b=1", mysql(), sure(Update, "d.t")},
		{"UPDATE t, JSON_TABLE('[1]', '$[*]' COLUMNS (a INT PATH '$')) AS j SET t.b=j.a", mysql(), sure(Update, "d.t")},
		{"UPDATE t, LATERAL (SELECT 1 a) AS l SET t.b=1", mysql(), sure(Update, "d.t")},
		{"UPDATE lateral SET b=1", maria(), sure(Update, "d.lateral")},
		{"UPDATE {OJ t LEFT JOIN u ON t.a=u.a} SET t.b=1", mysql(), sure(Update, "d.t", "d.u")},
		{"UPDATE t FOR PORTION OF p FROM '2000-01-01' TO '2001-01-01' SET a=1", maria(), sure(Update, "d.t")},
		{"WITH c AS (SELECT 1 a) UPDATE t JOIN c ON t.a=c.a SET t.b=1", mysql(), sure(Update, "d.t")},
		{"WITH c AS (SELECT 1 a) UPDATE t JOIN x.c JOIN C SET t.b=1", mysql(), sure(Update, "d.t", "x.c", "d.C")},
		{"UPDATE t", mysql(), doubtful(Update, "d.t")},
		{"UPDATE SET a=1", mysql(), doubtful(Update)},
		{"UPDATE t, SET a=1", mysql(), doubtful(Update, "d.t")},
		{"UPDATE (t SET a=1", mysql(), doubtful(Update, "d.t")},
		{"UPDATE t) SET a=1", mysql(), doubtful(Update, "d.t")},
		{"UPDATE t, 'x' SET a=1", mysql(), doubtful(Update, "d.t")},
	}
}

func deleteCases() []scanCase {
	return []scanCase{
		{"DELETE FROM t", mysql(), sure(Delete, "d.t")},
		{"DELETE LOW_PRIORITY QUICK IGNORE FROM a.t PARTITION (p) WHERE b=1 ORDER BY c LIMIT 1", mysql(), sure(Delete, "a.t")},
		{"DELETE FROM t AS x WHERE x.a=1", mysql(), sure(Delete, "d.t")},
		{"DELETE FROM t RETURNING a", maria(), sure(Delete, "d.t")},
		{"DELETE HISTORY FROM t BEFORE SYSTEM_TIME '2020-01-01'", maria(), sure(Delete, "d.t")},
		{"DELETE HISTORY, t FROM HISTORY JOIN t", maria(), sure(Delete, "d.HISTORY", "d.t")},
		{"DELETE HISTORY FROM t AS HISTORY", mysql(), sure(Delete, "d.t")},
		{"DELETE t FROM t JOIN u ON t.a=u.a", mysql(), sure(Delete, "d.t")},
		{"DELETE a, b.* FROM x AS a JOIN y b JOIN z", mysql(), sure(Delete, "d.x", "d.y")},
		{"DELETE e.t.*, u FROM e.t, u, v WHERE 1", mysql(), sure(Delete, "e.t", "d.u")},
		{"DELETE A FROM x a", mysql(), sure(Delete, "d.x")},
		{"DELETE A FROM x a JOIN y A", mysql(), sure(Delete, "d.y")},
		{"DELETE FROM a USING x AS a JOIN y", mysql(), sure(Delete, "d.x")},
		{"DELETE FROM a.*, b USING e.a JOIN f.b", mysql(), doubtful(Delete, "e.a", "f.b")},
		{"DELETE FROM e.a, f.b.* USING e.a JOIN f.b JOIN c", mysql(), sure(Delete, "e.a", "f.b")},
		{"DELETE t FROM t JOIN (SELECT a FROM u) AS x USING (a)", mysql(), sure(Delete, "d.t")},
		{"DELETE d.a FROM d.x AS a", mysql(), doubtful(Delete, "d.x")},
		{"DELETE aA FROM x aa JOIN y AA", mysql(), doubtful(Delete, "d.x", "d.y")},
		{"DELETE z FROM x JOIN y", mysql(), doubtful(Delete, "d.x", "d.y")},
		{"WITH c AS (SELECT 1) DELETE FROM t WHERE a IN (TABLE c)", mysql(), sure(Delete, "d.t")},
		{"WITH c AS (SELECT 1) DELETE c FROM t JOIN c", mysql(), doubtful(Delete, "d.t")},
		{"DELETE FROM a, b WHERE 1", mysql(), doubtful(Delete, "d.a", "d.b")},
		{"DELETE a WHERE 1", mysql(), doubtful(Delete)},
		{"DELETE", mysql(), doubtful(Delete)},
		{"DELETE FROM .*", mysql(), doubtful(Delete)},
	}
}

func otherChangesCases() []scanCase {
	return []scanCase{
		{"CALL p(1)", mysql(), doubtful(Call)},
		{"DO f(1), RELEASE_LOCK('x')", mysql(), doubtful(Do)},
		{"SELECT f(1)", mysql(), doubtful(Select)},
		{"SELECT `d`.`f`(_latin1'x' COLLATE 'latin1_swedish_ci')", mysql(), doubtful(Select)},
		{"((SELECT f(1)) UNION SELECT 2)", mysql(), doubtful(Select)},
		{"TABLE t", mysql(), doubtful(Select)},
		{"VALUES ROW(f(1))", mysql(), doubtful(Select)},
		{"WITH a AS (SELECT 1), b (x, y) AS (SELECT 2) SELECT f(x) FROM a, b", mysql(), doubtful(Select)},
		{"WITH RECURSIVE a AS (SELECT 1) CYCLE x, y RESTRICT SELECT f(1) FROM a", maria(), doubtful(Select)},
		{"WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", mysql(), sure(Insert, "d.t")},
		{"WITH a AS (SELECT 1) REPLACE t SELECT * FROM a", mysql(), sure(Replace, "d.t")},
		{"WITH a (SELECT 1) SELECT 2", mysql(), doubtful(Unknown)},
		{"WITH a AS (SELECT 1) WITH b AS (SELECT 1) SELECT 2", mysql(), doubtful(Unknown)},
		{"WITH a AS (SELECT 1) CYCLE x SELECT 2", maria(), doubtful(Unknown)},
		{"WITH a AS (SELECT 1) DROP TABLE t", mysql(), doubtful(Unknown)},
		{"ANALYZE UPDATE t SET a=1", maria(), sure(Update, "d.t")},
		{"ANALYZE FORMAT=JSON DELETE FROM t", maria(), sure(Delete, "d.t")},
		{"EXPLAIN ANALYZE DELETE t FROM t JOIN u", mysql(), sure(Delete, "d.t")},
		{"(DROP TABLE t)", mysql(), doubtful(Unknown)},
	}
}
