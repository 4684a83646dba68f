//go:build mutant

package compaction

import "os"

// mutated reports whether CDCD_MUTANT names a rule.
func mutated(rule string) bool { return os.Getenv("CDCD_MUTANT") == rule }
