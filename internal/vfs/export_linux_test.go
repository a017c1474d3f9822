package vfs

// Walk makes fs resolve paths as on a system without openat2.
func Walk(fs FS) { fs.(*disk).walks = true }

// NameTemps makes fs prepare files as on a file system without nameless ones.
func NameTemps(fs FS) { fs.(*disk).named.Store(true) }
