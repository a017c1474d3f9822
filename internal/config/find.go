package config

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tandem/internal/farm"
)

// HeadName is how people call the revision that should be live.
const HeadName = "head"

// minPrefix is how many digits of a digest name a revision, at least.
const minPrefix = 4

// Find is the revision of a history, the latest first, that ref means: "head", "head~2", which stands two below the head
// in the history, or the beginning of a digest. NotFound if there is none, Invalid if several begin so or none could.
func Find(history []Revision, head farm.Digest, ref string) (Revision, error) {
	fail := func(kind farm.Kind, format string, args ...any) (Revision, error) {
		e := farm.Errorf("find revision", ref, kind, format, args...)
		e.Next = "see: tandem config log"
		return Revision{}, e
	}
	if name, back, _ := strings.Cut(ref, "~"); name == HeadName {
		n, err := strconv.Atoi(back)
		if ref != HeadName && (err != nil || n < 0) {
			return fail(farm.Invalid, "write head, or head~1 for the one before")
		}
		at := slices.IndexFunc(history, func(r Revision) bool { return r.Digest == head })
		if at < 0 || at+n >= len(history) {
			return fail(farm.NotFound, "the history does not go back that far")
		}
		return history[at+n], nil
	}
	if len(ref) < minPrefix || strings.Trim(ref, "0123456789abcdef") != "" {
		return fail(farm.Invalid, "a revision is head, head~1, or at least %d digits of its digest", minPrefix)
	}
	var found []Revision
	for _, r := range history {
		if strings.HasPrefix(r.Digest.String(), ref) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 0:
		return fail(farm.NotFound, "there is no such revision")
	case 1:
		return found[0], nil
	}
	return fail(farm.Invalid, "%d revisions begin so", len(found))
}

// FileChange is what an edit did to a file.
type FileChange struct {
	File string `json:"file"`
	What string `json:"what"` // "added", "changed" or "removed"
}

// Changes lists the files in which b differs from a, by name.
func Changes(a, b map[string][]byte) []FileChange {
	var all []FileChange
	names := maps.Clone(b)
	if names == nil {
		names = map[string][]byte{}
	}
	maps.Copy(names, a)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, had := a[name]
		is, has := b[name]
		switch {
		case !had:
			all = append(all, FileChange{name, "added"})
		case !has:
			all = append(all, FileChange{name, "removed"})
		case !bytes.Equal(was, is):
			all = append(all, FileChange{name, "changed"})
		}
	}
	return all
}

// KeepMembers returns old, a farm.toml of another time or farm, with the members of now in place of its own, so that who
// brings back other settings neither revokes a member nor lets in one that was removed. It names the members whose tables
// differ. Invalid with Faults if the result would not do.
func KeepMembers(old, now []byte) ([]byte, []farm.MemberID, error) {
	was, faults := parseFarm(old)
	oldBlocks, ok := splitBlocks(old)
	if !ok {
		return nil, nil, faults.Errors()
	}
	is, faults := parseFarm(now)
	nowBlocks, ok := splitBlocks(now)
	if !ok {
		return nil, nil, faults.Errors()
	}
	var differ []farm.MemberID
	for _, name := range membersOf(was, is) {
		a, hadA := was.Member(name)
		b, hasB := is.Member(name)
		if hadA != hasB || tableText(oldBlocks, a.Name) != tableText(nowBlocks, b.Name) {
			differ = append(differ, name)
		}
	}
	if len(differ) == 0 {
		return old, nil, nil
	}
	out, err := replaceMembers(oldBlocks, nowBlocks, newlineOf(old))
	if err != nil {
		return nil, nil, err
	}
	got, faults := parseFarm(out)
	if faults.Err() != nil {
		return nil, nil, faults.Errors()
	}
	if len(got.Members) != len(is.Members) {
		return nil, nil, farm.Errorf("keep members", FarmFile, farm.Unsupported, "not every member stands in a table of its own")
	}
	return out, differ, nil
}

func membersOf(a, b *Config) []farm.MemberID {
	all := append(a.names(), b.names()...)
	slices.Sort(all)
	var ids []farm.MemberID
	for _, name := range slices.Compact(all) {
		ids = append(ids, farm.MemberID(name))
	}
	return ids
}

// ofMember tells whether the table is one of a member; of any, if the name is empty.
func ofMember(b block, name farm.MemberID) bool {
	if name == "" {
		return b.name == "member" || strings.HasPrefix(b.name, "member.")
	}
	table := "member." + tomlKey(string(name))
	return b.name == table || strings.HasPrefix(b.name, table+".")
}

func tableText(blocks []block, name farm.MemberID) string {
	var text strings.Builder
	for _, b := range blocks {
		if name != "" && ofMember(b, name) {
			text.WriteString(strings.TrimRight(b.text, "\r\n") + "\n")
		}
	}
	return text.String()
}

// replaceMembers puts the members' tables of now where those of old stand.
func replaceMembers(old, now []block, newline string) ([]byte, error) {
	var members []block
	for _, b := range now {
		if ofMember(b, "") {
			members = append(members, block{b.name, b.text, newline})
		}
	}
	var out []block
	placed := false
	for _, b := range old {
		if !ofMember(b, "") {
			out = append(out, b)
			continue
		}
		if !placed {
			out, placed = append(out, members...), true
		}
	}
	if !placed {
		for _, b := range members {
			out = appendBlock(out, b, newline)
		}
	}
	return joinBlocks(separate(out, newline)), nil
}
