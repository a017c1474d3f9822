package farm

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
)

// Reason says why a file was preserved.
type Reason string

// Reasons.
const (
	ReasonConflict    Reason = "conflict"    // it lost a conflict
	ReasonDeleted     Reason = "deleted"     // another member deleted it, and this one followed
	ReasonLateWrite   Reason = "late-write"  // it was written to after it had been replaced or removed
	ReasonDisplaced   Reason = "displaced"   // it stood in the way when a folder was seeded, or while its path was changed
	ReasonUndone      Reason = "undone"      // it was changed on a node that only reads
	ReasonQuarantined Reason = "quarantined" // it was unknown to the farm when its node joined
	ReasonReplaced    Reason = "replaced"    // a restore took its place
	ReasonCrash       Reason = "crash"       // a crash left it, and nothing tells what it was
)

// Reasons returns all of them.
func Reasons() []Reason {
	return []Reason{ReasonConflict, ReasonDeleted, ReasonLateWrite, ReasonDisplaced, ReasonUndone, ReasonQuarantined, ReasonReplaced,
		ReasonCrash}
}

// Meant tells whether somebody wanted the file to go: such files make room first.
func (r Reason) Meant() bool { return r == ReasonDeleted || r == ReasonReplaced }

// PreservedIDLen is how many characters an id of a preserved file has.
const PreservedIDLen = 10

var preservedEncoding = base32.NewEncoding("abcdefghijkmnpqrstuvwxyz23456789").WithPadding(base32.NoPadding)

// PreservedID names a lost version, wherever it is preserved: members that keep the same version of the same path keep it
// under the same id. dot is of the write that set the content; zero if it never had a version.
func PreservedID(folder FolderID, p Path, dot Position, a Attr) string {
	var b []byte
	for _, s := range []string{string(folder), p.String(), string(dot.Actor.Member), string(a.Digest[:]), a.Target} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = binary.AppendUvarint(b, uint64(dot.Actor.Epoch))
	b = binary.AppendUvarint(b, uint64(dot.Seq))
	b = append(b, byte(a.Type))
	sum := sha256.Sum256(b)
	return preservedEncoding.EncodeToString(sum[:])[:PreservedIDLen]
}
