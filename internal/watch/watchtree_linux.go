package watch

import (
	"errors"
	"io"
	"slices"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
)

// maxUnwatched is how many subtrees without a watch are listed one by one; more are named by their parents.
const maxUnwatched = 1024

// listStep is how many names of a directory are read at a time.
const listStep = 1024

// watchTree knows which directory has which watch. The kernel has one watch per directory, so that adding it again
// under another path gives the watch that it has, and the path is put right.
type watchTree struct {
	watches   inotifyWatches
	max       int // watches; 0: as many as the system allows
	paths     map[int32]farm.Path
	wds       map[farm.Path]int32
	unwatched []farm.Path // tops of subtrees for which there was no watch left
	round     map[int32]struct{}
}

func newWatchTree(watches inotifyWatches, max int) *watchTree {
	return &watchTree{watches: watches, max: max, paths: make(map[int32]farm.Path), wds: make(map[farm.Path]int32)}
}

// watched tells whether the directory at p has a watch.
func (t *watchTree) watched(p farm.Path) bool {
	_, ok := t.wds[p]
	return ok
}

// add watches the directory top and all below it. It tells whether there is anything in it that was not known. What is
// watched under its path already has been listed after that began, and is not listed again: a deep tree that appears at
// once is notified of level by level. Directories that vanish meanwhile, or may not be read, are left out; an error is
// one that none of them has caused.
func (t *watchTree) add(top farm.Path) (populated bool, err error) {
	todo := []farm.Path{top}
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		wd, dir, err := t.watch(p)
		switch {
		case errors.Is(err, unix.ENOSPC):
			t.leave(p)
			populated = true // as far as anyone knows
			continue
		case err != nil && (p.IsRoot() || scarce(err)):
			return populated, err
		case err != nil:
			continue
		}
		if was, ok := t.paths[wd]; ok && was == p && t.round == nil {
			dir.Close()
			continue
		}
		t.set(wd, p)
		below, any := subdirs(p, dir)
		dir.Close()
		populated = populated || any
		todo = append(todo, below...)
	}
	return populated, nil
}

// watch is watches.add within the limit that was set.
func (t *watchTree) watch(p farm.Path) (int32, lister, error) {
	if t.max > 0 && len(t.paths) >= t.max && !t.watched(p) {
		return 0, nil, unix.ENOSPC
	}
	return t.watches.add(p)
}

// scarce tells whether the system lacked something that has nothing to do with the directory.
func scarce(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM)
}

// set notes that p has the watch wd.
func (t *watchTree) set(wd int32, p farm.Path) {
	if old, ok := t.paths[wd]; ok && old != p && t.wds[old] == wd {
		delete(t.wds, old) // the directory has been moved
	}
	t.paths[wd] = p
	t.wds[p] = wd
	if t.round != nil {
		t.round[wd] = struct{}{}
	}
}

// forget drops a watch that the kernel has dropped.
func (t *watchTree) forget(wd int32) {
	p := t.paths[wd]
	delete(t.paths, wd)
	if t.wds[p] == wd {
		delete(t.wds, p)
	}
}

// remove takes the watches off a directory that was moved away, and off all below it. What has been found again at its
// new place keeps its watch: it is known by that path now.
func (t *watchTree) remove(top farm.Path) {
	drop := func(p farm.Path, wd int32) {
		t.watches.remove(wd)
		t.forget(wd)
	}
	if wd, ok := t.wds[top]; ok {
		drop(top, wd)
	}
	for p, wd := range t.wds {
		if p.Under(top) {
			drop(p, wd)
		}
	}
	t.unwatched = slices.DeleteFunc(t.unwatched, func(p farm.Path) bool { return p == top || p.Under(top) })
}

// rebuild adds all directories again and drops every watch that was not among them.
func (t *watchTree) rebuild() error {
	t.unwatched = nil
	t.round = make(map[int32]struct{}, len(t.paths))
	_, err := t.add(farm.Path{})
	for wd := range t.paths {
		if _, ok := t.round[wd]; !ok {
			t.watches.remove(wd)
			t.forget(wd)
		}
	}
	t.round = nil
	return err
}

// leave notes that there was no watch for p and what is below it.
func (t *watchTree) leave(p farm.Path) {
	for len(t.unwatched) >= maxUnwatched {
		parents := make(map[farm.Path]struct{})
		for _, q := range append(t.unwatched, p) {
			parents[q.Parent()] = struct{}{}
		}
		t.unwatched = t.unwatched[:0]
		for q := range parents {
			t.unwatched = append(t.unwatched, q)
		}
		p = t.unwatched[0]
	}
	for _, q := range t.unwatched {
		if q == p || p.Under(q) {
			return
		}
	}
	t.unwatched = append(t.unwatched, p)
}

// takeUnwatched returns and forgets what is not watched.
func (t *watchTree) takeUnwatched() []farm.Path {
	tops := t.unwatched
	t.unwatched = nil
	return tops
}

// subdirs lists the directories in an open directory and tells whether there is anything in it.
func subdirs(p farm.Path, dir lister) (below []farm.Path, populated bool) {
	for {
		entries, err := dir.ReadDir(listStep)
		for _, e := range entries {
			child, bad := p.Join(e.Name())
			if bad != nil || child.Private() {
				continue
			}
			populated = true
			if e.IsDir() {
				below = append(below, child)
			}
		}
		if err != nil || len(entries) == 0 {
			if err != nil && err != io.EOF {
				populated = true // as far as anyone knows
			}
			return below, populated
		}
	}
}
