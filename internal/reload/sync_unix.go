//go:build !windows

package reload

import (
	"errors"
	"os"
)

// syncDir makes the names in dir survive a power cut.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
