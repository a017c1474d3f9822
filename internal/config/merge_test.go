package config

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tandem/internal/farm"
)

func key(c string) string { return "sha256:" + strings.Repeat(c, 64) }

// farmText writes a farm.toml with the members and folders of the given numbers.
func farmText(members, folders map[int]int) []byte {
	var b strings.Builder
	b.WriteString("# a farm\n[farm]\nname = \"shop\"\n")
	for i := range 6 {
		if v, ok := members[i]; ok {
			fmt.Fprintf(&b, "\n# member %d\n[member.web%d]\naddress = \"192.0.2.%d:7443\"\nkey = %q\nlabels = { v = \"%d\" }\n", i, i, i+10, key(fmt.Sprint(i)), v)
		}
	}
	for i := range 4 {
		if v, ok := folders[i]; ok {
			fmt.Fprintf(&b, "\n[folder.f%d]\npath = \"/srv/f%d\"\naudit = \"%dh\"\n", i, i, v+1)
		}
	}
	return []byte(b.String())
}

// anyFiles draws files that Parse accepts, changed a little from those of another draw.
func anyFiles(rt *rapid.T, label string, members, folders, sites map[int]int) map[string][]byte {
	members, folders, sites = maps.Clone(members), maps.Clone(folders), maps.Clone(sites)
	for range rapid.IntRange(0, 4).Draw(rt, label+" edits") {
		m := rapid.SampledFrom([]map[int]int{members, folders, sites}).Draw(rt, label+" table")
		i := rapid.IntRange(1, 3).Draw(rt, label+" index")
		if rapid.Bool().Draw(rt, label+" delete") {
			delete(m, i)
		} else {
			m[i] = rapid.IntRange(0, 2).Draw(rt, label+" value")
		}
	}
	members[0] = 0
	files := map[string][]byte{FarmFile: farmText(members, folders)}
	for i, v := range sites {
		text := fmt.Sprintf("site %d\n", v)
		if _, ok := folders[i]; ok {
			text += fmt.Sprintf("root * {folder.f%d}\n", i)
		}
		files[fmt.Sprintf("sites/s%d.caddy", i)] = []byte(text)
	}
	return files
}

// TestMergeProperties: a merge does not depend on the order of its sides, is valid, and keeps what only one side changed.
func TestMergeProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		start := map[int]int{1: 0, 2: 0}
		base := revision(t, nil, "web1", 1, anyFiles(rt, "base", start, start, start))
		a := revision(t, []Revision{base}, "web1", rapid.Int64Range(2, 3).Draw(rt, "time a"), anyFiles(rt, "a", start, start, start))
		b := revision(t, []Revision{base}, "web2", rapid.Int64Range(2, 3).Draw(rt, "time b"), anyFiles(rt, "b", start, start, start))
		m, conflicts := Merge(base, a, b)
		again, _ := Merge(base, b, a)
		if m.Digest != again.Digest {
			rt.Fatalf("order matters:\n%s\n%s", m.Encode(), again.Encode())
		}
		c, faults := m.Config()
		if faults.Err() != nil {
			rt.Fatalf("not valid: %v\n%s", faults, m.Encode())
		}
		if m.Time < a.Time || m.Time < b.Time {
			rt.Fatal("earlier than its parents")
		}
		if len(conflicts) > 0 {
			return
		}
		ca, _ := a.Config()
		cb, _ := b.Config()
		cbase, _ := base.Config()
		for _, id := range []farm.MemberID{"web1", "web2", "web3"} {
			was, hadWas := cbase.Member(id)
			inA, hasA := ca.Member(id)
			inB, hasB := cb.Member(id)
			got, has := c.Member(id)
			want, wanted := inA, hasA
			if hasA == hadWas && fmt.Sprint(inA) == fmt.Sprint(was) {
				want, wanted = inB, hasB
			}
			if has != wanted || fmt.Sprint(got) != fmt.Sprint(want) {
				rt.Fatalf("member %s is %v %v, want %v %v", id, got, has, want, wanted)
			}
		}
	})
}

