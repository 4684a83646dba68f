//go:build integration

package integration

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
)

// startNessie starts a Nessie server whose tables are in the shared S3 server, and gives the URI
// of its REST catalog. It ends with the test.
func startNessie(t *testing.T, endpoint string) string {
	t.Helper()
	port := freePort(t)
	cmd := exec.Command("servers/nessie", "run", filepath.Join(t.TempDir(), "nessie"), fmt.Sprint(port), endpoint, s3Bucket)
	for k, v := range s3Credentials() {
		cmd.Env = append(cmd.Environ(), k+"="+v)
	}
	uri := fmt.Sprintf("http://127.0.0.1:%d/iceberg", port)
	startCatalogServer(t, cmd, uri)
	return uri
}

// TestNessieIsRefused tries a catalog that takes every commit and keeps to none of what commits
// rest on: it makes tables of another format than was asked for, and puts what is meant for
// another branch on main.
func TestNessieIsRefused(t *testing.T) {
	s := sharedServer(t, mysql97)
	s.schema(t, "nessie")
	s.exec(t, "CREATE TABLE nessie.t (id INT PRIMARY KEY)")
	endpoint := s3Endpoint(t)
	p := newPipeline(t, s, "nessie.*", inS3(t, endpoint, s3Base(t)))
	p.set(settings{"catalog": map[string]any{"type": "rest", "uri": startNessie(t, endpoint), "warehouse": "wh"}})
	for _, command := range []string{"check", "run"} {
		f := p.run(command)
		if f.code != 78 {
			t.Errorf("cdcd %s: exit %d, want 78: %s%s", command, f.code, f.out, f.err)
		}
		wantWords(t, f.out+f.err, "the catalog is refused: it makes a table of format version 2 where version 3 is asked for")
	}
}
