// Package watch turns the system's notifications about one folder into a bounded set of dirty paths.
//
// # Owns
//
// Three ways to notice a change, behind one Watcher: fanotify (one mark for the whole file system), inotify (one watch
// per directory) and polling (every system). Barriers: the proof that all that happened before a moment has been
// reported. The rule when a file that stays open for writing is worth a look.
//
// # Does not own
//
// What a path is now, or whether it differs from the index: a notification is a hint, scan looks at the disk. What to
// exclude. Whether the root is still the right one.
//
// # Invariants
//
// A change made after Open has returned is in some Batch: as a path in Dirty, below a path in Trees, or under a Rescan.
// A batch with barrier k holds, together with earlier batches, all that was changed before Barrier returned k.
// A closed file, a rename, a removal, a new directory or symlink, and a change of attributes wait for no timer. A file
// that is written and not closed is reported QuietTime after its last write, and MaxQuietTime after the first at the
// latest. The private area is never reported. At most MaxDirtyPaths are held; more become a Rescan.
//
// # Concurrency
//
// Open registers and starts nothing; Run works until its context ends and then closes Events. Barrier, Mode and Stats
// may be called by any goroutine. Inside, one goroutine reads the system and one hands out batches; gather, which has
// the only lock, stands between them.
package watch
