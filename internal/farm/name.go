package farm

import (
	"fmt"
	"regexp"
)

// MemberID is the name of a member: unique in its farm, in its certificate and in every version it writes.
// A member that is removed may come back under its name: the Epoch tells its lives apart.
type MemberID string

// FolderID is the name of a replicated folder. Names that begin with a dot are Tandem's own.
type FolderID string

// Folders of Tandem's own, held by every member whatever its role.
const (
	FolderFarm  FolderID = ".farm"  // revisions of the configuration
	FolderCerts FolderID = ".certs" // the certificate store
)

// Own tells whether the folder is one of Tandem's own.
func (f FolderID) Own() bool { return len(f) > 0 && f[0] == '.' }

var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// ParseMemberID returns the name as a MemberID. The form is that of a DNS label in lower case.
func ParseMemberID(s string) (MemberID, error) {
	if !namePattern.MatchString(s) {
		return "", fmt.Errorf("%q is not a member name: use 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit", s)
	}
	return MemberID(s), nil
}

// ParseFolderID returns the name as a FolderID. The form is that of a DNS label in lower case.
func ParseFolderID(s string) (FolderID, error) {
	if !namePattern.MatchString(s) {
		return "", fmt.Errorf("%q is not a folder name: use 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit", s)
	}
	return FolderID(s), nil
}

// Role is what a member does in the farm; a member has one or both.
type Role string

const (
	RoleNode Role = "node" // holds the folders and serves the sites
	RoleEdge Role = "edge" // takes visitors and balances them over the nodes
)
