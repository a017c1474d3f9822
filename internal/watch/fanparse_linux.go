package watch

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// Layout of what is read from a fanotify descriptor: struct fanotify_event_metadata, then information records, each
// with a header of type (1 byte), padding (1) and length (2); those of a directory go on with a file system id (8), and
// a struct file_handle of size (4), type (4) and the handle, then the name with a NUL. Linux, uapi/linux/fanotify.h.
const (
	fanVersion     = 3
	fanHeaderBytes = unix.FAN_EVENT_METADATA_LEN
	fanInfoBytes   = 4
	fanFSIDBytes   = 8
	fanHandleBytes = 8 // of the header; the handle follows
	maxHandleBytes = 128
)

// fanEvent is one notification. Its slices are parts of the buffer that was read.
type fanEvent struct {
	mask uint64
	pid  int32
	dir  []byte // struct file_handle of the directory; nil if the notification has none
	name []byte // of the entry in it; "." or nil for the directory itself

	// Of a rename (Linux 5.17) dir and name are the old ones, these the new.
	newDir, newName []byte
}

// nextFanEvent takes the first notification off buf.
func nextFanEvent(buf []byte) (ev fanEvent, rest []byte, err error) {
	if len(buf) < fanHeaderBytes {
		return ev, nil, fmt.Errorf("fanotify: %d bytes are no notification", len(buf))
	}
	size := int(binary.NativeEndian.Uint32(buf))
	header := int(binary.NativeEndian.Uint16(buf[6:]))
	if buf[4] != fanVersion || header < fanHeaderBytes || size < header || size > len(buf) {
		return ev, nil, fmt.Errorf("fanotify: version %d with %d of %d bytes", buf[4], size, len(buf))
	}
	ev.mask = binary.NativeEndian.Uint64(buf[8:])
	ev.pid = int32(binary.NativeEndian.Uint32(buf[20:]))
	rest = buf[size:]
	for info := buf[header:size]; len(info) >= fanInfoBytes; {
		n := int(binary.NativeEndian.Uint16(info[2:]))
		if n < fanInfoBytes || n > len(info) {
			return ev, nil, fmt.Errorf("fanotify: information record of %d of %d bytes", n, len(info))
		}
		kind, body := info[0], info[fanInfoBytes:n]
		info = info[n:]
		switch {
		case kind == unix.FAN_EVENT_INFO_TYPE_NEW_DFID_NAME && ev.newDir == nil:
			ev.newDir, ev.newName, err = parseDirInfo(body)
		case ev.dir == nil && namesDir(kind):
			ev.dir, ev.name, err = parseDirInfo(body)
		}
		if err != nil {
			return ev, nil, err
		}
	}
	return ev, rest, nil
}

// namesDir tells whether a record of that kind is of a directory, with or without a name in it.
func namesDir(kind byte) bool {
	switch kind {
	case unix.FAN_EVENT_INFO_TYPE_DFID_NAME, unix.FAN_EVENT_INFO_TYPE_DFID, unix.FAN_EVENT_INFO_TYPE_OLD_DFID_NAME:
		return true
	}
	return false
}

// parseDirInfo splits the body of a directory's record into its handle and the name.
func parseDirInfo(body []byte) (handle, name []byte, err error) {
	if len(body) < fanFSIDBytes+fanHandleBytes {
		return nil, nil, fmt.Errorf("fanotify: directory record of %d bytes", len(body))
	}
	body = body[fanFSIDBytes:]
	n := binary.NativeEndian.Uint32(body)
	if n == 0 || n > maxHandleBytes || fanHandleBytes+int(n) > len(body) {
		return nil, nil, fmt.Errorf("fanotify: handle of %d in %d bytes", n, len(body))
	}
	handle, name = body[:fanHandleBytes+n], body[fanHandleBytes+n:]
	if end := bytes.IndexByte(name, 0); end >= 0 {
		name = name[:end]
	}
	return handle, name, nil
}