// TestMergeMeets: members that merge what they have, whenever they have it, come to the same head.
func TestMergeMeets(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		start := map[int]int{1: 0, 2: 0}
		base := revision(t, nil, "web1", 1, anyFiles(rt, "base", start, start, start))
		all := []Revision{base}
		for i := range rapid.IntRange(2, 4).Draw(rt, "edits") {
			parent := rapid.SampledFrom(all).Draw(rt, "parent")
			all = append(all, revision(t, []Revision{parent}, farm.MemberID(fmt.Sprintf("web%d", i)), int64(i+2), anyFiles(rt, "edit", start, start, start)))
		}
		members := [][]Revision{{base}, {base}}
		for i, r := range all[1:] {
			first := i % 2
			members[first] = mergeAll(append(members[first], r))
			if rapid.Bool().Draw(rt, "both") {
				members[1-first] = mergeAll(append(members[1-first], r))
			}
		}
		union := map[farm.Digest]Revision{}
		for _, m := range members {
			for _, r := range m {
				union[r.Digest] = r
			}
		}
		var together []Revision
		for _, r := range union {
			together = append(together, r)
		}
		for _, r := range all {
			if _, ok := union[r.Digest]; !ok {
				together = append(together, r)
			}
		}
		x := Heads(mergeAll(together))
		y := Heads(mergeAll(append([]Revision{all[len(all)-1]}, together...)))
		if len(x) != 1 || len(y) != 1 || x[0].Digest != y[0].Digest {
			rt.Fatalf("heads %v and %v", x, y)
		}
	})
}

func mergeAll(all []Revision) []Revision {
	for {
		heads := Heads(dedupe(all))
		if len(heads) == 1 {
			return dedupe(all)
		}
		var base Revision
		if d, ok := CommonAncestor(all, heads[0].Digest, heads[1].Digest); ok {
			for _, r := range all {
				if r.Digest == d {
					base = r
				}
			}
		}
		m, _ := Merge(base, heads[0], heads[1])
		all = append(all, m)
	}
}

func dedupe(all []Revision) []Revision {
	seen := map[farm.Digest]bool{}
	var out []Revision
	for _, r := range all {
		if !seen[r.Digest] {
			seen[r.Digest] = true
			out = append(out, r)
		}
	}
	return out
}

func TestSummaryAndDiff(t *testing.T) {
	a := map[string][]byte{FarmFile: farmText(map[int]int{0: 0, 1: 0}, map[int]int{1: 0}), "sites/a.caddy": []byte("a\n"), "sites/b.caddy": []byte("b\n")}
	b := map[string][]byte{FarmFile: append(farmText(map[int]int{0: 0, 2: 0}, map[int]int{1: 1}), "[events]\nkeep = 100\n"...), "sites/a.caddy": []byte("x\n"), "sites/c.caddy": []byte("c\n")}
	ca, _ := Parse(a)
	cb, _ := Parse(b)
	got := strings.Join(Summary(ca, cb), ", ")
	want := "member web1 removed, member web2 added, folder f1 changed, site a.caddy changed, site b.caddy removed, site c.caddy added, events changed"
	if got != want {
		t.Errorf("summary is %s", got)
	}
	if s := Summary(ca, ca); s != nil {
		t.Errorf("summary of nothing is %s", s)
	}
	if s := Summary(nil, ca); len(s) != 9 {
		t.Errorf("summary of all is %s", s)
	}
	var text strings.Builder
	for _, d := range Diff(a, b) {
		text.WriteString(d.File + ";")
		if d.File == "sites/a.caddy" && !strings.Contains(d.Text, "\n-a\n+x\n") {
			t.Errorf("diff is %s", d.Text)
		}
	}
	if text.String() != "farm.toml;sites/a.caddy;sites/b.caddy;sites/c.caddy;" {
		t.Errorf("files are %s", text.String())
	}
}
