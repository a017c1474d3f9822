// Package scan looks at the disk: dirty paths, or a whole walk, become observations.
//
// # Owns
//
// Examine, the one routine that says what a path is now, for events, scans, overflow and crash recovery alike. Walk,
// which finds the paths that are worth examining. The rule when a file is stable enough to be read. Exclude patterns.
//
// # Does not own
//
// What an observation means: versions are the index's, decisions are reconcile's. The catalogue to compare with is the
// caller's. How large files are cut (chunk).
//
// # Invariants
//
// An observation with content or a digest is of one state of the file: the inode was the same, and unchanged, before
// and after it was read. What can't be looked at is an error and never an absence. Nothing is absent, and nothing is
// reported as missing, unless the root was found in place after the look. Nothing outside the root is read. Excluded
// and private paths are neither entered nor reported.
//
// # Concurrency
//
// A Scanner has no state but its buffers; any number of goroutines may call it.
package scan
