//go:build integration

package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority issues certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: dir}
	ca := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.cert, a.key = a.write(name, ca, time.Now().Add(time.Hour))
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name+".pem") }

// issue makes a certificate for a host.
func (a *authority) issue(name, host string, until time.Time) {
	a.t.Helper()
	c := &x509.Certificate{
		Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		c.DNSNames, c.IPAddresses = nil, []net.IP{ip}
	}
	a.write(name, c, until)
}

// write signs a certificate and writes it and its key as PEM files.
func (a *authority) write(name string, c *x509.Certificate, until time.Time) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-2*time.Hour), until
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{a.file(name): {Type: "CERTIFICATE", Bytes: der}, a.file(name + "-key"): {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return out, key
}

// TestTLS connects to servers whose certificates are right, for another host, expired, and
// of an unknown authority. Both the queries and the stream go through each connection.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ours, theirs := newAuthority(t, dir, "ours"), newAuthority(t, dir, "theirs")
	ours.issue("good", "db.example", time.Now().Add(time.Hour))
	ours.issue("expired", "db.example", time.Now().Add(-time.Hour))
	ours.issue("client", "cdcd", time.Now().Add(time.Hour))
	for _, release := range []string{mysql97, mariadb118} {
		options := func(cert string) []string {
			return []string{"--ssl-ca=" + ours.file("ours"), "--ssl-cert=" + ours.file(cert), "--ssl-key=" + ours.file(cert+"-key")}
		}
		t.Run(release, func(t *testing.T) {
			good := ownServer(t, release, options("good")...)
			good.exec(t, "CREATE USER x509 IDENTIFIED BY 'cdc' REQUIRE X509; GRANT ALL ON *.* TO x509; CREATE USER tls IDENTIFIED BY 'cdc' REQUIRE SSL; GRANT ALL ON *.* TO tls")
			testTLS(t, good, []tlsCase{
				{"name given", settings{"mode": "verify-identity", "ca": ours.file("ours"), "server_name": "db.example"}, "tls", nil},
				{"wrong host", settings{"mode": "verify-identity", "ca": ours.file("ours")}, "tls", []string{"127.0.0.1", "certificate"}},
				{"other name", settings{"mode": "verify-identity", "ca": ours.file("ours"), "server_name": "db.other"}, "tls", []string{"db.example, not db.other"}},
				{"chain only", settings{"mode": "verify-ca", "ca": ours.file("ours")}, "tls", nil},
				{"unknown authority", settings{"mode": "verify-ca", "ca": theirs.file("theirs")}, "tls", []string{"certificate signed by unknown authority"}},
				{"not verified", settings{"mode": "required"}, "tls", nil},
				{"plain where TLS is required", settings{"mode": "disabled"}, "tls", []string{"access denied"}},
				{"client certificate", settings{"mode": "verify-ca", "ca": ours.file("ours"), "cert": ours.file("client"), "key": ours.file("client-key")}, "x509", nil},
				{"no client certificate", settings{"mode": "verify-ca", "ca": ours.file("ours")}, "x509", []string{"access denied"}},
				{"no such file", settings{"mode": "verify-ca", "ca": "/no/such/file"}, "tls", []string{"/no/such/file"}},
			})
			testTLS(t, ownServer(t, release, options("expired")...), []tlsCase{
				{"expired", settings{"mode": "verify-identity", "ca": ours.file("ours"), "server_name": "db.example"}, "cdc", []string{"expired"}},
			})
		})
	}
}

// tlsCase is a way to connect, and words of the error where it must fail.
type tlsCase struct {
	name  string
	tls   settings
	user  string
	words []string
}

// exit is the exit code: a certificate may be replaced, who is refused and a file that is missing stay so.
func (c tlsCase) exit() int {
	switch {
	case len(c.words) == 0:
		return 0
	case c.words[0] == "access denied", c.words[0] == "/no/such/file":
		return 78
	}
	return 75
}

func testTLS(t *testing.T, s *server, cases []tlsCase) {
	s.schema(t, "tls")
	s.exec(t, "CREATE TABLE tls.t (id INT PRIMARY KEY); INSERT INTO tls.t VALUES (1)")
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := newPipeline(t, s, "tls.*", settings{"source.tls": map[string]any(c.tls), "source.user": c.user})
			f := p.run("run", "--until", "now")
			if f.code != c.exit() {
				t.Fatalf("exit %d, want %d: %s", f.code, c.exit(), lastLines(f.err, 5))
			}
			wantWords(t, f.err, c.words...)
			if len(c.words) == 0 {
				s.exec(t, "DELETE FROM tls.t; INSERT INTO tls.t VALUES (1)")
				p.catchUp() // through the stream
				wantWords(t, p.must("show", "tls.t").out, "1")
			}
		})
	}
}
