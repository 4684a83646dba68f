// Package manifest writes and reads Iceberg manifests, and reads manifest lists, in format
// versions 2 and 3.
//
// The library compiles the Avro schema anew for each manifest that it writes or reads, which
// costs more than all else that a small commit does with them. The schema is the same for every
// table of a version without partitions, so it is taken once from what the library writes. Data files are
// encoded by the library's codec, which keeps a compiled schema, and decoded into the library's
// values. Manifests of a spec with fields are left to the library, in both directions.
//
// # Invariants
//
// A manifest says what the library's writer would have written: the same schema, metadata and
// entries, byte by byte but for the order of the metadata and the marker between blocks. In
// version 2 an entry ends with a field more, which the library writes in version 3 only: the data
// file that a delete file is of (referenced_data_file).
//
// What is read is what the library would read, in inherited sequence numbers and row ids, too.
// What has another schema than ours, as of another program, the library reads. TestSameAsLibrary,
// TestVersion2 and FuzzRead hold it.
//
// An entry that is not new carries the sequence numbers that it has; without them it is refused.
package manifest
