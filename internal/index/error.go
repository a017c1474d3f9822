package index

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/ncruces/go-sqlite3"

	"tandem/internal/farm"
)

// cause is an error that knows its kind; fail adds the operation.
type cause struct {
	kind farm.Kind
	error
}

func (c cause) Unwrap() error { return c.error }

func because(kind farm.Kind, format string, args ...any) error {
	return cause{kind, fmt.Errorf(format, args...)}
}

// Error is the cause of every error that this package returns: something is wrong with the index's own files, and not with
// the folder that it is of.
type Error struct{ error }

func (e Error) Unwrap() error { return e.error }

// fail makes err the *farm.Error of an operation, with an Error as its cause. It is nil for nil.
func fail(op, subject string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, sqlite3.IOERR_DATA) {
		err = fmt.Errorf("a page has not the checksum that it was written with: %w", err)
	}
	e := &farm.Error{Op: op, Path: subject, Kind: kindOf(err), Err: Error{err}}
	switch e.Kind {
	case farm.Corrupt:
		e.Next = "the index is set aside and made anew from the folder and the other members"
	case farm.Full:
		e.Next = "free space where tandem keeps its state"
	}
	return e
}

func kindOf(err error) farm.Kind {
	var c cause
	var code sqlite3.ExtendedErrorCode
	switch {
	case errors.As(err, &c):
		return c.kind
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return farm.Full
	case errors.Is(err, os.ErrPermission):
		return farm.Denied
	case !errors.As(err, &code):
		return farm.Other
	}
	switch code {
	case sqlite3.IOERR_DATA, sqlite3.IOERR_CORRUPTFS, sqlite3.IOERR_READ, sqlite3.IOERR_SHORT_READ:
		return farm.Corrupt
	}
	switch sqlite3.ErrorCode(code & 0xff) {
	case sqlite3.ERROR: // has no code of its own: a schema of a format that SQLite never wrote
		if strings.Contains(err.Error(), "unsupported file format") {
			return farm.Corrupt
		}
	case sqlite3.CORRUPT, sqlite3.NOTADB:
		return farm.Corrupt
	case sqlite3.FULL, sqlite3.NOMEM:
		return farm.Full
	case sqlite3.PERM, sqlite3.AUTH, sqlite3.READONLY, sqlite3.CANTOPEN:
		return farm.Denied
	case sqlite3.BUSY, sqlite3.LOCKED, sqlite3.PROTOCOL:
		return farm.Unavailable
	case sqlite3.TOOBIG:
		return farm.Invalid
	}
	return farm.Other
}
