-- The user that cdcd connects as, and what it may do. Take the part for your server, and
-- replace the password, the host ('%' is any) and the schema (shop, once for each schema that
-- tables[].include names). cdcd check says which grants are missing.

-- MySQL --------------------------------------------------------------------------------------

CREATE USER 'cdcd'@'%' IDENTIFIED BY 'change-me';
-- Read the log.
GRANT REPLICATION SLAVE ON *.* TO 'cdcd'@'%';
-- See whether the server is a replica, and which schemas it keeps out of its log.
GRANT REPLICATION CLIENT ON *.* TO 'cdcd'@'%';
-- Read the tables: their columns, the initial load, cdcd verify.
GRANT SELECT ON `shop`.* TO 'cdcd'@'%';
-- Only where applications use XA transactions: lets a new pipeline wait for those that are
-- prepared. Without it their XA COMMIT stops the pipeline.
-- GRANT XA_RECOVER_ADMIN ON *.* TO 'cdcd'@'%';
-- Only for tables without a key (tables[].key, mode: append, mode: rows): lets it lock such a table
-- for the moment in which it opens the snapshot to load it.
-- GRANT LOCK TABLES ON `shop`.* TO 'cdcd'@'%';
-- Only for cdcd verify --exact: lets it stop commits for the milliseconds in which it opens its
-- view. Without it keys that change at that very moment are looked at again.
-- GRANT FLUSH_TABLES ON *.* TO 'cdcd'@'%';

-- MariaDB ------------------------------------------------------------------------------------

CREATE USER 'cdcd'@'%' IDENTIFIED BY 'change-me';
-- Read the log.
GRANT REPLICATION SLAVE ON *.* TO 'cdcd'@'%';
-- See whether the server is a replica.
GRANT REPLICA MONITOR ON *.* TO 'cdcd'@'%';
-- See which schemas the server keeps out of its log.
GRANT BINLOG MONITOR ON *.* TO 'cdcd'@'%';
-- Read the tables: their columns, the initial load, cdcd verify.
GRANT SELECT ON `shop`.* TO 'cdcd'@'%';
