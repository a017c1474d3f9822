package watch

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// inoEvent is one notification of inotify. Its name is a part of the buffer that was read.
type inoEvent struct {
	watch int32 // descriptor; -1 for a queue that overflowed
	mask  uint32
	pair  uint32 // the same in the two notifications of a rename
	name  []byte // of the entry; nil for the watched directory itself
}

// nextInoEvent takes the first notification off buf: struct inotify_event of watch (4 bytes), mask (4), cookie (4) and
// length of the name (4), then the name, padded with NUL. inotify(7).
func nextInoEvent(buf []byte) (ev inoEvent, rest []byte, err error) {
	if len(buf) < unix.SizeofInotifyEvent {
		return ev, nil, fmt.Errorf("inotify: %d bytes are no notification", len(buf))
	}
	ev.watch = int32(binary.NativeEndian.Uint32(buf))
	ev.mask = binary.NativeEndian.Uint32(buf[4:])
	ev.pair = binary.NativeEndian.Uint32(buf[8:])
	n := binary.NativeEndian.Uint32(buf[12:])
	buf = buf[unix.SizeofInotifyEvent:]
	if uint64(n) > uint64(len(buf)) {
		return ev, nil, fmt.Errorf("inotify: name of %d in %d bytes", n, len(buf))
	}
	ev.name, rest = buf[:n], buf[n:]
	if end := bytes.IndexByte(ev.name, 0); end >= 0 {
		ev.name = ev.name[:end]
	}
	return ev, rest, nil
}
