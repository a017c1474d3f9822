//go:build !linux

package watch

import "io/fs"

func stampOf(fi fs.FileInfo) stamp {
	if fi.IsDir() {
		return stamp{mode: fi.Mode()}
	}
	return stamp{mode: fi.Mode(), size: fi.Size(), mtime: fi.ModTime().UnixNano()}
}

// deviceOf is not known here, so mounted file systems are walked like directories.
func deviceOf(fs.FileInfo) uint64 { return 0 }
