// Package config reads the configuration of cdcd: one YAML file and, beside it, the
// drop-ins conf.d/*.yaml in lexical order.
//
// A drop-in may add entries to tables and may set keys that no other file sets. There are
// no layers and no precedence: a key set twice is an error that names both places.
//
// Invariants:
//
//   - A Config that Load returns is complete and valid: every key has its effective value,
//     also those that follow from others (the control socket, the TLS mode, the target of a
//     table rule). Only Source.ServerID may stay 0; ask [Config.ServerID].
//   - Load reports all problems of all files at once, sorted by file, line and column. A
//     problem with a key that is present carries the place of its value; one with an absent
//     key carries the place of the nearest section that is present.
//   - Nothing is ignored silently: an unknown key, a second document, an explicit tag and a
//     merge key are errors.
//   - References (${env:NAME}, ${file:/path}, ${cred:NAME}) are resolved on parsed scalars,
//     once. What a reference stands for can therefore change neither the structure of the
//     document nor be taken for a reference itself. $${ stands for a literal ${.
//   - No message shows the text of a [Secret] or a text that a reference gave; no output
//     shows a Secret.
//   - What [Config.Print] writes loads back as an equal Config, secrets aside.
//
// The keys, their defaults and their bounds stand in the struct tags of [Config] and the
// types it holds; decoding, checking and printing all walk those types:
//
//	yaml    the key
//	check   "required": the key must be present and not empty
//	oneof   the allowed values, separated by |
//	min,max bounds, in the notation of the key
package config
