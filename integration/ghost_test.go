//go:build integration && long

package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestGhOst has gh-ost itself change a table twice, while rows are written: into a shape that an
// ALTER TABLE would be stopped for, and back. gh-ost's newest version that runs without other
// programs knows no MySQL after 8.3, and reads MariaDB's log only where each event says where it is.
func TestGhOst(t *testing.T) {
	s := ownServer(t, mariadb118, "--binlog-legacy-event-pos=ON")
	s.schema(t, "ghost")
	s.exec(t, "CREATE TABLE ghost.t (id INT PRIMARY KEY, n INT, v VARCHAR(20) CHARACTER SET utf8mb4); CREATE TABLE ghost.other (id INT PRIMARY KEY, n INT)")
	s.exec(t, fillOf("ghost.t", 500)+";"+fillOf("ghost.other", 500))
	p := newPipeline(t, s, "ghost.*", nil)
	p.start()
	p.reach()
	stop := startWriter(t, s, "ghost.t", "ghost.other")
	p.ghost(t, "t", "MODIFY n VARCHAR(30), ADD w INT NOT NULL DEFAULT 5")
	p.ghost(t, "t", "MODIFY n INT, DROP COLUMN v")
	stop()
	p.reachWhole()
	p.verifyExact(t)
	st, err := p.status()
	if err != nil || len(st.Tables) != 2 || len(st.Refused) != 0 {
		t.Errorf("%+v, %v", st, err)
	}
	p.stop()
	p.fsck(t)
	p.oracle("duckdb").equal(t, "ghost.t", "ghost.other")
}

// ghost runs gh-ost on a table of the schema ghost.
func (p *pipeline) ghost(t *testing.T, table, alter string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(cacheDir(), "bin", "gh-ost-v1.1.6"), "--host=127.0.0.1", fmt.Sprintf("--port=%d", p.server.port),
		"--user=cdc", "--password=cdc", "--database=ghost", "--table="+table, "--alter="+alter, "--allow-on-master", "--assume-rbr", "--skip-foreign-key-checks",
		"--initially-drop-old-table", "--heartbeat-interval-millis=100", "--serve-socket-file="+p.path("gh-ost.sock"), "--execute")
	cmd.Env = os.Environ()
	g, err := startProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if code, err := g.exitCode(2 * time.Minute); err != nil || code != 0 {
		_ = g.signal(9, time.Second)
		t.Fatalf("gh-ost: %d, %v: %s", code, err, lastLines(g.output.String(), 20))
	}
}
