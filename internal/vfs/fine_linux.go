package vfs

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Since Linux 6.13 some file systems give an inode that somebody has looked at since its last change a time of its own at
// the next one: there, no write hides behind the time of another, and no look is racy (Documentation, "Multigrain
// Timestamps"). Whether a file system does is found out by trying.
const (
	fineRounds = 10
	fineTime   = 5 * time.Millisecond // in which the coarsest clock that could pass for a fine one ticks less often than that
	fineTries  = 3
)

// fineKinds are the file systems that may have such times. On others the time may not even be this machine's.
func fineKinds() []int64 {
	return []int64{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC}
}

// finelyTimed tells whether each of many changes in a row, with a look after each, has a time of its own.
func (d *disk) finelyTimed() bool {
	var fs unix.Statfs_t
	if unix.Fstatfs(d.fd, &fs) != nil || !slices.Contains(fineKinds(), int64(fs.Type)) {
		return false
	}
	t, err := d.Temp()
	if err != nil {
		return false
	}
	defer t.Close()
	for range fineTries {
		begin := time.Now()
		fine := rises(t.(*temp).fd)
		if time.Since(begin) < fineTime {
			return fine
		}
	}
	return false
}

func rises(fd int) bool {
	last := int64(0)
	for range fineRounds {
		var st unix.Stat_t
		if _, err := unix.Write(fd, []byte{0}); err != nil {
			return false
		}
		if unix.Fstat(fd, &st) != nil || st.Ctim.Nano() <= last {
			return false
		}
		last = st.Ctim.Nano()
	}
	return true
}
