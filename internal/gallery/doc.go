// Package gallery is a small picture gallery: the sample application of the demo. It knows nothing of Tandem; it is an
// ordinary web application that keeps what visitors give it in files below one directory.
//
// # Owns
//
// The pages, and the two kinds of files: uploads/NAME is a picture, written beside its place and renamed into it;
// comments/NAME.txt has one line per comment and is only ever appended to.
//
// # Does not own
//
// The listener, and who may do what: every visitor may upload, comment and delete.
//
// # Invariants
//
// Whatever a visitor sends as a name, nothing outside of the directory is read or written. A picture that is listed is
// whole. Every change is answered with 303, so that reloading a page repeats nothing.
//
// # Concurrency
//
// The handler keeps no state but the files; it may serve any number of requests, and other processes, or other
// machines, may change the files meanwhile.
package gallery
