package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is the command line.
type cli struct {
	Config string `short:"c" type:"path" default:"/etc/cdcd/cdcd.yaml" env:"CDCD_CONFIG" help:"Configuration file."`

	Run     runCmd        `cmd:"" help:"Replicate until stopped."`
	Serve   serveCmd      `cmd:"" help:"Serve the catalog to readers without replicating."`
	Check   checkCmd      `cmd:"" help:"Check the configuration and the source; write nothing."`
	Init    initCmd       `cmd:"" help:"Write a configuration for a live server."`
	Verify  verifyCmd     `cmd:"" help:"Compare the lake's rows with the source's."`
	Show    showCmd       `cmd:"" help:"Print rows of a lake table."`
	Cut     cutCmd        `cmd:"" help:"Have the running daemon publish a cut now, and print it."`
	Compact compactCmd    `cmd:"" help:"Have the running daemon merge a table's small files and drop deleted rows from its files."`
	Resnap  resnapshotCmd `cmd:"" name:"resnapshot" help:"Have the running daemon load a table anew, and bring it back where it is quarantined; or all tables, also where the log does not lead on."`
	Status  statusCmd     `cmd:"" help:"Say what the running daemon is doing."`
	Inspect inspectCmd    `cmd:"" help:"Say what state the protocol is in: lease, fences, positions, cuts."`
	Fsck    fsckCmd       `cmd:"" help:"Check the lake's files and metadata against the rules of the format and of the protocol."`
	Rewind  rewindCmd     `cmd:"" help:"Set all tables back to a cut; the daemon applies what follows again."`
	Adopt   adoptCmd      `cmd:"" help:"Take a table over that somebody else has set back or rewritten, if its position is evident."`
	Conf    confCmd       `cmd:"" name:"config" help:"Work with the configuration."`
	Version versionCmd    `cmd:"" help:"Print the version."`
}

// console is where a command reads and writes.
type console struct {
	out, err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals()...)
	defer stop()
	code := run(ctx, os.Args[1:], console{os.Stdout, os.Stderr})
	os.Exit(code)
}

// stopSignals are those that ask the process to stop. SIGHUP is one, for a terminal that is closed
// and for those who expect it to reload the configuration; but under nohup it is passed over.
func stopSignals() []os.Signal {
	out := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		out = append(out, syscall.SIGHUP)
	}
	return out
}

// run executes one command and gives the exit code. ctx ends when the process is asked to
// stop.
func run(ctx context.Context, args []string, c console) int {
	var flags cli
	finished := false
	parser, err := kong.New(&flags,
		kong.Name("cdcd"), kong.Description("Replicates MySQL and MariaDB into Apache Iceberg tables, exactly once."),
		kong.Writers(c.out, c.err), kong.Exit(func(int) { finished = true }), kong.UsageOnError(),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(c))
	if err != nil {
		fmt.Fprintln(c.err, "cdcd:", err)
		return exitUsage
	}
	command, err := parser.Parse(args)
	if finished { // --help
		return exitOK
	}
	if err != nil {
		fmt.Fprintln(c.err, "cdcd:", err)
		fmt.Fprintln(c.err, "Run cdcd --help for the commands.")
		return exitUsage
	}
	err = command.Run(&flags)
	if err != nil && !errors.Is(err, errReported) {
		fmt.Fprintln(c.err, "cdcd:", err)
	}
	return exitCode(err)
}
