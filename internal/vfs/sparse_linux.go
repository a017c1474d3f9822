package vfs

import (
	"io"

	"golang.org/x/sys/unix"
)

// statBlockBytes is the unit of st_blocks, whatever the file system's blocks are.
const statBlockBytes = 512

// copySparse appends size bytes of src at offset end. Holes stay holes. A source that becomes shorter meanwhile is copied
// as far as it goes: whoever wants a certain content reads the copy.
func (t *temp) copySparse(src *file, end, size int64) (int64, error) {
	for at := int64(0); at < size; {
		data, err := unix.Seek(src.fd, at, unix.SEEK_DATA)
		if err == unix.ENXIO { // no more data
			break
		}
		if err != nil {
			data = at // the file system does not tell
		}
		hole, err := unix.Seek(src.fd, data, unix.SEEK_HOLE)
		if err != nil || hole > size {
			hole = size
		}
		if hole <= data {
			break
		}
		if err := t.CopyRange(src, data, end+data, hole-data); err != nil {
			return data, err
		}
		at = hole
	}
	if err := t.Truncate(end + size); err != nil {
		return 0, err
	}
	_, err := unix.Seek(t.fd, end+size, io.SeekStart)
	return size, fail("copy", src.p, err)
}
