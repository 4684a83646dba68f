package config

import (
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

const defaultMySQLPort = "3306"

// isNameRune tells whether r may stand in a name without causing trouble somewhere.
func isNameRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '-'
}

// canonAddress returns the address of a server as host:port, [v6]:port or /path.
func canonAddress(address string) (string, error) {
	if strings.HasPrefix(address, "/") {
		return canonPath(address)
	}
	host, port, ok := splitPort(address)
	if !ok {
		host, port, ok = splitPort(address + ":" + defaultMySQLPort)
	}
	if !ok || port == "0" || !isHost(host) {
		return "", errors.New("want host:port, [IPv6]:port, or the absolute path of a unix socket")
	}
	return net.JoinHostPort(host, port), nil
}

// isHost tells whether host looks like a host name or is an IP address.
func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host != "" && strings.IndexFunc(host, func(r rune) bool { return !isNameRune(r) && r != '.' }) < 0
}

// isLocal tells whether an address of a server is on this machine.
func isLocal(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return strings.HasPrefix(address, "/") || err == nil && isLoopback(host)
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// canonListen returns the address of a listener as host:port, or :port for all interfaces.
func canonListen(listen string) (string, error) {
	if listen == "off" {
		return "", nil
	}
	host, port, ok := splitPort(listen)
	if !ok || host != "" && !isHost(host) {
		return "", errors.New("want host:port, or off")
	}
	return net.JoinHostPort(host, port), nil
}

// splitPort splits host:port and gives the port its shortest form.
func splitPort(address string) (host, port string, ok bool) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", "", false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return host, strconv.FormatUint(n, 10), err == nil
}

// canonPath returns an absolute path without detours.
func canonPath(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", errors.New("the path must be absolute")
	}
	if path = filepath.Clean(path); path == "/" {
		return "", errors.New("the path must not be the root directory")
	}
	return path, nil
}

// canonLocation returns the URL of a local directory or of a part of a bucket.
func canonLocation(location string) (string, error) {
	path := location
	scheme, rest, isURL := strings.Cut(location, "://")
	switch {
	case isURL && scheme == "s3":
		return canonS3(rest)
	case isURL && scheme != "file":
		return "", errors.New("only file:// and s3:// locations work in this version")
	case isURL:
		path = rest
	}
	if !strings.HasPrefix(path, "/") {
		return "", errors.New("want file:// and an absolute path, as in file:///var/lib/cdcd/warehouse")
	}
	path, err := canonPath(path)
	if err != nil {
		return "", err
	}
	return "file://" + path, escapeFree(path)
}
