// Package vfs is the file-system port: one folder's tree, seen only through a root that cannot be left.
//
// # Owns
//
// The interface FS with a real implementation (Open), an in-memory twin that can crash (NewMem), wrappers that inject
// faults and write traces (Fault, Trace), and the private area's lay-out. The package vfstest holds the contract suite
// that the real one and the twin both pass.
//
// # Does not own
//
// What is done with files: looking (scan), keeping (install), noticing (watch).
//
// # Invariants
//
// No call reads or writes outside the root or follows a symbolic link, even while somebody swaps directories for links
// between two system calls: on Linux every parent is resolved by one openat2 with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS
// and RESOLVE_NO_XDEV, and the last component is used relative to that descriptor. Descriptors of parents are not kept:
// a kept one would still name a directory that was moved away, and resolving three levels costs 2 microseconds.
// Setuid and setgid are set only where Options say so, and never on a file whose owner could not be set. Attributes of
// the private area's directories are none but a mode of 0700: what is prepared there inherits no access list.
//
// Elsewhere than on Linux the tree lies in an os.Root, which is confined too; that no link is followed inside the root
// is checked there before each call and not by it, Exchange is three renames, and ownership is left alone.
//
// # Concurrency
//
// An FS may be used by any number of goroutines; a File, Temp or Log by one at a time. Close comes after all else.
package vfs
