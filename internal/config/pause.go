package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"tandem/internal/farm"
)

var pausedLine = regexp.MustCompile(`(?m)^[ \t]*paused[ \t]*=[^\n]*\n?`)

// PauseMember returns farm.toml with the member's table saying that it is paused, or not; all else stays as it is.
// NotFound if there is no member of that name, Unsupported if it is written in a way that can't be changed.
func PauseMember(src []byte, name farm.MemberID, on bool) ([]byte, error) {
	fail := func(kind farm.Kind, next string, err error) ([]byte, error) {
		return nil, &farm.Error{Op: "pause member", Path: string(name), Kind: kind, Next: next, Err: err}
	}
	c, faults := parseFarm(src)
	blocks, ok := splitBlocks(src)
	if !ok {
		return fail(farm.Invalid, "", faults)
	}
	m, known := c.Member(name)
	if !known {
		return fail(farm.NotFound, "", fmt.Errorf("%s has no member of that name", FarmFile))
	}
	if m.Paused == on {
		return src, nil
	}
	table := "member." + tomlKey(string(name))
	if i := slices.IndexFunc(blocks, func(b block) bool { return b.name == table }); i >= 0 {
		newline := newlineOf(src)
		text := pausedLine.ReplaceAllString(blocks[i].text, "")
		if on {
			if !strings.HasSuffix(text, "\n") {
				text += newline
			}
			text += "paused = true" + newline
		}
		blocks[i].text = text
	}
	out := joinBlocks(blocks)
	got, faults := parseFarm(out)
	if faults.Err() != nil {
		return fail(farm.Invalid, "", faults.Errors())
	}
	if m, _ := got.Member(name); m.Paused != on {
		return fail(farm.Unsupported, "set paused with an editor", fmt.Errorf("the member does not stand in a table [%s] of its own", table))
	}
	return out, nil
}

// Paused tells whether two members exchange no changes of the farm's folders, because one of them is paused.
func (c *Config) Paused(a, b farm.MemberID) bool {
	one, _ := c.Member(a)
	other, _ := c.Member(b)
	return one.Paused || other.Paused
}
