package config

import (
	"hash/fnv"
	"time"
)

// Values of [TLS.Mode].
const (
	TLSDisabled       = "disabled"        // clear text
	TLSRequired       = "required"        // encrypted, the server is not verified
	TLSVerifyCA       = "verify-ca"       // the chain is verified, the name is not
	TLSVerifyIdentity = "verify-identity" // chain and name are verified
)

// Bounds of a derived server id: high enough not to meet ids that people choose.
const (
	minDerivedServerID = 1_000_000_000
	maxDerivedServerID = 4_294_967_294
)

// Config is the whole configuration of one daemon.
type Config struct {
	Pipeline        string          `yaml:"pipeline" check:"required"` // names the pipeline; [a-z0-9][a-z0-9_-]{0,62}
	Source          Source          `yaml:"source"`
	Tables          []TableRule     `yaml:"tables" check:"required"`
	Namespace       string          `yaml:"namespace" check:"required"` // template of the namespace of a default target
	Types           Types           `yaml:"types"`
	OnTableError    string          `yaml:"on_table_error" oneof:"quarantine|stop"`
	OnTableDropped  string          `yaml:"on_table_dropped" oneof:"keep|stop"`
	OnTableReplaced string          `yaml:"on_table_replaced" oneof:"resnapshot|quarantine|stop"`
	State           string          `yaml:"state" check:"required"` // absolute directory of local state
	Warehouse       Warehouse       `yaml:"warehouse"`
	Catalog         Catalog         `yaml:"catalog"`
	CatalogEndpoint CatalogEndpoint `yaml:"catalog_endpoint"`
	HTTP            Endpoint        `yaml:"http"`
	Control         Control         `yaml:"control"`
	Commit          Commit          `yaml:"commit"`
	Load            Loading         `yaml:"load"`
	Compaction      Compaction      `yaml:"compaction"`
	Garbage         Garbage         `yaml:"garbage"`
	Memory          Memory          `yaml:"memory"`
	Log             Log             `yaml:"log"`

	// origins holds the place of every key that a file sets; "" is the main file.
	origins map[string]Place
}

// Source says how to reach the MySQL or MariaDB server.
type Source struct {
	Address  string `yaml:"address" check:"required"` // host:port, or the absolute path of a unix socket
	User     string `yaml:"user" check:"required"`
	Password Secret `yaml:"password"`
	ServerID uint32 `yaml:"server_id"` // 0: derived, see [Config.ServerID]
	TLS      TLS    `yaml:"tls"`
}

// TLS is the transport security of the source connection. Paths are absolute.
type TLS struct {
	Mode       string `yaml:"mode" oneof:"|disabled|required|verify-ca|verify-identity"`
	CA         string `yaml:"ca"` // "": the system's roots
	Cert       string `yaml:"cert"`
	Key        string `yaml:"key"`
	ServerName string `yaml:"server_name"` // "": the host of the address
}

// TableRule selects source tables by globs over schema.table (* and ?, case-sensitive) and
// says where they go.
type TableRule struct {
	Include         []string `yaml:"include" check:"required"`
	Exclude         []string `yaml:"exclude"`
	Target          string   `yaml:"target"`           // template namespace.table with {schema} and {table}
	CommitTimestamp bool     `yaml:"commit_timestamp"` // adds the column _cdcd_commit_ts
	FormatVersion   int      `yaml:"format_version"`   // of Iceberg: 2 or 3
	Mode            string   `yaml:"mode" oneof:"|key|append|rows"`
	Key             []string `yaml:"key"` // columns that identify rows where no key of the server does
	Load            string   `yaml:"load" oneof:"|all|none"`

	Partition      []Transform       `yaml:"partition"`  // empty: no partitions
	Properties     map[string]string `yaml:"properties"` // of the Iceberg table
	Lineage        string            `yaml:"lineage" oneof:"|preserve|off"`
	TargetFileSize Size              `yaml:"target_file_size"` // of a data file
}

// Values of [TableRule.Mode]: how the rows of a table are told apart.
const (
	ModeKey    = "key"    // by a key
	ModeAppend = "append" // not at all: they never change
	ModeRows   = "rows"   // where the table has no key, by all columns; equal rows are counted
)

// Values of [TableRule.Load].
const (
	LoadAll  = "all"  // rows that are there before come into the lake
	LoadNone = "none" // they do not
)

// Values of [TableRule.Lineage].
const (
	LineagePreserve = "preserve" // a row keeps its _row_id when it changes
	LineageOff      = "off"      // it gets a new one
)

// The bounds of [TableRule.TargetFileSize], and what it is where nothing is said.
const (
	DefaultTargetFileSize Size = 256 << 20
	minTargetFileSize     Size = 1 << 20
	maxTargetFileSize     Size = 8 << 30
)

// Types decides what becomes of values that Iceberg has no exact type for.
type Types struct {
	BigintUnsigned string `yaml:"bigint_unsigned" oneof:"decimal|long"`
	ZeroDate       string `yaml:"zero_date" oneof:"error|null"`
}

// Values of [Config.OnTableError].
const (
	OnTableErrorQuarantine = "quarantine" // the table stays as it is, the others go on
	OnTableErrorStop       = "stop"       // the daemon ends
)

