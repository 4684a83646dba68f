//go:build !mutant

package table

import (
	"context"

	"github.com/apache/iceberg-go"
	icetable "github.com/apache/iceberg-go/table"
)

// mutated reports whether a rule of the protocol is left out. Only tests with the build tag
// mutant do that, to see that they would notice; here the compiler drops what it guards. The
// names are in docs/faults.md.
func mutated(string) bool { return false }

func mutantRequirements(reqs []icetable.Requirement) []icetable.Requirement { return reqs }

func mutantUpdates(updates []icetable.Update) []icetable.Update { return updates }

func mutantMark(icetable.Metadata, iceberg.Properties) (Mark, error) { return Mark{}, nil }

func mutantCleanUp(context.Context, Config, *Attempt) {}

func mutantLineage(_, _ []int64) {}
