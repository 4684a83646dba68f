package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is set by the build.
var release string

// versionCmd is cdcd version.
type versionCmd struct{}

// Run prints the version.
func (v *versionCmd) Run(c console) error {
	_, err := fmt.Fprintf(c.out, "cdcd %s %s/%s %s\n", version(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	return err
}

// version names the build: the release, or the commit it was built from.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return "development"
}
