package watch

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
)

// fanRecord builds what the kernel writes for one notification.
func fanRecord(mask uint64, pid int32, kind byte, handle []byte, name string) []byte {
	var info []byte
	if kind != 0 {
		info = append(info, kind, 0, 0, 0)
		info = append(info, make([]byte, fanFSIDBytes)...)
		info = binary.NativeEndian.AppendUint32(info, uint32(len(handle)))
		info = binary.NativeEndian.AppendUint32(info, 1)
		info = append(info, handle...)
		if name != "" {
			info = append(append(info, name...), 0)
		}
		for len(info)%4 != 0 {
			info = append(info, 0)
		}
		binary.NativeEndian.PutUint16(info[2:], uint16(len(info)))
	}
	b := binary.NativeEndian.AppendUint32(nil, uint32(fanHeaderBytes+len(info)))
	b = append(b, fanVersion, 0)
	b = binary.NativeEndian.AppendUint16(b, fanHeaderBytes)
	b = binary.NativeEndian.AppendUint64(b, mask)
	b = binary.NativeEndian.AppendUint32(b, ^uint32(0))
	b = binary.NativeEndian.AppendUint32(b, uint32(pid))
	return append(b, info...)
}

func TestParseFan(t *testing.T) {
	handle := []byte{1, 2, 3, 4, 5}
	buf := fanRecord(unix.FAN_CLOSE_WRITE, 42, unix.FAN_EVENT_INFO_TYPE_DFID_NAME, handle, "a\nb")
	buf = append(buf, fanRecord(unix.FAN_Q_OVERFLOW, 0, 0, nil, "")...)
	ev, buf, err := nextFanEvent(buf)
	if err != nil || ev.pid != 42 || ev.mask != unix.FAN_CLOSE_WRITE || string(ev.name) != "a\nb" || !bytes.HasSuffix(ev.dir, handle) {
		t.Errorf("got %+v, %v", ev, err)
	}
	ev, buf, err = nextFanEvent(buf)
	if err != nil || ev.dir != nil || ev.mask != unix.FAN_Q_OVERFLOW || len(buf) != 0 {
		t.Errorf("got %+v, %v", ev, err)
	}
}

// TestFanotifyOverflow injects the loss that an unlimited queue does not have.
func TestFanotifyOverflow(t *testing.T) {
	g := newGather(10)
	g.issue(1)
	f := &fanotify{reader: &reader{g: g}, dirs: newDirCache(-1)}
	f.dirs.known["x"] = place{kind: outside}
	ev, _, _ := nextFanEvent(fanRecord(unix.FAN_Q_OVERFLOW, 0, 0, nil, ""))
	f.handle(ev, time.Unix(0, 0))
	b, _ := g.take()
	if !b.Rescan || len(b.Barriers) != 1 || len(f.dirs.known) != 0 {
		t.Errorf("got %+v with %d directories", b, len(f.dirs.known))
	}
}

// FuzzFanotify: whatever is read, the parser ends, stays in the buffer and gives names that are none or one component.
func FuzzFanotify(f *testing.F) {
	handle := []byte{1, 2, 3, 4}
	f.Add(fanRecord(unix.FAN_CREATE, 1, unix.FAN_EVENT_INFO_TYPE_DFID_NAME, handle, "name"))
	f.Add(fanRecord(unix.FAN_ATTRIB, 1, unix.FAN_EVENT_INFO_TYPE_DFID, handle, ""))
	f.Add(fanRecord(unix.FAN_Q_OVERFLOW, 0, 0, nil, ""))
	f.Add(append(fanRecord(unix.FAN_CREATE, 1, unix.FAN_EVENT_INFO_TYPE_FID, handle, "x"), 1, 2, 3))
	f.Fuzz(func(t *testing.T, buf []byte) {
		for len(buf) > 0 {
			ev, rest, err := nextFanEvent(buf)
			if err != nil {
				return
			}
			if len(rest) >= len(buf) {
				t.Fatal("no progress")
			}
			if ev.dir != nil && len(ev.dir) <= fanHandleBytes {
				t.Fatalf("handle of %d bytes", len(ev.dir))
			}
			checkName(t, ev.name)
			buf = rest
		}
	})
}

// FuzzInotify is the same for inotify.
func FuzzInotify(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00name\x00\x00\x00\x00"))
	f.Add([]byte("\xff\xff\xff\xff\x00\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x01\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\xff\xff\xff\xffname"))
	f.Fuzz(func(t *testing.T, buf []byte) {
		for len(buf) > 0 {
			ev, rest, err := nextInoEvent(buf)
			if err != nil {
				return
			}
			if len(rest) >= len(buf) {
				t.Fatal("no progress")
			}
			checkName(t, ev.name)
			buf = rest
		}
	})
}

func checkName(t *testing.T, name []byte) {
	if bytes.IndexByte(name, 0) >= 0 {
		t.Fatalf("name %q", name)
	}
	dir := farm.MustPath("d")
	if p, ok := childOf(dir, name); ok && p != dir && p.Parent() != dir {
		t.Fatalf("%q is %q", name, p)
	}
}

func TestLocate(t *testing.T) {
	for _, c := range []struct {
		root, dir string
		kind      int
		path      string
	}{
		{"/srv/a", "/srv/a", inside, "."},
		{"/srv/a", "/srv/a/b/c", inside, "b/c"},
		{"/srv/a", "/srv/ab", outside, "."},
		{"/srv/a", "/srv", outside, "."},
		{"/srv/a", "/", outside, "."},
		{"/", "/", inside, "."},
		{"/", "/x/y", inside, "x/y"},
		{"/srv/a", "/srv/a/.tandem", private, "."},
		{"/srv/a", "/srv/a/.tandem/staging/x", private, "."},
		{"/srv/a", "/srv/a/.tandem/barrier", barriers, "."},
		{"/srv/a", "/srv/a/b/.tandem/barrier", inside, "b/.tandem/barrier"},
	} {
		if got := locate(c.root, c.dir, false); got.kind != c.kind || got.path.String() != c.path {
			t.Errorf("%s in %s: %+v", c.dir, c.root, got)
		}
		if got := locate(c.root, c.dir, true); got.kind != outside {
			t.Errorf("%s in %s, removed: %+v", c.dir, c.root, got)
		}
	}
}
