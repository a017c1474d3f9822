// Package reload brings revisions of the farm's configuration to life on one member, and what an admin types there to
// all others.
//
// # Owns
//
// When a text in the configuration directory counts as saved; the check of it; writing revisions into the replicated
// folder .farm and taking those that arrive there; one head out of several; prepare all, then commit all or discard all;
// the last good revision; writing the head's files back into the configuration directory; a bounded history.
//
// # Does not own
//
// What a configuration means (config, and the parts that prepare it). How a revision travels (replica). The certificate
// store. Noticing changes: whoever watches the two directories calls Touched and Arrived, and a poll every 2 seconds
// makes up for what it missed.
//
// # Invariants
//
// A configuration is live whole or not at all; single sites may be left out, and then the verdict names them. While a
// revision does not come to life, the one before goes on; it is kept in the state directory, and is enough to boot alone.
//
// An edit by hand leaves this member only if it checks, prepares here, and leaves no site worse off than before. Its
// parent is the revision that was in the directory when it was typed, so it never silently undoes a revision that
// arrived in between: both become parents of a merge. Every member makes the same merge, from the same set of revisions.
//
// The configuration directory belongs to the admin. A file is replaced only if it holds what this package wrote or has
// taken as an edit. A text that was refused stays where it is; only if an arriving revision changes the same file it is
// moved to NAME.rejected beside it, with an event.
//
// # States
//
// The directory is one of:
//
//	Written   holds the files of a revision             -> Settling when a file differs
//	Settling  is being changed                          -> Written when it is quiet and was taken, or is as it was
//	                                                    -> Refused when it is quiet and does not check
//	Refused   holds a text that does not check          -> Settling when a file differs
//
// A file that was replaced by rename is whole, and quiet after 30 ms: time for an editor's other files. One that is
// written in place may still grow, and is quiet after 100 ms; one that is empty or a beginning of what it was looks like
// a write that has just begun, and is given 300 ms.
//
// A revision is Prepared, then Live or Refused; a refused head is tried again with growing pauses, since what refused
// it (a port in use, a missing directory) may be over.
//
// # Concurrency
//
// All methods may be called by any goroutine, and by parts while they prepare; but Apply, Update, Check, Boot and
// Revision, which wait for each other and for Run, must not be called by a part or a sink. The state that is read is swapped as a whole.
package reload
