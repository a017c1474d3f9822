package farm

import "time"

// FolderState is what a member says of one folder to the others: enough for acknowledgement, backlog, read-your-writes
// and tombstones.
type FolderState struct {
	Actor   Actor  // under which it writes now
	Known   Vector // changes it has heard of
	Applied Vector // changes it has on disk, visible to applications
	Durable Vector // changes that survive a power cut there
	Entries int64  // live entries
	Waiting int64  // paths known but not yet as they should be
	Bytes   int64  // sum of the sizes of live files

	Paused bool // the member neither sends nor installs
	Braked bool // a scan found so much deleted there that nothing of it is deleted elsewhere

	Seeding SeedMode // how it is being seeded

	// Forgot covers the deletions that members have dropped from their indexes: who knows less than that, and is not being
	// seeded, may have files that are deleted, and nobody is sure to tell it so.
	Forgot Vector

	// Refused is why changes were refused there by the folder's check, on one line; empty: they were not.
	Refused string

	// Conflicts counts the files that are preserved there and were not meant to go; nil: the member does not say.
	Conflicts *int64
}

// Checks is what waits in a folder whose changes are checked before they count.
type Checks struct {
	Own    int    // paths that were changed on this member
	Others int    // paths that others have changed
	Open   int    // paths in work that wait for neither: a trial is over when there are none
	Back   int    // of them, those that are being put back
	Asked  uint64 // grows with each change that was made here and is to be checked
}

// Away says for how long a member has not been heard of, as far as somebody has listened.
type Away struct {
	Member MemberID
	For    time.Duration
}

// Verdict is how a member fares with a configuration revision.
type Verdict struct {
	Revision Digest            // that is live
	Wanted   Digest            // that should be live; differs from Revision while it is prepared or when it was refused
	Faults   []string          // why it is not
	Sites    map[string]string // site file name to why it was refused here
	Since    time.Time         // when Revision became live; zero: not known
	Edits    int               // files in the configuration directory that differ from it and wait for an apply
}

// MemberState is what a member says of itself to all others, in heartbeats and at every change.
type MemberState struct {
	Member   MemberID
	Roles    []Role
	Draining bool
	Version  string // of the program
	Verdict  Verdict
	Folders  map[FolderID]FolderState

	// Number grows with every state of the member, over its restarts too: of two states that came on different ways the
	// higher one is the later. 0: it speaks a protocol that has none.
	Number uint64
	// Links are the members with which it has a session, sorted by name; nil: it does not say.
	Links []MemberID
}

// Meta is the state of a folder's index that is not of one path.
type Meta struct {
	Actor   Actor  // under which this member writes
	Seq     Seq    // of its latest change
	Known   Vector // changes merged into the index
	Durable Vector // changes that survive a power cut here
	Clock   HLC    // latest time given or observed
	Boot    string // id of the system's boot in which the index was opened; another one and not Clean: power may have been cut
	Clean   bool   // the index was closed in order, everything synced

	Seed Seed // of the folder on this member

	Forgot Vector // see FolderState
	Away   []Away // holders that are not heard of, by name
}
