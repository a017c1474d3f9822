// Package certs finds the certificate for a host name in directories that others write: admins, replication, ACME.
//
// # Owns
//
// Reading certificates with their chains and keys (PEM, DER, PKCS #12), what is wrong with them, which of several is
// served for a name and why, writing one that an admin imports, and the warnings before one expires.
//
// # Does not own
//
// Where the directories are and how they come to be the same everywhere (replica), ordering certificates (acme), the
// certificates by which members know each other (identity).
//
// # Invariants
//
// A file is read when it is asked for or has changed, and never by a name that a visitor made up: only what a
// directory lists is opened. What can't be used (torn, a wrong password, a key of another certificate, expired, not yet
// valid) never takes the place of what could. Each thing that is wrong is told once, and once when it is well again.
//
// # Concurrency
//
// A Store may be used by any number of goroutines and starts none. A handshake for a name that has a file of its own waits
// for that file alone; others may wait until changed files are read.
package certs
