package vfs

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
)

// fail turns what the system said into an Error of the kind that FS promises.
func fail(op string, p farm.Path, err error) error {
	if err == nil {
		return nil
	}
	if e := (*farm.Error)(nil); errors.As(err, &e) {
		return err
	}
	e := &farm.Error{Op: op, Path: p.String(), Err: err}
	switch {
	case is(err, unix.EILSEQ, unix.ENAMETOOLONG) || is(err, unix.EINVAL) && !plainName(p.Base()):
		return refusedName(op, p, err)
	case is(err, unix.ENOTDIR):
		e.Kind, e.Err = farm.NotFound, fmt.Errorf("%w (%w)", err, fs.ErrNotExist)
	case is(err, unix.ENOENT):
		e.Kind = farm.NotFound
	case is(err, unix.EEXIST, unix.ENOTEMPTY):
		e.Kind = farm.Exists
	case is(err, unix.EACCES, unix.EPERM, unix.EROFS):
		e.Kind = farm.Denied
	case is(err, unix.ENOSPC, unix.EDQUOT):
		e.Kind = farm.Full
	case is(err, unix.EMFILE, unix.ENFILE, unix.ENOMEM):
		e.Kind, e.Next = farm.Unavailable, "raise the limit of open files"
	case is(err, unix.ELOOP):
		e.Kind, e.Err = farm.Conflict, errors.New("a symbolic link stands in the way")
	case is(err, unix.EXDEV):
		e.Kind, e.Err = farm.Conflict, errors.New("another mounted file system stands in the way")
	case is(err, unix.EBUSY, unix.EISDIR, errNotDir, errNotFile, errNotLink):
		e.Kind = farm.Conflict
	case is(err, unix.EAGAIN, unix.ETXTBSY):
		e.Kind = farm.Unstable
	case is(err, unix.ENOSYS, unix.EOPNOTSUPP, unix.EINVAL, unix.EMLINK, unix.EFBIG):
		e.Kind = farm.Unsupported
	case is(err, unix.EIO, unix.EUCLEAN, unix.ENODATA):
		e.Kind = farm.Corrupt
	}
	return e
}

func is(err error, codes ...error) bool {
	for _, c := range codes {
		if errors.Is(err, c) {
			return true
		}
	}
	return false
}
