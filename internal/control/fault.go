package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"tandem/internal/farm"
)

// ErrorBody is an error in JSON: the body {"error": ...} of an answer that is not 2xx, and the end of a broken stream.
type ErrorBody struct {
	Op      string `json:"op,omitempty"`
	Path    string `json:"path,omitempty"`
	Kind    string `json:"kind"` // farm.Kind in words
	Message string `json:"message"`
	Next    string `json:"next,omitempty"`
}

type errorAnswer struct {
	Error *ErrorBody `json:"error"`
}

// ErrorOf is the error as it crosses the API.
func ErrorOf(err error) *ErrorBody {
	var e *farm.Error
	if !errors.As(err, &e) {
		return &ErrorBody{Kind: farm.Other.String(), Message: err.Error()}
	}
	b := &ErrorBody{Op: e.Op, Path: e.Path, Kind: e.Kind.String(), Message: e.Kind.String(), Next: e.Next}
	if e.Err != nil {
		b.Message = e.Err.Error()
	}
	return b
}

// Err is the error that the body stands for.
func (b *ErrorBody) Err() error {
	return &farm.Error{Op: b.Op, Path: b.Path, Kind: kindNamed(b.Kind), Next: b.Next, Err: errors.New(b.Message)}
}

func kindNamed(name string) farm.Kind {
	for k := farm.Other; k <= farm.Internal; k++ {
		if k.String() == name {
			return k
		}
	}
	return farm.Other // a kind of a later version
}

// kindOfStatus is for answers without a body of ours.
func kindOfStatus(status int) farm.Kind {
	for k := farm.Other; k <= farm.Internal; k++ {
		if k.HTTPStatus() == status {
			return k
		}
	}
	return farm.Other
}

// errorOf is the error that an answer which is not 2xx stands for.
func errorOf(op string, resp *http.Response) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	if err != nil {
		return &farm.Error{Op: op, Kind: farm.Unavailable, Err: err}
	}
	var a errorAnswer
	if json.Unmarshal(data, &a) == nil && a.Error != nil {
		return a.Error.Err()
	}
	return &farm.Error{Op: op, Kind: kindOfStatus(resp.StatusCode), Err: fmt.Errorf("the daemon answered %s", resp.Status)}
}

const maxErrorBytes = 64 << 10
