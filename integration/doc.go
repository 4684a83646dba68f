// Package integration tests cdcd as it is used: the built binary against real MySQL and
// MariaDB servers, its tables read by real engines. Its tests need the build tag
// integration and what the scripts in servers/ and engines/ install.
package integration
