package replica_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/replica"
)

// conflicts are what members a to e do to the same paths before they hear of each other: up to five changes.
var conflicts = map[string][]string{
	"five writers":                {"write a f 1", "write b f 2", "write c f 3", "write d f 4", "write e f 5"},
	"file, directory and symlink": {"write a f 1", "mkdir b f", "ln c f target", "write d f 4"},
	"delete, edit and chmod":      {"rm a was", "write b was 2", "chmod c was 600", "write d was 4", "rm e was"},
	"chmod against chmod":         {"chmod a was 600", "chmod b was 640", "chmod c was 755"},
	"equal contents":              {"write a f 1", "write b f 1", "write c f 3"},
	"two writes of one member":    {"write a was 1", "write a was 2", "write b was 3", "rm c was", "write c was 4"},
	"rmdir against create inside": {"rm a dir", "write b dir/f 2", "write c dir/f 3", "chmod d dir 700"},
	"file against child":          {"write a f 1", "mkdir b f", "write b f/g 2", "write c f 3"},
}

// Whatever the order in which the changes of a conflict arrive at a member, it ends with the same files, and each member
// with the same preserved ones (I10). All permutations are tried.
func TestConflictsInAnyOrder(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(conflicts)) {
		t.Run(name, func(t *testing.T) {
			var first string
			n := 0
			permute(len(conflicts[name]), func(order []int) {
				n++
				got := playConflict(t, conflicts[name], order)
				if first == "" {
					first = got
				}
				if got != first && !t.Failed() {
					t.Errorf("order %v:\n%s\nand the first:\n%s", order, got, first)
				}
			})
			t.Logf("%d orders", n)
		})
	}
}

// playConflict has every member act alone, lets the changes arrive everywhere in the order, and says how all ends.
func playConflict(t *testing.T, acts []string, order []int) string {
	g := newRig()
	do := func(line string) {
		if err := g.command(strings.Fields(line)); err != nil {
			t.Fatal(err)
		}
	}
	do("start a b c d e r")
	do("write a was 0")
	do("mkdir a dir")
	do("settle")
	g.apart()
	var changes []replica.Input
	for _, line := range acts {
		do("wait 10ms")
		by := g.node(strings.Fields(line)[1])
		before := by.cat.meta.Seq
		do(line)
		for seq := before + 1; seq <= by.cat.meta.Seq; seq++ {
			changes = append(changes, replica.Arrived{From: by.id, Change: farm.Change{Entry: written(by, seq)}})
		}
	}
	if len(changes) != len(acts) {
		t.Fatalf("%d acts made %d changes", len(acts), len(changes))
	}
	for _, n := range g.nodes {
		for _, i := range order {
			if in := changes[i].(replica.Arrived); in.From != n.id {
				n.step(in)
				n.work()
			}
		}
	}
	for i, a := range g.nodes {
		for _, b := range g.nodes[i+1:] {
			do(fmt.Sprintf("heal %s %s", a.id, b.id))
		}
	}
	do("settle")
	g.out.Reset()
	do("show")
	return sameTrees(t, g)
}

// written returns the version that bears the number, as it was pushed.
func written(n *node, seq farm.Seq) farm.Entry {
	for _, r := range n.cat.records {
		for _, e := range r.Known {
			if e.Version.Dot.Actor == n.cat.meta.Actor && e.Version.Dot.Seq == seq {
				return e
			}
		}
	}
	return farm.Entry{}
}

// apart breaks all links.
func (g *rig) apart() {
	for i, a := range g.nodes {
		for _, b := range g.nodes[i+1:] {
			g.cut[pair(a, b)] = true
			g.unlink(a, b)
		}
	}
}

// sameTrees demands that all disks are equal and no version is preserved twice, and returns the tree and which contents
// are preserved. Of equal contents of two members one copy is enough, and there may be two.
func sameTrees(t *testing.T, g *rig) string {
	var b bytes.Buffer
	kept, versions := map[string]bool{}, map[farm.Position]bool{}
	for _, n := range g.nodes {
		if !maps.Equal(n.disk, g.nodes[0].disk) {
			t.Errorf("%s and %s differ:\n%s", g.nodes[0].id, n.id, g.out.String())
		}
		for _, e := range n.kept {
			if versions[e.Version.Content.Dot] {
				t.Errorf("preserved twice: %s of %v", describe(e.Path, e.Attr), e.Version.Content.Dot)
			}
			versions[e.Version.Content.Dot] = true
			kept[describe(e.Path, farm.Attr{Type: e.Type, Digest: e.Digest, Target: e.Target})] = true
		}
	}
	for _, p := range slices.SortedFunc(maps.Keys(g.nodes[0].disk), farm.Path.Compare) {
		fmt.Fprintln(&b, describe(p, g.nodes[0].disk[p]))
	}
	for _, k := range slices.Sorted(maps.Keys(kept)) {
		fmt.Fprintln(&b, "preserved", k)
	}
	return b.String()
}

// permute calls do with every order of n things.
func permute(n int, do func([]int)) {
	order := make([]int, 0, n)
	var next func()
	next = func() {
		if len(order) == n {
			do(order)
			return
		}
		for i := range n {
			if !slices.Contains(order, i) {
				order = append(order, i)
				next()
				order = order[:len(order)-1]
			}
		}
	}
	next()
}
