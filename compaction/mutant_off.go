//go:build !mutant

package compaction

// mutated reports whether a rule is left out. Only tests with the build tag mutant do that, to
// see that they would notice; here the compiler drops what it guards.
func mutated(string) bool { return false }
