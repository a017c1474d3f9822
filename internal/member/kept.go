package member

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"tandem/internal/control"
	"tandem/internal/farm"
	"tandem/internal/install"
)

// kept is a preserved file and the members that keep it.
type kept struct {
	Folder  farm.FolderID     `json:"folder"`
	File    install.Preserved `json:"file"`
	members []farm.MemberID
}

// newestFirst is the order of lists and of their pages.
func newestFirst(a, b kept) int {
	return cmp.Or(b.File.Time.Compare(a.File.Time), cmp.Compare(a.Folder, b.Folder), cmp.Compare(a.File.ID, b.File.ID))
}

// keptFilter says which preserved files are meant.
type keptFilter struct {
	IDs    []string      `json:"ids,omitempty"` // beginnings
	Folder farm.FolderID `json:"folder,omitempty"`
	Glob   string        `json:"glob,omitempty"`
	Path   []byte        `json:"path,omitempty"` // exactly
	Reason farm.Reason   `json:"reason,omitempty"`
	Since  time.Time     `json:"since,omitzero"`
}

func filterOf(q control.ConflictQuery) keptFilter {
	return keptFilter{IDs: q.IDs, Folder: q.Folder, Glob: q.Path, Reason: q.Reason, Since: q.Since}
}

// check refuses what would match nothing, or take too long to.
func (f keptFilter) check() error {
	switch {
	case len(f.IDs) > control.MaxConflictIDs:
		return farm.Errorf("list preserved", "", farm.Invalid, "%d ids are more than %d", len(f.IDs), control.MaxConflictIDs)
	case len(f.Glob) > control.MaxGlobBytes || !doublestar.ValidatePattern(f.Glob):
		return &farm.Error{Op: "list preserved", Kind: farm.Invalid, Err: fmt.Errorf("%q is not a pattern", f.Glob),
			Next: "patterns are relative to the folder; * matches within a name, ** over directories"}
	}
	return nil
}

func (f keptFilter) match(id farm.FolderID, p install.Preserved) bool {
	if f.Folder != "" && f.Folder != id || f.Reason != "" && f.Reason != p.Reason || p.Time.Before(f.Since) {
		return false
	}
	if f.Path != nil && string(f.Path) != p.Path.String() {
		return false
	}
	if len(f.IDs) > 0 && !slices.ContainsFunc(f.IDs, func(s string) bool { return strings.HasPrefix(p.ID, s) }) {
		return false
	}
	return f.Glob == "" || globMatch(f.Glob, p.Path.String())
}

// globMatch matches as exclude does; a pattern without wildcards stands for the path and all below it.
func globMatch(glob, path string) bool {
	if !strings.ContainsAny(glob, `*?[{\`) {
		glob = strings.TrimSuffix(glob, "/")
		return path == glob || strings.HasPrefix(path, glob+"/")
	}
	return doublestar.MatchUnvalidated(glob, path)
}

// keptHere are the preserved files of this member that match, the newest first, behind after if it is not nil; at most limit.
// count is the number of all that match. Of folders that asker does not hold there are none.
func (m *Member) keptHere(asker farm.MemberID, f keptFilter, after *kept, limit int) (list []kept, count int) {
	for _, folder := range m.folders.all() {
		if !m.holds(asker, folder.spec.id) {
			continue
		}
		here := 0
		for p := range folder.keeper.Newest() {
			if !f.match(folder.spec.id, p) {
				continue
			}
			count++
			k := kept{Folder: folder.spec.id, File: p, members: []farm.MemberID{m.self}}
			if here < limit && (after == nil || newestFirst(*after, k) < 0) {
				list = append(list, k)
				here++
			}
		}
	}
	slices.SortFunc(list, newestFirst)
	return list[:min(limit, len(list))], count
}

// conflict is k as people see it.
func (k kept) conflict() control.Conflict {
	p, a := k.File, k.File.Attr
	c := control.Conflict{
		ID: p.ID, Folder: k.Folder, Path: strings.ToValidUTF8(p.Path.String(), "\uFFFD"), Reason: p.Reason, Time: p.Time, Members: k.members,
		Type: a.Type.String(), Size: a.Size, Owner: ownerText(a.Owner), Target: strings.ToValidUTF8(a.Target, "\uFFFD"),
		Written: writeOf(p.Lost), Replaced: writeOf(p.By),
	}
	if a.Type != farm.Symlink {
		c.Mode = fmt.Sprintf("%04o", a.Mode)
	}
	if a.Type != farm.Dir {
		c.MTime = time.Unix(0, a.MTime).UTC()
	}
	if !a.Digest.IsZero() {
		c.Digest = a.Digest.String()
	}
	return c
}

func ownerText(o farm.Owner) string {
	name := func(s string, id uint32) string {
		if s != "" {
			return s
		}
		return fmt.Sprint(id)
	}
	return name(o.User, o.UID) + ":" + name(o.Group, o.GID)
}

func writeOf(s farm.Stamp) *control.Write {
	if s.Dot.IsZero() {
		return nil
	}
	return &control.Write{Version: s.Dot, Member: s.Dot.Actor.Member, Time: s.Time.Wall()}
}
