package install

import (
	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// takeOver gives what was just taken out of the tree its place at another path, if it is what the plan wants: an
// application has renamed it elsewhere, and its deletion came first. Nothing is copied, and nothing of it is left to keep.
func (k *Keeper) takeOver(plan farm.Plan) (farm.Installed, bool) {
	if plan.Want.Type != farm.File || plan.Want.Size == 0 {
		return farm.Installed{}, false
	}
	l, ok := k.claim(plan.Want)
	if !ok {
		return farm.Installed{}, false
	}
	if st, ok := k.untouched(l, plan.Want); ok {
		err := k.writable(plan.Path, func() error { return k.fs.RenameNoReplace(l.in.name(), plan.Path) })
		if err == nil {
			k.intents.end(l.in.Name)
			k.made(plan)
			return k.placed(plan, &object{name: l.in.name(), stat: st}), true
		}
	}
	k.queue(l)
	return farm.Installed{}, false
}

// claim takes out of what waits for the sweep a removed file that was as wanted. What lost a conflict stays.
func (k *Keeper) claim(want farm.Attr) (leftover, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.shelf.claim(want.Digest, func(l leftover) bool {
		return !l.failed && l.in.expect.Same(want) && (l.in.lost == nil || l.in.deleted())
	})
}

// untouched reads what was taken out: it must be what it was, have no writer and no other name.
func (k *Keeper) untouched(l leftover, want farm.Attr) (vfs.Stat, bool) {
	f, err := k.fs.Open(l.in.name())
	if err != nil {
		return vfs.Stat{}, false
	}
	defer f.Close()
	if f.Writers() {
		return vfs.Stat{}, false
	}
	d, st, err := digestOf(l.in.path, f)
	return st, err == nil && d == want.Digest && st.Links == 1 && unchanged(l.stat, st)
}
