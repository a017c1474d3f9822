package config

import (
	"slices"

	"tandem/internal/farm"
)

// Heads are the revisions that are nobody's parent, the earliest first. Files are not looked at.
func Heads(all []Revision) []Revision {
	parents := map[farm.Digest]bool{}
	for _, r := range all {
		for _, p := range r.Parents {
			parents[p] = true
		}
	}
	var heads []Revision
	for _, r := range all {
		if !parents[r.Digest] {
			heads = append(heads, r)
		}
	}
	slices.SortFunc(heads, later)
	return heads
}

// Gap tells whether a revision has not come yet on which it depends whether the head is concurrent with the later ones: a parent
// of something that is later than the head. Members keep the latest n revisions: the parents of older ones may be gone for good, and
// are not waited for. Files are not looked at.
func Gap(all []Revision, head Revision, n int) bool {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b Revision) int { return later(b, a) })
	known := map[farm.Digest]bool{}
	for _, r := range all {
		known[r.Digest] = true
	}
	for _, r := range sorted[:min(n-1, len(sorted))] {
		if later(r, head) > 0 && slices.ContainsFunc(r.Parents, func(p farm.Digest) bool { return !known[p] }) {
			return true
		}
	}
	return false
}

// CommonAncestor is the latest revision of all that a and b both descend from (or are); false if there is none among
// them. Edits in turn on both sides of a partition can leave several candidates of which none descends from another; the
// latest is as good as any, and all members choose the same. Files are not looked at.
func CommonAncestor(all []Revision, a, b farm.Digest) (farm.Digest, bool) {
	byDigest := make(map[farm.Digest]Revision, len(all))
	for _, r := range all {
		byDigest[r.Digest] = r
	}
	ofA, ofB := ancestors(byDigest, a), ancestors(byDigest, b)
	var best Revision
	ok := false
	for d := range ofA {
		// A descendant is later than its ancestors, so the latest common one has no common descendant.
		if r := byDigest[d]; ofB[d] && (!ok || later(r, best) > 0) {
			best, ok = r, true
		}
	}
	return best.Digest, ok
}

// ancestors are the known revisions that d descends from, and d.
func ancestors(all map[farm.Digest]Revision, d farm.Digest) map[farm.Digest]bool {
	seen := map[farm.Digest]bool{}
	todo := []farm.Digest{d}
	for len(todo) > 0 {
		d := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		r, known := all[d]
		if seen[d] || !known {
			continue
		}
		seen[d] = true
		todo = append(todo, r.Parents...)
	}
	return seen
}

// Retain is the history cut to the latest n revisions and all heads, the latest first, and what that leaves out. All
// members that have the same revisions leave out the same.
func Retain(all []Revision, n int) (keep, drop []Revision) {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b Revision) int { return later(b, a) })
	heads := map[farm.Digest]bool{}
	for _, h := range Heads(all) {
		heads[h.Digest] = true
	}
	for i, r := range sorted {
		if i < n || heads[r.Digest] {
			keep = append(keep, r)
		} else {
			drop = append(drop, r)
		}
	}
	return keep, drop
}
