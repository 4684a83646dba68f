// Command cdcd replicates MySQL and MariaDB into Apache Iceberg tables.
//
// This package is wiring: one file a command, flags, signals, HTTP, exit codes. What is
// worth a fault test lives in the packages below it.
//
// # Exit codes
//
// 0 success; 1 failure, or a difference found; 64 usage; 75 try again later, another daemon
// owns the pipeline, or nothing could be compared; 78 a person is needed. A supervisor
// restarts after 1 and 75 and does not after 64 and 78.
package main
