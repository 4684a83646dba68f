package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cdcd/cmd/cdcd/config"
)

// certificate writes a certificate for 127.0.0.1 that is signed by itself, and its key.
func certificate(t *testing.T) (config.EndpointTLS, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := config.EndpointTLS{Cert: filepath.Join(t.TempDir(), "cert.pem"), Key: filepath.Join(t.TempDir(), "key.pem")}
	pool := x509.NewCertPool()
	for path, block := range map[string]*pem.Block{files.Cert: {Type: "CERTIFICATE", Bytes: der}, files.Key: {Type: "PRIVATE KEY", Bytes: private}} {
		content := pem.EncodeToMemory(block)
		pool.AppendCertsFromPEM(content)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files, pool
}

func TestCatalogListenerIsEncrypted(t *testing.T) {
	files, pool := certificate(t)
	l, err := listenCatalog(config.CatalogEndpoint{Listen: "127.0.0.1:0", TLS: files})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	answered := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = c.Write([]byte("x"))
		}
		answered <- err
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: pool})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

// TestCatalogListenerRefuses: a token that is required and empty, as a variable that is not
// set leaves it, lets nobody in by accident.
func TestCatalogListenerRefuses(t *testing.T) {
	files, _ := certificate(t)
	for words, e := range map[string]config.CatalogEndpoint{
		"token is empty":       {Listen: "127.0.0.1:0", Writable: true},
		"reached by other":     {Listen: "0.0.0.0:0"},
		"catalog_endpoint.tls": {Listen: "127.0.0.1:0", TLS: config.EndpointTLS{Cert: files.Key, Key: files.Key}},
	} {
		if l, err := listenCatalog(e); err == nil || exitCode(err) != exitHuman || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, %v", words, l, err)
		}
	}
}
