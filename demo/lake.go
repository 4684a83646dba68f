package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The values of STORE and CATALOG beside those that need no server.
const (
	storeS3     = "s3"
	catalogREST = "rest"
)

// readLake reads which store and catalog are asked for.
func (s *settings) readLake() error {
	s.store, s.catalog = os.Getenv("STORE"), os.Getenv("CATALOG")
	switch {
	case s.store != "" && s.store != "disk" && s.store != storeS3:
		return fmt.Errorf("STORE=%s: disk or s3", s.store)
	case s.catalog != "" && s.catalog != "embedded" && s.catalog != catalogREST:
		return fmt.Errorf("CATALOG=%s: embedded or rest", s.catalog)
	case s.store == storeS3 && s.catalog != catalogREST:
		return errors.New("STORE=s3 needs CATALOG=rest: the embedded catalog is beside tables on a disk")
	}
	return nil
}

const (
	s3Port   = 28333
	restPort = 28281
	// The account of the S3 server; see integration/servers/s3-server.
	s3Account = "cdc"
	s3Secret  = "cdcsecret"
	s3Region  = "us-east-1"
	bucket    = "lake"
)

// lake is where the tables go, and the servers that keep them there.
type lake struct {
	location string
	endpoint string // of S3; "": the tables are on disk
	rest     string // address of the REST catalog; "": the catalog is embedded
	servers  []*process
}

// config gives the lines of the daemon's configuration.
func (l *lake) config() string {
	text := fmt.Sprintf("warehouse: {location: %q", l.location)
	if l.endpoint != "" {
		text += fmt.Sprintf(", s3: {endpoint: %q, region: %s, path_style: true}", l.endpoint, s3Region)
	}
	text += "}\n"
	if l.rest != "" {
		text += fmt.Sprintf("catalog: {type: rest, uri: %q}\n", "http://"+l.rest)
	}
	return text
}

// env gives the credentials of S3, as every client of it looks for them.
func (l *lake) env() []string {
	if l.endpoint == "" {
		return nil
	}
	return []string{"AWS_ACCESS_KEY_ID=" + s3Account, "AWS_SECRET_ACCESS_KEY=" + s3Secret, "AWS_REGION=" + s3Region}
}

// end ends the servers, the last one first.
func (l *lake) end() {
	for i := len(l.servers) - 1; i >= 0; i-- {
		l.servers[i].end()
	}
}

// startLake starts what the store and the catalog need.
func (d *demo) startLake(ctx context.Context) error {
	d.lake = &lake{location: "file://" + filepath.Join(d.set.dir, "lake")}
	if d.set.catalog != catalogREST {
		return nil
	}
	began := time.Now()
	title, text := "Start a REST catalog", "The Iceberg project's own server. The daemon only talks its protocol."
	if d.set.store == storeS3 {
		title, text = "Start S3 and a REST catalog", "versitygw, and the Iceberg project's own catalog server, which keeps metadata in the bucket."
	}
	d.out.step(title, text)
	if err := d.out.wait("fetching the servers, the first time only", func() error { return fetchLake(ctx, d.set) }); err != nil {
		return err
	}
	ports, err := freePorts(s3Port, restPort)
	if err != nil {
		return err
	}
	properties := []string{"CATALOG_WAREHOUSE=" + d.lake.location}
	if d.set.store == storeS3 {
		if err := d.startS3(ctx, ports[0]); err != nil {
			return err
		}
		properties = []string{
			"CATALOG_WAREHOUSE=" + d.lake.location, "CATALOG_IO__IMPL=org.apache.iceberg.aws.s3.S3FileIO",
			"CATALOG_S3_ENDPOINT=" + d.lake.endpoint, "CATALOG_S3_PATH__STYLE__ACCESS=true",
		}
	}
	d.lake.rest = fmt.Sprintf("127.0.0.1:%d", ports[1])
	args := append([]string{"run", filepath.Join(d.set.dir, "rest"), fmt.Sprint(ports[1])}, properties...)
	if err := d.startServing(ctx, "the REST catalog", "rest.log", "http://"+d.lake.rest+"/v1/config", d.set.server("iceberg-rest"), args); err != nil {
		return err
	}
	d.out.good("catalog at http://%s, tables at %s, %s", d.lake.rest, d.lake.location, seconds(time.Since(began)))
	return nil
}

func (d *demo) startS3(ctx context.Context, port int) error {
	dir, address := filepath.Join(d.set.dir, "s3"), fmt.Sprintf("127.0.0.1:%d", port)
	if err := os.MkdirAll(filepath.Join(dir, bucket), 0o700); err != nil {
		return err
	}
	d.lake.endpoint, d.lake.location = "http://"+address, "s3://"+bucket+"/demo"
	return d.startServing(ctx, "S3", "s3.log", address, d.set.server("s3-server"), []string{"run", dir, fmt.Sprint(port)})
}

// startServing starts a server of the lake and waits until it answers: at a URL, or at an
// address. It stays as long as the tables are to be read.
func (d *demo) startServing(ctx context.Context, name, log, at, script string, args []string) error {
	cmd := exec.Command(script, args...)
	cmd.Env = append(os.Environ(), d.lake.env()...)
	p, err := start(name, filepath.Join(d.set.dir, log), !d.set.ci, cmd)
	if err != nil {
		return err
	}
	d.lake.servers = append(d.lake.servers, p)
	if !d.set.ci {
		if err := d.remember(p); err != nil {
			return err
		}
	}
	return d.out.wait(name+" starts", func() error {
		for deadline := time.Now().Add(serverPatience); ; {
			err := answers(ctx, at)
			switch {
			case err == nil:
				return nil
			case !p.alive():
				return p.died()
			case time.Now().After(deadline):
				return fmt.Errorf("%s does not answer: %w\n%s", name, err, tail(p.log))
			}
			if err := pause(ctx, redraw); err != nil {
				return err
			}
		}
	})
}

// answers asks a server whether it is there.
func answers(ctx context.Context, at string) error {
	if strings.HasPrefix(at, "http://") {
		return fetch(ctx, at, &struct{}{})
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
	if err != nil {
		return err
	}
	return conn.Close()
}

// server is a script that fetches and runs a server without root.
func (s settings) server(name string) string {
	return filepath.Join(s.root, "integration", "servers", name)
}

// fetchLake puts the servers into the cache. The catalog writes to S3 with what the engines
// read it with.
func fetchLake(ctx context.Context, set settings) error {
	commands := [][]string{{set.server("iceberg-rest"), "install"}}
	if set.store == storeS3 {
		commands = append(commands, []string{set.server("s3-server"), "install"}, []string{filepath.Join(set.root, "integration", "engines", "get-engines"), "spark"})
	}
	for _, c := range commands {
		if out, err := exec.CommandContext(ctx, c[0], c[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(c, " "), err, lastLines(out))
		}
	}
	return nil
}
