package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"cdcd/capture"
	"cdcd/cmd/cdcd/config"
	"cdcd/commit"
	"cdcd/table"
	"cdcd/table/fileio"
)

// The exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 64
	exitLater   = 75
	exitHuman   = 78
)

// errReported is an error whose message has been printed already.
var errReported = errors.New("reported")

// coded is an error with an exit code of its own.
type coded struct {
	code int
	err  error
}

func (c coded) Error() string { return c.err.Error() }
func (c coded) Unwrap() error { return c.err }

// exitCode maps an error to what a supervisor or a person should do.
func exitCode(err error) int {
	var own coded
	var stop *capture.Stop
	var bad config.Errors
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &own):
		return own.code
	case errors.As(err, &stop), errors.As(err, &bad):
		return exitHuman
	}
	for _, human := range []error{
		capture.ErrPositionLost, capture.ErrHistoryLost, capture.ErrAccess, capture.ErrTLSFiles,
		commit.ErrCannotRepair, commit.ErrUnfinishedRewind, table.ErrGone,
		table.ErrNotOurs, table.ErrOtherPipeline, table.ErrRolledBack, table.ErrForeignRows, table.ErrForeignShape, table.ErrOtherShape,
		table.ErrOptionsChanged, table.ErrIncomplete, table.ErrCorrupt, table.ErrCatalogAccess, table.ErrCatalogUnfit, fileio.ErrAccess, fileio.ErrUnfit, fs.ErrPermission,
	} {
		if errors.Is(err, human) {
			return exitHuman
		}
	}
	for _, later := range []error{
		commit.ErrFenced, commit.ErrLeased, commit.ErrOutdated, commit.ErrNotTaken, table.ErrMoved, fileio.ErrBusy, capture.ErrReplaced, context.Canceled,
		syscall.ENOSPC, syscall.EROFS, syscall.EMFILE, syscall.ENFILE,
	} {
		if errors.Is(err, later) {
			return exitLater
		}
	}
	if capture.Transient(err) || untrusted(err) {
		return exitLater
	}
	return exitFailure
}

// inconclusive is an error of a command that looks for errors: its exit code is not that for one that
// was found.
func inconclusive(what string, err error) error {
	err = fmt.Errorf("could not %s: %w", what, err)
	if exitCode(err) == exitFailure {
		return coded{exitLater, err}
	}
	return err
}

// untrusted reports that a server's certificate does not do, which others see to: it has expired,
// or is about to be replaced.
func untrusted(err error) bool {
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &invalid)
}
