package index

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tandem/internal/farm"
)

const (
	lockName       = "lock"
	setAsidePrefix = "set-aside-"

	// maxSetAside is how many set-aside stores are kept; with another one the oldest goes.
	maxSetAside = 3
)

// Reset moves the store in dir, corrupt or not, to a directory beside it, so that the next Open makes a new one. It
// returns that directory's name, or "" if there was no store. now names it.
//
// Errors are *farm.Error. Conflict: an Index has dir open.
func Reset(dir string, now time.Time) (setAside string, err error) {
	const op = "reset index"
	l, err := lock(dir)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fail(op, dir, err)
	}
	defer func() { err = errors.Join(err, fail(op, dir, l.Close())) }()
	if _, err := os.Lstat(filepath.Join(dir, databaseName)); errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	setAside, err = makeSetAside(dir, now)
	if err != nil {
		return "", fail(op, dir, err)
	}
	// The database goes last: as long as it is there, a Reset that was cut off is taken up again.
	for _, suffix := range []string{shmSuffix, walSuffix, ""} {
		name := databaseName + suffix
		err := os.Rename(filepath.Join(dir, name), filepath.Join(setAside, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return setAside, fail(op, dir, err)
		}
	}
	return setAside, fail(op, dir, forgetOldest(dir))
}

func makeSetAside(dir string, now time.Time) (string, error) {
	base := filepath.Join(dir, setAsidePrefix+now.UTC().Format("20060102T150405.000Z"))
	for i, name := 1, base; ; i, name = i+1, fmt.Sprintf("%s-%d", base, i) {
		if err := os.Mkdir(name, 0o700); !errors.Is(err, os.ErrExist) {
			return name, err
		}
	}
}

func forgetOldest(dir string) error {
	all, err := filepath.Glob(filepath.Join(dir, setAsidePrefix+"*"))
	if err != nil {
		return err
	}
	slices.Sort(all)
	var errs []error
	for i := range len(all) - maxSetAside {
		errs = append(errs, os.RemoveAll(all[i]))
	}
	return errors.Join(errs...)
}

func errInUse() error {
	return because(farm.Conflict, "it is open already, here or in another process")
}
