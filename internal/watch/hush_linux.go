package watch

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
)

// Directories of the private area in which only this process works. Not that of the cookies.
var ownDirs = []string{farm.PrivateDir, farm.PrivateDir + "/staging", farm.PrivateDir + "/preserved"}

// hush has the kernel not report what happens to files in directories where only this process works, on the same file system: it
// would be read to be dropped, several notifications for each file that is installed. Renames are told all the same, as
// they may lead out of there. Where the kernel can't (before Linux 6.0), all is as before.
func (f *fanotify) hush(queue syscall.RawConn, quiet []string) {
	for _, dir := range ownDirs {
		p := farm.MustPath(dir)
		fd, err := openBeneath(f.root, p, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			continue
		}
		ignore(queue, fd)
		if dir == ownDirs[1] {
			f.staging = handleOf(fd)
		}
		unix.Close(fd)
	}
	for _, dir := range quiet {
		if fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err == nil {
			ignore(queue, fd)
			unix.Close(fd)
		}
	}
}

// ignore takes an open directory out of what is reported, as far as the kernel can.
func ignore(queue syscall.RawConn, dir int) {
	const mask = unix.FAN_CREATE | unix.FAN_DELETE | unix.FAN_ATTRIB | unix.FAN_MODIFY | unix.FAN_CLOSE_WRITE | unix.FAN_EVENT_ON_CHILD
	_ = queue.Control(func(fd uintptr) {
		_ = unix.FanotifyMark(int(fd), unix.FAN_MARK_ADD|unix.FAN_MARK_IGNORE_SURV, mask, dir, "")
	})
}

// handleOf is the handle of an open directory as notifications have it; nil if it has none.
func handleOf(dir int) []byte {
	h, _, err := unix.NameToHandleAt(dir, "", unix.AT_EMPTY_PATH)
	if err != nil {
		return nil
	}
	b := binary.NativeEndian.AppendUint32(nil, uint32(h.Size()))
	b = binary.NativeEndian.AppendUint32(b, uint32(h.Type()))
	return append(b, h.Bytes()...)
}
