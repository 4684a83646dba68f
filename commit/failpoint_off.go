//go:build !failpoint

package commit

// failpoint marks a place where tests with the build tag failpoint can end or stall the
// process. The names are documented in CONTRIBUTING.md.
func failpoint(string) {}
