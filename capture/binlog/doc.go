// Package binlog speaks the replication protocol of MySQL and MariaDB: it opens a dump
// connection and cuts what arrives into events, and it parses the events that matter.
//
// # Invariants
//
// An [Event] and everything parsed from it alias the connection's one read buffer and are
// valid until the next call of [Dump.Next]; what must live longer is copied by the caller.
// A [TableMap] is the exception: it owns its bytes.
//
// Every event's checksum is verified when the server writes checksums.
//
// Bytes from the server are foreign: every parser checks its bounds and returns an error;
// none panics.
//
// Reading is pull only. Not calling Next is back-pressure: the server's dump thread waits,
// for net_write_timeout at most, which [Dial] raises.
//
// Formats: MySQL source documentation (libbinlogevents/mysql_binlog_event), MariaDB
// knowledge base ("Replication Protocol").
package binlog
