package vfs

import "errors"

// What stands at the path is not of the type that the call is for.
var (
	errNotDir  = errors.New("is no directory")
	errNotFile = errors.New("is no regular file")
	errNotLink = errors.New("is no symbolic link")
	errNotKept = errors.New("can't be kept here") // never leaves the package
)
