package replica

import (
	"errors"

	"tandem/internal/farm"
	"tandem/internal/reconcile"
)

// maxSpecials bounds the paths of which it is remembered that they were told of; beyond it they are told of again.
const maxSpecials = 10_000

// Unkept names what the farm knows of the record's path and this member's disk can't represent: of "mode", "owner",
// "xattrs" and "mtime" (see farm.Attr.Lacks). Of a path that is not as it should be yet it says nothing.
func Unkept(r farm.Record) []string {
	if r.Disk.Type == farm.Absent || len(r.Known) == 0 {
		return nil
	}
	s := reconcile.Decide(r.Known, false)
	if !satisfied(r.Disk, s) {
		return nil
	}
	return s.Attr.Lacks(r.Disk.Attr)
}

// tellUnkept raises one event for each kind of attribute that can't be kept here, at the first path that shows it.
func (m *Machine) tellUnkept(p farm.Path, want, is farm.Attr) {
	for _, what := range want.Lacks(is) {
		if m.unkept[what] {
			continue
		}
		m.unkept[what] = true
		m.raise(farm.EventFolderUnkept, farm.Warning, p, "can't be kept here: "+unkeptText(what)+"; the other members keep theirs",
			unkeptNext(what), map[string]string{"kind": what})
	}
}

func unkeptText(what string) string {
	switch what {
	case "owner":
		return "the owner of files"
	case "mode":
		return "the permissions of files"
	case "mtime":
		return "the times of files"
	}
	return "extended attributes or access control lists"
}

func unkeptNext(what string) string {
	if what == "owner" {
		return "run Tandem as root, or make the user and group known here"
	}
	return "use a file system that has them, the same on all members"
}

// specialKind says what an error of the scanner found instead of something that is replicated; empty: it is another error.
func specialKind(err error) string {
	var s interface{ SpecialKind() string }
	if errors.As(err, &s) {
		return s.SpecialKind()
	}
	return ""
}

// tellSpecial raises an event the first time that something of the kind is seen at the path.
func (m *Machine) tellSpecial(p farm.Path, kind string, err error) {
	if m.specials[p] == kind {
		return
	}
	if len(m.specials) < maxSpecials {
		m.specials[p] = kind
	}
	m.raise(farm.EventFileBlocked, farm.Warning, p, "not replicated: "+err.Error(), "", map[string]string{"kind": kind})
}
