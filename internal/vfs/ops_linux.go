package vfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
)

func (d *disk) Lstat(p farm.Path) (Stat, error) {
	if dir, ok := d.in(p); ok {
		return dir.Lstat(p.Base())
	}
	fd, err := d.open(p, unix.O_PATH)
	if err != nil {
		return Stat{}, fail("lstat", p, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return Stat{}, fail("lstat", p, err)
	}
	return d.stat(&st), nil
}

// direntBytes is the buffer for one getdents call: some thousand names.
const direntBytes = 64 << 10

func (d *disk) ReadDir(p farm.Path) ([]DirEntry, error) {
	fd, err := d.open(p, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, fail("readdir", p, d.whyNotDir(p, err, errNotDir))
	}
	defer unix.Close(fd)
	return d.list(fd, p)
}

// list reads an open directory to its end.
func (d *disk) list(fd int, p farm.Path) ([]DirEntry, error) {
	var list []DirEntry
	buf, ok := d.dirents.Get().(*[direntBytes]byte)
	if !ok {
		buf = new([direntBytes]byte)
	}
	defer d.dirents.Put(buf)
	for {
		n, err := unix.Getdents(fd, buf[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, fail("readdir", p, err)
		}
		if n == 0 {
			break
		}
		if list, err = decodeDirents(fd, p, buf[:n], list); err != nil {
			return nil, fail("readdir", p, err)
		}
	}
	slices.SortFunc(list, func(a, b DirEntry) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// decodeDirents decodes struct linux_dirent64: inode, offset, record length, type, name.
func decodeDirents(fd int, p farm.Path, buf []byte, list []DirEntry) ([]DirEntry, error) {
	const lenAt, typeAt, nameAt = 16, 18, 19
	for len(buf) > nameAt {
		size := int(binary.NativeEndian.Uint16(buf[lenAt:]))
		name, _, _ := bytes.Cut(buf[nameAt:size], []byte{0})
		kind := buf[typeAt]
		buf = buf[size:]
		if s := string(name); s != "." && s != ".." && !(p.IsRoot() && s == farm.PrivateDir) {
			t, err := direntType(fd, s, kind)
			if err != nil {
				return nil, err
			}
			list = append(list, DirEntry{s, t})
		}
	}
	return list, nil
}

func direntType(fd int, name string, kind byte) (farm.Type, error) {
	switch kind {
	case unix.DT_REG:
		return farm.File, nil
	case unix.DT_DIR:
		return farm.Dir, nil
	case unix.DT_LNK:
		return farm.Symlink, nil
	case unix.DT_UNKNOWN: // some file systems do not tell
		var st unix.Stat_t
		err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == unix.ENOENT {
			return farm.Absent, nil
		}
		t, _ := typeOf(st.Mode)
		return t, err
	}
	return farm.Absent, nil
}

func (d *disk) Readlink(p farm.Path) (string, error) {
	fd, err := d.open(p, unix.O_PATH)
	if err != nil {
		return "", fail("readlink", p, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", fail("readlink", p, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return "", fail("readlink", p, errNotLink)
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return "", fail("readlink", p, err)
	}
	return string(buf[:n]), nil
}

func (d *disk) Mkdir(p farm.Path, mode uint32) error {
	at, err := d.parent(p)
	if err != nil {
		return fail("mkdir", p, err)
	}
	defer at.close()
	if err := unix.Mkdirat(at.fd, at.name, 0o700); err != nil {
		return fail("mkdir", p, err)
	}
	// The umask and a setgid parent have their say in mkdir, not in chmod.
	fd, err := unix.Openat(at.fd, at.name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail("mkdir", p, err)
	}
	defer unix.Close(fd)
	return fail("mkdir", p, unix.Fchmod(fd, mode&farm.ModeBits))
}

func (d *disk) Symlink(target string, p farm.Path) error {
	at, err := d.parent(p)
	if err != nil {
		return fail("symlink", p, err)
	}
	defer at.close()
	return fail("symlink", p, unix.Symlinkat(target, at.fd, at.name))
}

func times(mtime int64) []unix.Timespec {
	return []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(mtime)}
}

func procFD(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

func (d *disk) RenameNoReplace(from, to farm.Path) error {
	return fail("rename", to, d.rename(from, to, unix.RENAME_NOREPLACE))
}

func (d *disk) Exchange(a, b farm.Path) error {
	return fail("exchange", b, d.rename(a, b, unix.RENAME_EXCHANGE))
}

func (d *disk) rename(from, to farm.Path, flag uint) error {
	a, err := d.parent(from)
	if err != nil {
		return fail("rename", from, err)
	}
	defer a.close()
	b, err := d.parent(to)
	if err != nil {
		return err
	}
	defer b.close()
	return unix.Renameat2(a.fd, a.name, b.fd, b.name, flag)
}

func (d *disk) Remove(p farm.Path) error {
	at, err := d.parent(p)
	if err != nil {
		return fail("remove", p, err)
	}
	defer at.close()
	return fail("remove", p, unix.Unlinkat(at.fd, at.name, 0))
}

func (d *disk) RemoveDir(p farm.Path) error {
	at, err := d.parent(p)
	if err != nil {
		return fail("rmdir", p, err)
	}
	defer at.close()
	err = unix.Unlinkat(at.fd, at.name, unix.AT_REMOVEDIR)
	if err == unix.ENOTDIR {
		err = errNotDir
	}
	return fail("rmdir", p, err)
}

// futimens sets the times of an open file.
func futimens(fd int, ts []unix.Timespec) error {
	_, _, e := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&ts[0])), 0, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}
