//go:build !mutant

package commit

// mutated reports whether a rule of the protocol is left out. Only tests with the build tag
// mutant do that, to see that they would notice; here the compiler drops what it guards. The
// names are in docs/faults.md.
func mutated(string) bool { return false }
