package watch

import (
	"io/fs"
	"syscall"
)

func stampOf(fi fs.FileInfo) stamp {
	s := stamp{mode: fi.Mode()}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if ok {
		s.inode, s.uid, s.gid = st.Ino, st.Uid, st.Gid
	}
	if fi.IsDir() {
		return s
	}
	s.size, s.mtime = fi.Size(), fi.ModTime().UnixNano()
	if ok {
		s.ctime = uint64(st.Ctim.Nano())
	}
	return s
}

// deviceOf tells on which file system a file is.
func deviceOf(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Dev)
	}
	return 0
}
