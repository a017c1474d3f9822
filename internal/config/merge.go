package config

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"tandem/internal/farm"
)

// Conflict is an edit that a merge had to leave out. It is still in the loser, which stays in the history.
type Conflict struct {
	File   string
	Table  string   // of farm.toml, or name of a secret, when the rest of the file could be merged
	Winner Revision // without files
	Loser  Revision // without files
}

// mergeMessage is fixed, so that all members make the same bytes.
const mergeMessage = "merge"

// Merge makes one revision of two that do not descend from one another. The base is their common ancestor. Without one
// (the zero Revision) one of the two wins whole: the later; but a revision without parents begins another farm's history,
// and loses against one that has parents, or to the earlier beginning. It does not matter which is a and which is b.
//
// Edits of different files are merged, those of farm.toml table by table, those of secrets.toml name by name. Where both changed
// the same of these, an edit beats a deletion (but the removal of a member stands), and else the later revision wins. If the outcome is not valid, although both revisions are, the
// later one wins whole: what two admins did apart from one another may be impossible together (a folder is removed, a
// new site uses it).
func Merge(base, a, b Revision) (Revision, []Conflict) {
	if later(a, b) > 0 {
		a, b = b, a
	}
	m := &merger{early: a, late: b}
	files := m.files(base)
	if base.Digest.IsZero() {
		files = m.whole(len(b.Parents) == 0)
	} else if _, faults := Parse(files); faults.Err() != nil {
		files = m.whole(false)
	}
	merged, err := NewRevision([]farm.Digest{a.Digest, b.Digest}, b.Author, max(a.Time, b.Time), mergeMessage, files)
	if err != nil {
		// Author, time and files are those of revisions, so there is nothing that could be refused but the number of
		// files; and the late revision's own are few enough.
		merged, _ = NewRevision([]farm.Digest{a.Digest, b.Digest}, b.Author, max(a.Time, b.Time), mergeMessage, m.whole(false))
	}
	return merged, m.conflicts
}

type merger struct {
	early, late Revision
	conflicts   []Conflict
}

func (m *merger) conflict(file, table string, earlyWins bool) {
	c := Conflict{File: file, Table: table, Winner: m.late.Header(), Loser: m.early.Header()}
	if earlyWins {
		c.Winner, c.Loser = c.Loser, c.Winner
	}
	m.conflicts = append(m.conflicts, c)
}

func (m *merger) files(base Revision) map[string][]byte {
	out := map[string][]byte{}
	for _, name := range m.names() {
		was, hadWas := base.Files[name]
		early, hadEarly := m.early.Files[name]
		late, hadLate := m.late.Files[name]
		if name == FarmFile && hadWas && hadEarly && hadLate {
			out[name] = m.farm(was, early, late)
			continue
		}
		if name == SecretsFile && hadEarly && hadLate {
			if merged, ok := m.secrets(was, early, late); ok {
				out[name] = merged
				continue
			}
		}
		switch pick(part{string(was), hadWas}, part{string(early), hadEarly}, part{string(late), hadLate}) {
		case takeEarly:
			put(out, name, early, hadEarly)
		case takeLate:
			put(out, name, late, hadLate)
		case earlyBeats:
			m.conflict(name, "", true)
			put(out, name, early, hadEarly)
		case lateBeats:
			m.conflict(name, "", false)
			put(out, name, late, hadLate)
		}
	}
	return out
}

func put(files map[string][]byte, name string, data []byte, exists bool) {
	if exists {
		files[name] = data
	}
}

// names are those of the files in any of the two revisions.
func (m *merger) names() []string {
	all := maps.Clone(m.early.Files)
	if all == nil {
		all = map[string][]byte{}
	}
	maps.Copy(all, m.late.Files)
	return slices.Sorted(maps.Keys(all))
}

// whole makes one of the two win every file.
func (m *merger) whole(earlyWins bool) map[string][]byte {
	m.conflicts = nil
	for _, name := range m.names() {
		early, hadEarly := m.early.Files[name]
		late, hadLate := m.late.Files[name]
		if hadEarly != hadLate || !bytes.Equal(early, late) {
			m.conflict(name, "", earlyWins)
		}
	}
	if earlyWins {
		return m.early.Files
	}
	return m.late.Files
}

// part is a file or a table that may exist.
type part struct {
	text   string
	exists bool
}

type choice uint8

const (
	takeEarly  choice = iota // the late one did not change it, or to the same
	takeLate                 // the early one did not change it
	earlyBeats               // both changed it
	lateBeats
)

