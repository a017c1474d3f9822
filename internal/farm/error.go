package farm

import (
	"errors"
	"fmt"
)

// Kind classes an error. It alone decides retry, HTTP status and exit code.
type Kind uint8

const (
	Other       Kind = iota
	Invalid          // input does not have the form it must have
	NotFound         // the thing named does not exist
	Exists           // the thing exists already
	Denied           // credentials or permissions forbid it
	Unavailable      // a peer, a service or content can't be reached now
	Conflict         // the state is not the one that the caller expected
	Unstable         // the file is being written
	Unsupported      // the system or the file system can't represent or do it
	Full             // no space, quota or budget left
	Corrupt          // stored or received bytes are not what they should be
	Internal         // a bug
)

var kinds = [...]struct {
	name   string
	retry  bool
	status int
	exit   int
}{
	Other:       {"error", false, 500, 1},
	Invalid:     {"invalid", false, 400, 2},
	NotFound:    {"not found", false, 404, 3},
	Exists:      {"exists", false, 409, 4},
	Denied:      {"denied", false, 403, 5},
	Unavailable: {"unavailable", true, 503, 6},
	Conflict:    {"conflict", true, 409, 7},
	Unstable:    {"being written", true, 503, 8},
	Unsupported: {"unsupported", false, 501, 9},
	Full:        {"full", true, 507, 10},
	Corrupt:     {"corrupt", true, 500, 11},
	Internal:    {"internal", false, 500, 12},
}

func (k Kind) String() string { return kinds[k].name }

// Retry tells whether the same call can succeed later.
func (k Kind) Retry() bool { return kinds[k].retry }

// HTTPStatus is the status code for an answer that failed so.
func (k Kind) HTTPStatus() int { return kinds[k].status }

// ExitCode is the exit code of a command that failed so.
func (k Kind) ExitCode() int { return kinds[k].exit }

// Error carries operation, subject, kind and cause.
type Error struct {
	Op   string // "install", "join"
	Path string // path, member or file name; may be empty
	Kind Kind
	Next string // what to do next; may be empty
	Err  error
}

func (e *Error) Error() string {
	s := e.Op
	if e.Path != "" {
		s += " " + e.Path
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	} else {
		s += ": " + e.Kind.String()
	}
	if e.Next != "" {
		s += " (" + e.Next + ")"
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an Error with the message as its cause.
func Errorf(op, path string, kind Kind, format string, args ...any) *Error {
	return &Error{Op: op, Path: path, Kind: kind, Err: fmt.Errorf(format, args...)}
}

// KindOf is the kind of the outermost Error in err's chain.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Other
}
