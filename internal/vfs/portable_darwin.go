package vfs

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// systemStat adds what the system tells beyond fs.FileInfo.
func systemStat(fi fs.FileInfo, s *Stat) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	s.Dev, s.Ino, s.Links = uint64(st.Dev), st.Ino, uint64(st.Nlink)
	s.CTime, s.Mode, s.UID, s.GID = st.Ctimespec.Nano(), uint32(st.Mode), st.Uid, st.Gid
}

// lockFile takes the lock or fails if a live process has it.
func lockFile(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// refusesName tells whether an error says that no file can have such a name.
func refusesName(err error) bool {
	return errors.Is(err, syscall.EILSEQ) || errors.Is(err, syscall.ENAMETOOLONG)
}
