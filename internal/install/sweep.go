package install

import (
	"context"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// leftover is something in staging that was in the tree.
type leftover struct {
	in     intent
	stat   vfs.Stat // as it was taken out
	verify bool     // read it before it is thrown away
	failed bool     // a settling of it failed and was logged
	ticket uint64   // its place on the shelf; 0: it was never there
}

// takenOut is told what a plan took out of the tree, which is as expected. Is somebody still writing to it, or does its
// time leave a doubt, it is read once more when that is over.
func (k *Keeper) takenOut(in intent, out vfs.Stat, doubt bool) {
	k.verified(in.Name)
	k.shelve(in, out, doubt)
}

// verified notes that what was taken out was looked at and is as expected.
func (k *Keeper) verified(names ...string) {
	if len(names) == 0 {
		return
	}
	if err := k.intents.verified(names...); err != nil {
		k.cfg.Log.Warn("can't write to the log of intents", "err", err)
	}
}

// shelve is takenOut of what is noted already.
func (k *Keeper) shelve(in intent, out vfs.Stat, doubt bool) {
	// What is kept anyway needs no reading to tell that it may be thrown away, and its writers can wait for the sweep.
	deleted := in.deleted()
	l := leftover{in: in, stat: out, verify: doubt || out.Size <= verifyBytes && !deleted}
	if out.Type == farm.File && !deleted {
		f, err := k.fs.Open(in.name())
		if err != nil || f.Writers() {
			l.verify = true
		}
		if err == nil {
			_ = f.Close()
		}
	}
	// What lost a conflict is there for all to see when the plan has ended; the rest can wait for the sweep.
	if in.lost != nil && !deleted && k.settle(&l, false) {
		return
	}
	k.queue(l)
}

// queue keeps l for the next sweep. If there is no room, the oldest is settled at once, whoever still writes to it.
func (k *Keeper) queue(l leftover) {
	k.mu.Lock()
	k.shelf.put(l)
	var old *leftover
	if len(k.shelf.held) > maxLeftovers {
		first := k.shelf.oldest()
		old = &first
	}
	k.mu.Unlock()
	if old != nil && !k.settle(old, true) {
		k.cfg.Log.Error("staging is full of what can't be settled; a restart tries again", "path", old.in.path)
	}
}

// Sweep throws away, or preserves, what was taken out of the tree and has no writer any more. It is called about once a
// second, by one caller.
func (k *Keeper) Sweep(ctx context.Context) {
	k.mu.Lock()
	work := k.shelf.all()
	k.mu.Unlock()
	var stay []leftover
	for i := range work {
		if ctx.Err() != nil || !k.settle(&work[i], false) {
			stay = append(stay, work[i])
		}
	}
	k.mu.Lock()
	for _, l := range stay {
		k.shelf.put(l)
	}
	k.mu.Unlock()
	if k.partials.due(k.cfg.Now()) {
		list, err := k.fs.ReadDir(farm.MustPath(vfs.StagingDir))
		if err == nil {
			err = k.trimPartials(list)
		}
		if err != nil {
			k.cfg.Log.Warn("can't remove what interrupted transfers left", "err", err)
		}
	}
	if k.intents == nil {
		return
	}
	if err := k.kept.tidy(func(p Preserved) { k.tell(&k.told.expired, p, k.tellExpired) }, func(p Preserved) { k.tell(&k.told.dropped, p, k.tellDropped) }); err != nil {
		k.cfg.Log.Warn("can't make room among the preserved files", "err", err)
	}
	k.tellRest()
	if err := k.intents.compact(); err != nil {
		k.cfg.Log.Warn("can't begin the log of intents anew", "err", err)
	}
}

// settle throws away or preserves l and tells whether it is gone from staging. With force it does not wait for writers:
// then the inode itself is preserved, and so is what they write later.
func (k *Keeper) settle(l *leftover, force bool) bool {
	gone, err := k.settled(l, force)
	if err != nil && !l.failed {
		l.failed = true
		k.cfg.Log.Error("can't settle what was taken out of the tree; trying again", "path", l.in.path, "name", l.in.Name, "err", err)
	}
	if gone {
		k.intents.end(l.in.Name)
	}
	return gone
}

func (k *Keeper) settled(l *leftover, force bool) (bool, error) {
	name := l.in.name()
	st, err := k.fs.Lstat(name)
	if farm.KindOf(err) == farm.NotFound {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	switch st.Type {
	case farm.File:
		return k.settleFile(l, force)
	case farm.Dir:
		err := k.keepTree(l.in, name, l.in.path)
		return err == nil, err
	case farm.Symlink:
		target, err := k.fs.Readlink(name)
		if err != nil {
			return false, err
		}
		return k.settleAs(l, farm.Attr{Type: farm.Symlink, Target: target}, st)
	}
	err = k.fs.Remove(name) // a FIFO or a socket holds nothing
	return err == nil, err
}

func (k *Keeper) settleFile(l *leftover, force bool) (bool, error) {
	f, err := k.fs.Open(l.in.name())
	if err != nil {
		return false, err
	}
	defer f.Close()
	if f.Writers() && !force {
		l.verify = true
		return false, nil
	}
	st, err := f.Stat()
	if err != nil {
		return false, err
	}
	if !l.verify && st.Matches(l.stat.Fingerprint) {
		switch {
		case l.in.lost == nil:
			err := k.fs.Remove(l.in.name())
			return err == nil, err
		case l.in.deleted():
			return k.settleAs(l, l.in.expect, st)
		}
	}
	d, st, err := digestOf(l.in.path, f)
	if farm.KindOf(err) == farm.Unstable && !force {
		return false, nil // a writer came and went
	}
	if err != nil && farm.KindOf(err) != farm.Unstable {
		return false, err
	}
	return k.settleAs(l, farm.Attr{Type: farm.File, Size: st.Size, Digest: d}, st)
}

// settleAs ends a file or symlink whose content is known.
func (k *Keeper) settleAs(l *leftover, content farm.Attr, st vfs.Stat) (bool, error) {
	a := st.Attr()
	a.Digest, a.Target = content.Digest, content.Target
	if content.SameContent(l.in.expect) && a.XAttrs.IsZero() {
		a.XAttrs = l.in.expect.XAttrs
	}
	var err error
	switch lost := l.in.lost; {
	case !content.SameContent(l.in.expect):
		reason := farm.ReasonLateWrite
		if l.in.Op == "" {
			reason = farm.ReasonCrash
		} else if l.in.expect.Type == farm.Absent {
			reason = farm.ReasonDisplaced
		}
		err = k.keep(l.in.name(), st, Preserved{Path: l.in.path, Attr: a, Reason: reason})
	case lost == nil, l.in.deleted() && k.moved(l.in, a):
		err = k.fs.Remove(l.in.name())
	default:
		err = k.keep(l.in.name(), st, Preserved{Path: l.in.path, Attr: a, Reason: reasonOf(lost), Lost: lost.Stamp, By: lost.By})
	}
	if farm.KindOf(err) == farm.Unstable {
		l.verify = true
		return false, nil
	}
	return err == nil, err
}

// deleted tells whether the intent is to install a deletion, and to keep what goes.
func (in intent) deleted() bool { return in.lost != nil && in.lost.Why == farm.ReasonDeleted }

// moved tells whether the content has not gone, but moved.
func (k *Keeper) moved(in intent, a farm.Attr) bool {
	return k.cfg.Moved != nil && a.Type == farm.File && k.cfg.Moved(in.path, a.Digest, in.lost.By)
}

// keepTree preserves every file and link in a directory that was in the tree as p, and removes the directory.
func (k *Keeper) keepTree(in intent, name, p farm.Path) error {
	list, err := k.fs.ReadDir(name)
	if err != nil {
		return err
	}
	for _, e := range list {
		child, err := name.Join(e.Name)
		if err != nil {
			return err
		}
		was, err := p.Join(e.Name)
		if err != nil {
			was = p // the name alone would be too long where it came from
		}
		if err := k.keepEntry(in, child, was); err != nil {
			return err
		}
	}
	return k.fs.RemoveDir(name)
}

func (k *Keeper) keepEntry(in intent, name, p farm.Path) error {
	st, err := k.fs.Lstat(name)
	if err != nil {
		return err
	}
	a := st.Attr()
	switch st.Type {
	case farm.Dir:
		return k.keepTree(in, name, p)
	case farm.File:
		if a.Digest, _, err = digest(k.fs, name); err != nil {
			return err
		}
	case farm.Symlink:
		if a.Target, err = k.fs.Readlink(name); err != nil {
			return err
		}
	default:
		return k.fs.Remove(name)
	}
	return k.keep(name, st, Preserved{Path: p, Attr: a, Reason: farm.ReasonDisplaced})
}