// pick is the merge of one part.
func pick(was, early, late part) choice {
	switch {
	case early == late, late == was:
		return takeEarly
	case early == was:
		return takeLate
	case !late.exists:
		return earlyBeats
	}
	return lateBeats
}

// farm merges farm.toml table by table.
func (m *merger) farm(was, early, late []byte) []byte {
	wasBlocks, ok1 := splitBlocks(was)
	earlyBlocks, ok2 := splitBlocks(early)
	lateBlocks, ok3 := splitBlocks(late)
	if !ok1 || !ok2 || !ok3 {
		switch pick(part{string(was), true}, part{string(early), true}, part{string(late), true}) {
		case takeEarly:
			return early
		case lateBeats:
			m.conflict(FarmFile, "", false)
		}
		return late
	}
	t := tables{m, byName(wasBlocks), byName(earlyBlocks), byName(lateBlocks)}
	return t.merge(earlyBlocks, lateBlocks, newlineOf(late))
}

// secrets merges secrets.toml name by name; false: one of the three can't be read.
func (m *merger) secrets(was, early, late []byte) ([]byte, bool) {
	switch pick(part{string(was), true}, part{string(early), true}, part{string(late), true}) {
	case takeEarly:
		return early, true
	case takeLate:
		return late, true
	}
	var values [3]map[string]string
	names := map[string]string{}
	for i, src := range [][]byte{was, early, late} {
		all, faults := parseSecrets(src)
		if faults.Err() != nil {
			return nil, false
		}
		values[i] = all
		maps.Copy(names, all)
	}
	merged := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		var parts [3]part
		for i := range values {
			parts[i].text, parts[i].exists = values[i][name]
		}
		choice, is := pick(parts[0], parts[1], parts[2]), parts[2]
		if choice == takeEarly || choice == earlyBeats {
			is = parts[1]
		}
		if choice == earlyBeats || choice == lateBeats {
			m.conflict(SecretsFile, name, choice == earlyBeats)
		}
		if is.exists {
			merged[name] = is.text
		}
	}
	return formatSecrets(merged), true
}

// tables merges the tables of farm.toml.
type tables struct {
	*merger
	was, early, late map[string]block
}

func byName(blocks []block) map[string]block {
	m := make(map[string]block, len(blocks))
	for _, b := range blocks {
		m[b.name] = b
	}
	return m
}

func (t tables) merge(early, late []block, newline string) []byte {
	chosen := map[string]block{}
	for _, b := range late {
		if c, ok := t.decide(b.name); ok {
			c.gap = b.gap
			chosen[b.name] = c
		}
	}
	// What only the early one has goes behind the table that it stands behind there.
	behind := map[string][]block{}
	anchor := ""
	for _, b := range early {
		if _, ok := chosen[b.name]; ok {
			anchor = b.name
		} else if c, ok := t.decide(b.name); ok && !t.inLate(b.name) {
			behind[anchor] = append(behind[anchor], c)
		}
	}
	var out []block
	for _, b := range late {
		if c, ok := chosen[b.name]; ok {
			out = append(out, c)
			for _, extra := range behind[b.name] {
				out = appendBlock(out, extra, newline)
			}
		}
	}
	return joinBlocks(separate(out, newline))
}

func (t tables) inLate(name string) bool {
	_, ok := t.late[name]
	return ok
}

// decide returns the table as it shall be; false: it shall not be.
func (t tables) decide(name string) (block, bool) {
	_, was := partOf(t.was, name)
	early, earlyPart := partOf(t.early, name)
	late, latePart := partOf(t.late, name)
	choice := pick(was, earlyPart, latePart)
	// Who removes a member revokes it: nobody's edit of its labels may bring it back.
	if strings.HasPrefix(name, "member.") {
		switch {
		case choice == earlyBeats && !latePart.exists:
			choice = lateBeats
		case choice == lateBeats && !earlyPart.exists:
			choice = earlyBeats
		}
	}
	switch choice {
	case takeEarly:
		return early, earlyPart.exists
	case earlyBeats:
		t.conflict(FarmFile, name, true)
		return early, earlyPart.exists
	case lateBeats:
		t.conflict(FarmFile, name, false)
	}
	return late, latePart.exists
}

// partOf finds a table. Whether its last line ends in a newline makes no difference.
func partOf(blocks map[string]block, name string) (block, part) {
	b, ok := blocks[name]
	return b, part{strings.TrimRight(b.text, "\r\n"), ok}
}
