package index

import (
	"io"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

// filesName is how connections ask SQLite for files.
const filesName = "tandem-index"

// files are the system's files without memory mapping. A database whose pages have checksums can't be mapped; go-sqlite3
// v0.37.0 finds that out after it has promised SQLite to map, and then dereferences nil at the end of a checkpoint.
type files struct{}

func (files) Open(string, vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	return nil, 0, sqlite3.CANTOPEN // a file without a name: the temporary ones are kept in memory
}

func (files) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, out, err := vfs.Find("os").(vfs.VFSFilename).OpenFilename(name, flags)
	if err != nil {
		return nil, 0, err
	}
	switch {
	case flags&vfs.OPEN_MAIN_DB != 0:
		return database{file{f}}, out, nil
	case flags&vfs.OPEN_WAL != 0:
		return &walFile{file: file{f}}, out, nil
	}
	return file{f}, out, nil
}

func (files) Delete(name string, syncDir bool) error { return vfs.Find("os").Delete(name, syncDir) }

func (files) Access(name string, flags vfs.AccessFlag) (bool, error) {
	return vfs.Find("os").Access(name, flags)
}

func (files) FullPathname(name string) (string, error) { return vfs.Find("os").FullPathname(name) }

// file has vfs.FileSharedMemory and not vfs.FileMemoryMapper.
type file struct{ vfs.File }

func (f file) SharedMemory() vfs.SharedMemory {
	if s, ok := f.File.(vfs.FileSharedMemory); ok {
		return s.SharedMemory()
	}
	return nil
}

// database is the file of the database. SQLite takes what lies behind its end for zeros, and a page of zeros for one
// without rows: but a page that is neither in the log nor in the file was cut off.
type database struct{ file }

func (d database) ReadAt(p []byte, off int64) (int, error) {
	n, err := d.file.ReadAt(p, off)
	if err == io.EOF && off >= pageBytes {
		err = sqlite3.IOERR_CORRUPTFS
	}
	return n, err
}
