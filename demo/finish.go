package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// compare shows rows of the lake, and compares all of them with the source.
func (d *demo) compare(ctx context.Context) error {
	d.out.step("Look at the lake, and compare every row with MySQL", "cdcd verify reads both sides at the same position and compares every value.")
	rows, err := d.daemon.command(ctx, "show", lakeNamespace+".products", "--limit", "4").CombinedOutput()
	if err != nil {
		return fmt.Errorf("cdcd show: %w\n%s", err, lastLines(rows))
	}
	d.out.say("%s\n%s\n", d.out.paint(bold, "cdcd show "+lakeNamespace+".products --limit 4"), strings.TrimSpace(string(rows)))
	verify := d.daemon.command(ctx, "verify")
	var verdict, trouble bytes.Buffer
	verify.Stdout, verify.Stderr = &verdict, &trouble
	err = d.out.wait("cdcd verify", verify.Run)
	d.out.say("%s\n%s", d.out.paint(bold, "cdcd verify"), strings.TrimSpace(verdict.String()))
	if err != nil {
		return fmt.Errorf("cdcd verify is not content: %w\n%s", err, lastLines(trouble.Bytes()))
	}
	return nil
}

// leave ends what is not to stay, and says how to go on.
func (d *demo) leave(ctx context.Context) error {
	switch {
	case d.set.ci:
		return d.leaveNothing()
	case d.set.keep:
		d.readers()
		d.running()
		return nil
	}
	d.daemon.process.end()
	serving := "the REST catalog"
	if d.lake.rest == "" {
		serving = "cdcd serve"
		p, err := d.daemon.serve(ctx)
		if err != nil {
			return err
		}
		if err := d.remember(p); err != nil {
			return err
		}
	}
	if d.closeServer(); !d.server.made {
		d.left.Server = ""
	}
	if err := d.left.write(d.set.dir); err != nil {
		return err
	}
	d.readers()
	d.out.raw("")
	d.out.good("Done in %s. The daemon and MySQL are stopped; %s goes on serving the tables.", seconds(time.Since(d.began)), serving)
	d.out.say("stop it      %s\nplay on      DEMO_KEEP=1 make demo leaves MySQL and the daemon running", d.set.stopLine())
	return nil
}

// leaveNothing ends everything and removes the directory.
func (d *demo) leaveNothing() error {
	d.daemon.process.end()
	d.lake.end()
	d.out.raw("")
	if d.closeServer(); d.server.made && d.server.guest {
		return errors.New("the demo's schema could not be dropped")
	}
	if err := os.RemoveAll(d.set.dir); err != nil {
		return err
	}
	d.out.good("Done in %s. CI is set: everything is stopped, and %s is removed.", seconds(time.Since(d.began)), short(d.set.dir))
	return nil
}

// readers prints what to paste into each engine.
func (d *demo) readers() {
	catalog := cmp.Or(d.lake.rest, d.daemon.catalog)
	d.out.step("Read it with your own engines", fmt.Sprintf("An Iceberg REST catalog serves the tables at http://%s", catalog))
	for _, r := range readerLines(catalog, d.lake.endpoint) {
		d.out.raw("\n" + d.out.paint(bold, "# "+r.name) + "\n" + r.lines)
	}
}

// running says how to look at what DEMO_KEEP left.
func (d *demo) running() {
	cdcd := strings.Join(append(d.lake.env(), short(d.set.binary())), " ") + " -c " + short(d.daemon.config)
	d.out.step("Play on", fmt.Sprintf("Done in %s. MySQL, the daemon and the catalog are running.", seconds(time.Since(d.began))))
	d.out.say("status page  http://%s/", d.daemon.status)
	d.out.say("status       %s status", cdcd)
	d.out.say("write        %s", d.server.clientLine(d.set))
	d.out.say("look         %s show %s.products", cdcd, lakeNamespace)
	d.out.say("compare      %s verify", cdcd)
	d.out.say("log          tail -f %s", short(d.daemon.log()))
	d.out.say("stop         %s", d.set.stopLine())
}

func (s settings) script() string { return filepath.Join(s.root, "demo", "demo") }

// stopLine is the command that ends what this demo leaves.
func (s settings) stopLine() string {
	line := short(s.script()) + " stop"
	if os.Getenv("CDCD_DEMO_DIR") != "" {
		line = "CDCD_DEMO_DIR=" + s.dir + " " + line
	}
	if s.dsn != "" && s.keep {
		line = "CDCD_DEMO_DSN=... " + line + "   # drops the schema and the account, too"
	}
	return line
}

// dropGuest drops what a demo left on a server of the user's own.
func dropGuest(ctx context.Context, set settings, out *screen) error {
	s, err := visitServer(set.dsn)
	if err != nil {
		return err
	}
	if err := s.connect(ctx); err != nil {
		return err
	}
	if err := s.clear(ctx); err != nil {
		return err
	}
	out.raw(fmt.Sprintf("There is no schema %s and no account %s on %s any more.", s.schema, account, s.address))
	return nil
}
