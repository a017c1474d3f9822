package farm

import "time"

// Type is what an entry is.
type Type uint8

const (
	Absent  Type = iota // nothing: as a version, a deletion
	File                // a regular file
	Dir                 // a directory
	Symlink             // a symbolic link
)

func (t Type) String() string {
	return [...]string{"absent", "file", "dir", "symlink"}[t&3]
}

// ModeBits are the permission bits that are always replicated: rwx for user, group and others, and the sticky bit.
const ModeBits = 0o1777

// SpecialBits are setuid and setgid: of files they are replicated only where the folder's configuration says so, of
// directories never: there a setgid bit belongs to the member that set it.
const SpecialBits = 0o6000

// Owner is who owns an entry: names first, ids where the receiver does not know the names.
type Owner struct {
	UID, GID    uint32
	User, Group string // empty: the sender's system has no name for the id
}

// Attr is what is known of a path besides its name and version.
type Attr struct {
	Type   Type
	Mode   uint32 // of ModeBits and SpecialBits; 0 for symlinks
	Owner  Owner
	MTime  int64  // nanoseconds since 1970; 0 for directories, whose time follows from their children
	Size   int64  // bytes; 0 unless a file
	Digest Digest // content of a file
	Target string // text of a symlink
	XAttrs XAttrs // extended attributes and access control lists, as far as the folder replicates them
}

// SameContent tells whether the two have the same type and content, whatever their other attributes.
func (a Attr) SameContent(b Attr) bool {
	return a.Type == b.Type && a.Size == b.Size && a.Digest == b.Digest && a.Target == b.Target
}

// SameMeta tells whether the two have the same mode, owner and extended attributes. User and group names decide where
// both sides have them.
func (a Attr) SameMeta(b Attr) bool {
	return a.Mode == b.Mode && sameOwner(a.Owner, b.Owner) && a.XAttrs.Same(b.XAttrs)
}

func sameOwner(a, b Owner) bool {
	same := func(an, bn string, ai, bi uint32) bool {
		if an != "" && bn != "" {
			return an == bn
		}
		return ai == bi
	}
	return same(a.User, b.User, a.UID, b.UID) && same(a.Group, b.Group, a.GID, b.GID)
}

// Same tells whether nothing would change on disk if a became b. All absences are the same.
func (a Attr) Same(b Attr) bool {
	if a.Type == Absent && b.Type == Absent {
		return true
	}
	return a.SameContent(b) && a.SameMeta(b) && a.MTime == b.MTime
}

// Version says who wrote an entry and what it descends from.
type Version struct {
	Dot     Position // this write
	Vector  Vector   // all writes of the path that it descends from, and itself
	Time    HLC
	Content Stamp // the write that last set type and content
	Meta    Stamp // the write that last set mode, owner, extended attributes or (content being the same) mtime

	// Lost lists contents in Vector that lost a conflict, so that the writer never had them before its eyes: their
	// authors preserve them although Vector covers them. Mostly empty; at most one per member, and MaxLost.
	Lost []Position
}

// MaxLost bounds Version.Lost and Disk.Lost.
const MaxLost = 64

// Stamp is the version's own.
func (v Version) Stamp() Stamp { return Stamp{v.Dot, v.Time} }

// Entry is one version of one path. A deletion is an entry of type Absent; it keeps Mode and Owner of what it
// deleted, of a directory XAttrs too.
type Entry struct {
	Path Path
	Attr
	Version Version
}

// Change is the one value that travels: an entry, with its content where that is small.
type Change struct {
	Entry   Entry
	Content []byte    // whole content of a file of at most InlineBytes; nil: to be fetched by digest
	Sent    time.Time // when the origin saw it; zero when it is sent again for catching up
}

// InlineBytes is the size up to which content travels with its change.
const InlineBytes = 64 << 10

// Fingerprint is what lstat tells of an inode that changes whenever its content or attributes do.
type Fingerprint struct {
	Dev, Ino     uint64
	Size         int64
	MTime, CTime int64  // nanoseconds since 1970
	Mode         uint32 // type and permission bits as the system has them
	UID, GID     uint32
	Racy         bool // taken so soon after CTime that a later write could have left it unchanged
}

// Matches tells whether g was taken of the same, unchanged inode, as far as the system can tell.
func (f Fingerprint) Matches(g Fingerprint) bool {
	f.Racy, g.Racy = false, false
	return f == g
}

// Disk is what a member last saw or put at a path, and which versions that includes.
type Disk struct {
	Attr
	Content Stamp      // of the version whose content this is
	Meta    Stamp      // of the version whose mode, owner and extended attributes these are
	Context Vector     // versions of the path that an application which now writes has had before its eyes
	Lost    []Position // contents in Context that lost a conflict (see Version.Lost)
	Stat    Fingerprint
}

// Record is a row of a folder's index.
type Record struct {
	Path  Path
	Known []Entry // the causally maximal versions; mostly one; more are a conflict that nobody has overwritten yet
	Disk  Disk

	// Intent is what an Install that is out, or was when the member died, puts on disk: if that is found there, it is no
	// edit. Nil: none is out.
	Intent *Disk
}

// Context is the union of all known versions' vectors.
func (r Record) Context() Vector {
	var v Vector
	for _, e := range r.Known {
		v = v.Join(e.Version.Vector)
	}
	return v
}

// Observation is what a look at the disk found.
type Observation struct {
	Path      Path
	Attr      Attr // Type Absent: nothing is there
	Stat      Fingerprint
	Unchanged bool   // Stat matches the prior one: Attr is a copy of the prior and content was not read
	LeftOut   bool   // what is there is not replicated, a file that is too large say: it was not read
	Content   []byte // content of a file of at most InlineBytes, when it was read
	Linked    bool   // a file that has other names, too (hard links), in this folder or elsewhere
	Twin      Path   // with Type Absent: what an application that uses this name reaches instead; the root: nothing
}

// Plan asks install to bring one path from one state to another.
type Plan struct {
	Path     Path
	Want     Attr
	Expect   Disk   // what the index says is there; anything else on disk is a change of somebody's and stops the plan
	Content  []byte // content of Want when it came inline
	Preserve *Entry // keep what is displaced as this lost version; nil: it was knowingly overwritten
	Why      Reason // with Preserve: why it is kept; empty is ReasonConflict
	By       Stamp  // the write that set what is wanted
}

// Outcome is how a plan ended.
type Outcome uint8

const (
	Done     Outcome = iota // the path is as wanted
	Changed                 // the disk was not as expected and has been left as it is: examine it
	NotEmpty                // a directory to be removed has children that the index does not know
	NoParent                // the parent is missing or no directory
	NoSource                // content is not to be had now
	Failed                  // the system refused; the error says why
	NoName                  // the file system can't have the name, or has its twin: the error's chain holds a NameError
)

func (o Outcome) String() string {
	return [...]string{"done", "changed", "not empty", "no parent", "no source", "failed", "no name"}[o]
}

// Installed is the result of a plan.
type Installed struct {
	Plan    Plan
	Outcome Outcome
	Stat    Fingerprint // of what is there now, when Done
	Attr    Attr        // what is there now, when Done; differs from Plan.Want in what the file system can't represent
	Err     error       // why, when NoSource, Failed or NoName
}
