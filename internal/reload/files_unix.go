//go:build !windows

package reload

import (
	"errors"
	"os"
	"syscall"
)

// syncDir makes the names in dir survive a power cut.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// giveTo makes the owner of like that of the file, so that who could edit the old file can edit the new one. Only root
// can give files away; without it, they are this user's like all others here.
func giveTo(like os.FileInfo, file string) {
	if s, ok := like.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		// A file system that knows no owners refuses; the text matters more.
		_ = os.Chown(file, int(s.Uid), int(s.Gid))
	}
}