// Values of [Config.OnTableDropped].
const (
	OnTableDroppedKeep = "keep" // the table stays in the lake as it is, the others go on
	OnTableDroppedStop = "stop" // the daemon ends
)

// Values of [Config.OnTableReplaced].
const (
	OnTableReplacedResnapshot = "resnapshot" // the new table is loaded in the place of the old one
	OnTableReplacedQuarantine = "quarantine" // the old one stays as it is, the others go on
	OnTableReplacedStop       = "stop"       // the daemon ends
)

// Endpoint is a TCP listener.
type Endpoint struct {
	Listen string `yaml:"listen"` // host:port; "" is off
}

// CatalogEndpoint is the listener of the catalog that readers connect to.
type CatalogEndpoint struct {
	Listen   string      `yaml:"listen"`   // host:port; "" is off
	Writable bool        `yaml:"writable"` // takes commits of maintenance
	Token    Secret      `yaml:"token"`    // that clients have to show; "": none
	TLS      EndpointTLS `yaml:"tls"`
}

// NeedsToken reports whether the endpoint may not let everybody in: who reaches it could
// change tables, or comes from another machine.
func (e CatalogEndpoint) NeedsToken() bool {
	host, _, ok := splitPort(e.Listen)
	return ok && (e.Writable || !isLoopback(host))
}

// EndpointTLS is the certificate that a listener shows. Paths are absolute.
type EndpointTLS struct {
	Cert string `yaml:"cert"` // "": no encryption
	Key  string `yaml:"key"`
}

// Control is the unix socket for commands to the running daemon.
type Control struct {
	Socket string `yaml:"socket"` // absolute path
}

// Commit bounds an epoch: it is cut at whichever bound is reached first.
type Commit struct {
	Interval Duration `yaml:"interval" min:"50ms" max:"1h"`
	MaxRows  int64    `yaml:"max_rows" min:"1000"`
	MaxBytes Size     `yaml:"max_bytes" min:"1MiB"`
}

// Loading tunes the initial load.
type Loading struct {
	Connections int   `yaml:"connections" min:"1" max:"64"`
	ChunkRows   int64 `yaml:"chunk_rows" min:"0"` // 0: chosen from the average row length

	// MaxThreadsRunning is above how many running threads of the source the load waits; 0: never.
	MaxThreadsRunning int `yaml:"max_threads_running" min:"0"`
}

// Compaction says when files of tables are rewritten in the background.
type Compaction struct {
	Enabled        bool  `yaml:"enabled"`
	CPUPercent     int64 `yaml:"cpu_percent" min:"1" max:"100"`     // of one core
	DeletedPercent int64 `yaml:"deleted_percent" min:"1" max:"100"` // of a file's rows, from which on it is rewritten
}

// Garbage says when files that no snapshot names are deleted.
type Garbage struct {
	Grace    Duration `yaml:"grace" min:"1s"`              // since they were first seen so
	Interval Duration `yaml:"interval" min:"1s" max:"24h"` // between two rounds
	DryRun   bool     `yaml:"dry_run"`                     // look, and delete nothing
}

// Memory bounds the memory of the daemon.
type Memory struct {
	Limit Size `yaml:"limit" min:"128MiB"`
}

// Log says what is logged and how.
type Log struct {
	Level  string `yaml:"level" oneof:"debug|info|warn|error"`
	Format string `yaml:"format" oneof:"auto|text|json"`
}

// Default returns the configuration before any file: valid but for the required keys, and
// with the keys that follow from others still empty.
func Default() Config {
	return Config{
		Namespace:       "{schema}",
		Types:           Types{BigintUnsigned: "decimal", ZeroDate: "error"},
		OnTableError:    OnTableErrorQuarantine,
		OnTableDropped:  OnTableDroppedKeep,
		OnTableReplaced: OnTableReplacedResnapshot,
		Catalog:         Catalog{Type: CatalogEmbedded},
		CatalogEndpoint: CatalogEndpoint{Listen: "127.0.0.1:8181"},
		HTTP:            Endpoint{Listen: "127.0.0.1:8080"},
		Commit:          Commit{Interval: Duration(10e9), MaxRows: 500_000, MaxBytes: 64 << 20},
		Load:            Loading{Connections: 2},
		Compaction:      Compaction{Enabled: true, CPUPercent: 30, DeletedPercent: 20},
		Garbage:         Garbage{Grace: Duration(24 * time.Hour), Interval: Duration(time.Hour)},
		Memory:          Memory{Limit: 512 << 20},
		Log:             Log{Level: "info", Format: "auto"},
	}
}

// ServerID returns the server id with which cdcd registers as a replica: the configured one,
// or one derived from the pipeline's name, which is the same on every machine and in every
// version, so that a restarted or moved daemon replaces its old connection.
func (c Config) ServerID() uint32 {
	if c.Source.ServerID != 0 {
		return c.Source.ServerID
	}
	h := fnv.New64a()
	h.Write([]byte(c.Pipeline))
	return uint32(minDerivedServerID + h.Sum64()%(maxDerivedServerID-minDerivedServerID+1))
}
