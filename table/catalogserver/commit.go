package catalogserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"cdcd/table"
)

const (
	// maxCommitBytes bounds a commit request.
	maxCommitBytes = 16 << 20
	// commitPatience bounds a commit. It goes on where the client has gone away: half of a
	// commit is nothing that anybody wants.
	commitPatience = time.Minute
)

// commit carries out a commit of maintenance.
func (s *Server) commit(w http.ResponseWriter, r *http.Request) {
	n := table.Name{Namespace: r.PathValue("namespace"), Table: r.PathValue("table")}
	if n.Namespace == s.cfg.Protected {
		s.refuse(w, http.StatusForbidden, "ForbiddenException", fmt.Sprintf("%s is a control table: nobody but cdcd writes it", n))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCommitBytes))
	if err != nil {
		s.refuse(w, http.StatusBadRequest, "BadRequestException", "The request cannot be read, or is longer than 16 MiB")
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), commitPatience)
	defer cancel()
	location, content, err := s.carry(ctx, n, body)
	if err != nil {
		s.notCommitted(w, n, err)
		return
	}
	s.logger.Info("another program's commit", "table", n.String(), "metadata", location)
	s.answer(w, http.StatusOK, map[string]any{"metadata-location": location, "metadata": json.RawMessage(content)})
}

// carry offers a commit to the catalog.
func (s *Server) carry(ctx context.Context, n table.Name, body []byte) (location string, content []byte, err error) {
	request, err := table.ParseForeignCommit(body)
	if err != nil {
		return "", nil, err
	}
	_, _, ok, err := s.catalog.Metadata(ctx, n) // a commit to no table would be one that makes it
	switch {
	case err != nil:
		return "", nil, fmt.Errorf("%w: %w", table.ErrUnavailable, err)
	case !ok:
		return "", nil, errNoTable
	}
	location, content, err = table.CommitForeign(ctx, s.catalog, n, request)
	if err == nil && request.MovesSnapshots() {
		select {
		case s.cfg.Touched <- n:
		default: // what it means is found with the table's next change
		}
	}
	return location, content, err
}

// errNoTable reports a commit to a table that is not there.
var errNoTable = errors.New("table does not exist")

// missing answers for a table that is not there, or cannot be looked for.
func (s *Server) missing(w http.ResponseWriter, r *http.Request, n table.Name, err error) {
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.refuse(w, http.StatusNotFound, "NoSuchTableException", fmt.Sprintf("Table does not exist: %s", n))
}

// notCommitted answers with what became of a commit. Clients take 500 for an outcome that is
// open and clean up nothing; after 409 they may try again.
func (s *Server) notCommitted(w http.ResponseWriter, n table.Name, err error) {
	known := []struct {
		err  error
		code int
		kind string
	}{
		{errNoTable, http.StatusNotFound, "NoSuchTableException"},
		{table.ErrForbidden, http.StatusForbidden, "ForbiddenException"},
		{table.ErrStale, http.StatusConflict, "CommitFailedException"},
		{table.ErrMalformed, http.StatusBadRequest, "BadRequestException"},
		{table.ErrUnavailable, http.StatusConflict, "CommitFailedException"},
	}
	for _, k := range known {
		if !errors.Is(err, k.err) {
			continue
		}
		message := err.Error()
		if k.err == table.ErrUnavailable {
			s.logger.Error("catalog endpoint", "table", n.String(), "err", err)
			message = "Nothing was committed: see the server's log"
		} else {
			s.logger.Info("another program's commit is refused", "table", n.String(), "err", err)
		}
		s.refuse(w, k.code, k.kind, message)
		return
	}
	s.logger.Error("catalog endpoint: the outcome of another program's commit is open", "table", n.String(), "err", err)
	s.refuse(w, http.StatusInternalServerError, "CommitStateUnknownException", "It is not known whether this was committed: see the server's log")
}
