package wire

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tandem/internal/farm"
)

// kindCodes pairs every kind of error with a gRPC code of its own, so that a kind survives the way.
var kindCodes = [...]codes.Code{
	farm.Other:       codes.Unknown,
	farm.Invalid:     codes.InvalidArgument,
	farm.NotFound:    codes.NotFound,
	farm.Exists:      codes.AlreadyExists,
	farm.Denied:      codes.PermissionDenied,
	farm.Unavailable: codes.Unavailable,
	farm.Conflict:    codes.FailedPrecondition,
	farm.Unstable:    codes.Aborted,
	farm.Unsupported: codes.Unimplemented,
	farm.Full:        codes.ResourceExhausted,
	farm.Corrupt:     codes.DataLoss,
	farm.Internal:    codes.Internal,
}

// Status is the error as gRPC sends it; nil stays nil.
func Status(err error) error {
	if err == nil {
		return nil
	}
	return status.Error(kindCodes[farm.KindOf(err)], err.Error())
}

// FromStatus is the inverse of Status. Cancellation and deadline stay findable with errors.Is.
func FromStatus(op, path string, err error) error {
	if err == nil {
		return nil
	}
	var known *farm.Error
	if errors.As(err, &known) {
		return err
	}
	s := status.Convert(err)
	e := farm.Errorf(op, path, farm.Other, "%s", s.Message())
	switch s.Code() {
	case codes.Canceled:
		e.Kind, e.Err = farm.Unavailable, context.Canceled
		return e
	case codes.DeadlineExceeded:
		e.Kind, e.Err = farm.Unavailable, context.DeadlineExceeded
		return e
	}
	for kind, code := range kindCodes {
		if code == s.Code() {
			e.Kind = farm.Kind(kind)
		}
	}
	return e
}
