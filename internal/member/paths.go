package member

import (
	"os"
	"path/filepath"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// Paths are the places of a member's files.
type Paths struct {
	Config string // directory of farm.toml, sites/, certs/ and member.toml
	State  string // directory of identity, indices, revisions, journal
	Socket string // of the control API
}

// DefaultPort is the TCP port between members.
const DefaultPort = "7443"

func (p Paths) memberFile() string { return filepath.Join(p.Config, config.MemberFileName) }
func (p Paths) certs() string      { return filepath.Join(p.Config, "certs") }
func (p Paths) acme() string       { return filepath.Join(p.certs(), "acme") }
func (p Paths) certStage() string  { return filepath.Join(p.certs(), farm.PrivateDir) }
func (p Paths) goodCerts() string  { return filepath.Join(p.State, "certs") }
func (p Paths) ends() string       { return filepath.Join(p.State, "certificates.json") }
func (p Paths) identity() string   { return filepath.Join(p.State, "identity") }
func (p Paths) revisions() string  { return filepath.Join(p.State, "farm") }
func (p Paths) live() string       { return filepath.Join(p.State, "live") }
func (p Paths) journal() string    { return filepath.Join(p.State, "events") }
func (p Paths) invites() string    { return filepath.Join(p.State, "invites.json") }
func (p Paths) drain() string      { return filepath.Join(p.State, "drain.json") }
func (p Paths) trial(f farm.FolderID) string {
	return filepath.Join(p.State, "trial", string(f))
}
func (p Paths) index(f farm.FolderID) string {
	return filepath.Join(p.State, "index", string(f))
}

// makeDirs makes the directories that a member needs before it runs: its state for nobody but itself.
func (p Paths) makeDirs() error {
	for dir, mode := range map[string]os.FileMode{
		p.Config: 0o755, filepath.Join(p.Config, config.SitesDir): 0o755, p.certs(): 0o700,
		p.State: 0o700, p.revisions(): 0o700, p.live(): 0o700, p.journal(): 0o700, filepath.Dir(p.Socket): 0o755,
	} {
		if err := os.MkdirAll(dir, mode); err != nil {
			return &farm.Error{Op: "make directory", Path: dir, Kind: kindOf(err), Err: err}
		}
	}
	return nil
}

// kindOf classes an error of the system.
func kindOf(err error) farm.Kind {
	switch {
	case os.IsNotExist(err):
		return farm.NotFound
	case os.IsExist(err):
		return farm.Exists
	case os.IsPermission(err):
		return farm.Denied
	}
	return farm.Other
}

// founds tells whether this member may make the farm's first revision: there is none yet, neither here nor, because a
// member that joins brings one along, anywhere.
func (p Paths) founds() (bool, error) {
	for _, dir := range []string{p.revisions(), p.live()} {
		list, err := os.ReadDir(dir)
		if err != nil {
			return false, &farm.Error{Op: "read", Path: dir, Kind: kindOf(err), Err: err}
		}
		for _, e := range list {
			if e.Name() != farm.PrivateDir {
				return false, nil
			}
		}
	}
	return true, nil
}

// readMemberFile reads member.toml.
func (p Paths) readMemberFile() (config.MemberFile, error) {
	src, err := os.ReadFile(p.memberFile())
	if err != nil {
		next := ""
		if os.IsNotExist(err) {
			next = "make a farm with: tandem init; or join one with: tandem join TOKEN"
		}
		return config.MemberFile{}, &farm.Error{Op: "read", Path: p.memberFile(), Kind: kindOf(err), Err: err, Next: next}
	}
	m, faults := config.LoadMember(src)
	return m, faults.Err()
}
