package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tandem/internal/farm"
)

// AddMember returns farm.toml with a table for m after those of the other members; all else, comments too, stays as it
// is. Exists if there is a member of that name, Invalid with Faults if the result would not do.
func AddMember(src []byte, m Member) ([]byte, error) {
	name := string(m.Name)
	fail := func(kind farm.Kind, err error) ([]byte, error) {
		return nil, &farm.Error{Op: "add member", Path: name, Kind: kind, Err: err}
	}
	c, faults := parseFarm(src)
	blocks, ok := splitBlocks(src)
	if !ok {
		return fail(farm.Invalid, faults)
	}
	if _, ok := c.Member(m.Name); ok {
		return fail(farm.Exists, fmt.Errorf("%s has a member of that name", FarmFile))
	}
	at := len(blocks)
	for i, b := range blocks {
		if b.name == "member" || strings.HasPrefix(b.name, "member.") {
			at = i + 1
		}
	}
	newline := newlineOf(src)
	text := strings.ReplaceAll(memberTable(m), "\n", newline)
	out := appendBlock(slices.Clone(blocks[:at]), block{name: "member." + name, text: text}, newline)
	result := joinBlocks(separate(append(out, blocks[at:]...), newline))
	got, faults := parseFarm(result)
	if faults.Err() != nil {
		return fail(farm.Invalid, faults.Errors())
	}
	if _, ok := got.Member(m.Name); !ok {
		return fail(farm.Internal, fmt.Errorf("the table can't be read back"))
	}
	return result, nil
}

func memberTable(m Member) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[member.%s]\n", tomlKey(string(m.Name)))
	fmt.Fprintf(&b, "address = %s\n", tomlString(m.Address))
	roles := make([]string, len(m.Roles))
	for i, r := range m.Roles {
		roles[i] = string(r)
	}
	if len(roles) > 0 {
		fmt.Fprintf(&b, "roles = %s\n", quoteList(roles))
	}
	fmt.Fprintf(&b, "key = %s\n", tomlString(m.Key))
	if m.Weight > 1 {
		fmt.Fprintf(&b, "weight = %d\n", m.Weight)
	}
	if len(m.Links) > 0 {
		links := make([]string, len(m.Links))
		for i, to := range m.Links {
			links[i] = string(to)
		}
		fmt.Fprintf(&b, "links = %s\n", quoteList(links))
	}
	if len(m.Labels) > 0 {
		var labels []string
		for _, k := range slices.Sorted(maps.Keys(m.Labels)) {
			labels = append(labels, tomlKey(k)+" = "+tomlString(m.Labels[k]))
		}
		fmt.Fprintf(&b, "labels = { %s }\n", strings.Join(labels, ", "))
	}
	return b.String()
}

// RemoveMember returns farm.toml without the member's tables and the comments right above them. NotFound if there is no
// member of that name, Unsupported if it is written in a way that can't be cut out.
func RemoveMember(src []byte, name farm.MemberID) ([]byte, error) {
	fail := func(kind farm.Kind, next string, err error) ([]byte, error) {
		return nil, &farm.Error{Op: "remove member", Path: string(name), Kind: kind, Next: next, Err: err}
	}
	c, faults := parseFarm(src)
	blocks, ok := splitBlocks(src)
	if !ok {
		return fail(farm.Invalid, "", faults)
	}
	if _, ok := c.Member(name); !ok {
		return fail(farm.NotFound, "", fmt.Errorf("%s has no member of that name", FarmFile))
	}
	table := "member." + tomlKey(string(name))
	out := joinBlocks(slices.DeleteFunc(blocks, func(b block) bool {
		return b.name == table || strings.HasPrefix(b.name, table+".")
	}))
	got, faults := parseFarm(out)
	if _, still := got.Member(name); still {
		return fail(farm.Unsupported, "remove it with an editor", fmt.Errorf("the member does not stand in a table [%s] of its own", table))
	}
	if faults.Err() != nil {
		return fail(farm.Invalid, "take "+string(name)+" out of the lines of farm.toml that name it, such as links, and remove it again", faults.Errors())
	}
	return out, nil
}
