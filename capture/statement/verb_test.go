package statement

import (
	"strings"
	"testing"
)

func harmlessCases() []scanCase {
	statements := []string{
		"", " \t\r\n", ";", "/* nothing */", "-- nothing", "--", "# nothing", "/*!50000 */",
		"# Dummy event replacing event type 160 that slave cannot handle.",
		"CREATE USER 'a'@'%' IDENTIFIED WITH 'mysql_native_password' AS '*0'",
		"ALTER USER a IDENTIFIED BY <secret>", "DROP USER IF EXISTS a", "RENAME USER a TO b",
		"CREATE OR REPLACE ROLE r", "DROP ROLE r", "SET ROLE r", "SET DEFAULT ROLE ALL TO a",
		"GRANT ALL ON d.t TO a@localhost", "REVOKE ALL ON *.* FROM a", "SET PASSWORD FOR a = 'x'",
		"SET @x = 1", "SET SESSION sql_mode = 'ANSI'", "USE a",
		"CREATE VIEW v AS SELECT * FROM t", "DROP VIEW IF EXISTS v CASCADE",
		"CREATE OR REPLACE ALGORITHM=UNDEFINED DEFINER=`root`@`localhost` SQL SECURITY DEFINER VIEW v AS SELECT 1",
		"ALTER DEFINER = root@127.0.0.1 SQL SECURITY INVOKER VIEW v AS SELECT 1",
		"CREATE OR REPLACE JSON RELATIONAL DUALITY VIEW v AS SELECT 1",
		"CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1",
		"CREATE DEFINER=`root`@`%` TRIGGER g AFTER DELETE ON t FOR EACH ROW BEGIN DELETE FROM u; END",
		"DROP TRIGGER IF EXISTS g",
		"CREATE DEFINER=CURRENT_USER() PROCEDURE p() BEGIN DROP TABLE t; END",
		"ALTER PROCEDURE p COMMENT 'x'", "DROP PROCEDURE p",
		"CREATE FUNCTION f() RETURNS INT LANGUAGE JAVASCRIPT AS $$ return `it's` $$",
		"CREATE AGGREGATE FUNCTION f RETURNS INTEGER SONAME 'x.so'", "DROP FUNCTION f",
		"CREATE DEFINER=r@h EVENT e ON SCHEDULE EVERY 1 DAY DO TRUNCATE t",
		"ALTER EVENT e DO BEGIN DELETE FROM t; DELETE FROM u; END", "DROP EVENT e",
		"CREATE OR REPLACE PACKAGE p AS PROCEDURE q; END", "CREATE PACKAGE BODY p AS x; END",
		"DROP PACKAGE BODY p", "CREATE LIBRARY l LANGUAGE JAVASCRIPT AS $$ ' $$",
		"CREATE SEQUENCE s START WITH 1", "CREATE TEMPORARY SEQUENCE s", "ALTER SEQUENCE s RESTART 5",
		"DROP SEQUENCE s", "CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'h')",
		"ALTER SERVER s OPTIONS (USER 'x')", "DROP SERVER s",
		"CREATE TABLESPACE x ADD DATAFILE 'f'", "CREATE UNDO TABLESPACE x ADD DATAFILE 'f'",
		"ALTER TABLESPACE x RENAME TO y", "DROP TABLESPACE x", "CREATE LOGFILE GROUP g ADD UNDOFILE 'f'",
		"CREATE RESOURCE GROUP g TYPE=USER", "CREATE SPATIAL REFERENCE SYSTEM 4120 NAME 'x'",
		"DROP SPATIAL REFERENCE SYSTEM IF EXISTS 4120", "ALTER INSTANCE ROTATE INNODB MASTER KEY",
		"FLUSH TABLES", "FLUSH LOCAL PRIVILEGES", "ANALYZE TABLE t", "ANALYZE LOCAL TABLE t UPDATE HISTOGRAM ON a",
		"OPTIMIZE TABLE t", "REPAIR TABLE t QUICK", "CHECK TABLE t", "CHECKSUM TABLE t", "CACHE INDEX t IN c",
		"LOCK TABLES t WRITE", "UNLOCK TABLES", "LOCK INSTANCE FOR BACKUP", "BACKUP STAGE START",
		"INSTALL PLUGIN p SONAME 'x.so'", "UNINSTALL PLUGIN p", "INSTALL COMPONENT 'file://x'",
		"INSTALL SONAME 'x'", "HANDLER t OPEN", "HANDLER t READ FIRST", "HELP 'x'",
		"CHANGE MASTER TO MASTER_HOST='h'", "CHANGE REPLICATION SOURCE TO SOURCE_HOST='h'",
		"START SLAVE", "START REPLICA", "STOP ALL SLAVES", "START GROUP_REPLICATION", "RESET MASTER",
		"PURGE BINARY LOGS TO 'x'", "KILL 5", "SHOW TABLES", "EXPLAIN SELECT 1", "DESC t",
		"BINLOG 'AAAA'", "PREPARE s FROM 'DROP TABLE t'", "DEALLOCATE PREPARE s", "DROP PREPARE s",
		"SIGNAL SQLSTATE '45000'", "GET DIAGNOSTICS @a = NUMBER", "SHUTDOWN", "RESTART",
		"CLONE LOCAL DATA DIRECTORY '/x'",
	}
	var cases []scanCase
	for _, s := range statements {
		cases = append(cases, scanCase{s, mysql(), sure(Harmless)}, scanCase{s, maria(), sure(Harmless)})
	}
	return cases
}

func TestUnknown(t *testing.T) {
	statements := []string{
		"FROB t", "IMPORT TABLE FROM 'x.sdi'", "EXECUTE s", "EXECUTE IMMEDIATE 'DROP TABLE t'",
		"CLONE INSTANCE FROM a@b:1 IDENTIFIED BY 'x'", "CREATE FROB f", "ALTER FROB f", "DROP FROB f",
		"CREATE", "START FROB", "IF 1 THEN DROP TABLE t; END IF", "FOR i IN 1..2 DO DROP TABLE t; END FOR",
		"`DROP` TABLE t", "'x'", "12", ")", "(", "\x00", "\xff", "/* no end", "/*!50000", "`", "\\",
		strings.Repeat("X", 100), strings.Repeat("(", 100000), strings.Repeat("/*!", 100000),
	}
	for _, s := range statements {
		if got := Scan([]byte(s), mysql()); got.Kind != Unknown || got.Certain || got.Tables != nil {
			t.Errorf("Scan(%.40q) = %+v", s, got)
		}
	}
}

func trailingTextCases() []scanCase {
	return []scanCase{
		{"DROP TABLE t;", mysql(), sure(DropTable, "d.t")},
		{"DROP TABLE t ; ; -- end", mysql(), sure(DropTable, "d.t")},
		{";DROP TABLE t", mysql(), sure(DropTable, "d.t")},
		{"DROP TABLE t; DROP TABLE u", mysql(), doubtful(DropTable, "d.t")},
		{"GRANT ALL ON *.* TO a; DROP TABLE u", mysql(), doubtful(Harmless)},
		{"DROP FUNCTION f; DROP TABLE u", mysql(), doubtful(Harmless)},
		{"CREATE USER a IDENTIFIED BY 'x", mysql(), doubtful(Harmless)},
		{"COMMIT /* no end", mysql(), doubtful(Commit)},
		{"CREATE /* no end", mysql(), doubtful(Unknown)},
		{"CREATE TRIGGER g AFTER INSERT ON t FOR EACH ROW SET @a = 'no end", mysql(), sure(Harmless)},
	}
}
