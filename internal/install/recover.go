package install

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/zeebo/blake3"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// Recover ends what a crash interrupted and makes the keeper ready. It does by the log of intents what the interrupted
// plan would have done next: finish if what was taken out of the tree is what was expected, put it back if not. What
// can't be settled stays in staging, is reported, and does not stop the rest.
func (k *Keeper) Recover() error {
	errs := []error{k.kept.load()}
	begun, err := readIntents(k.fs)
	if err != nil {
		return err
	}
	staging := farm.MustPath(vfs.StagingDir)
	list, err := k.fs.ReadDir(staging)
	if err != nil {
		return err
	}
	live := map[string]entry{}
	for _, e := range list {
		k.skipPast(e.Name)
		if in, ok := begun[e.Name]; ok {
			live[e.Name] = in
		}
	}
	for name, e := range begun {
		if e.Op == opMove && !e.verified {
			live[name] = e
		}
	}
	logs, err := openIntents(k.fs, live)
	if err != nil {
		return err
	}
	k.intents = logs
	for _, name := range sortedKeys(begun) {
		k.skipPast(name)
		if e := begun[name]; !e.verified {
			errs = append(errs, k.resume(e.intent))
		}
	}
	out := map[string]bool{}
	for _, e := range list {
		name, err := staging.Join(e.Name)
		if err == nil {
			out[e.Name], err = k.recoverOne(name, begun)
		}
		errs = append(errs, err)
	}
	k.noteFinished(begun, out)
	errs = append(errs, k.trimPartials(list))
	k.partials.looked = k.cfg.Now()
	k.Sweep(context.Background())
	return errors.Join(append(errs, k.intents.tidy())...)
}

// skipPast makes the names given from now on differ from name, which is "kind-number-what".
func (k *Keeper) skipPast(name string) {
	if n := number(name); n > k.seq.Load() {
		k.seq.Store(n)
	}
}

// resume ends what left no trace in staging.
func (k *Keeper) resume(in intent) error {
	switch in.Op {
	case opMove:
		k.resumeMove(in)
		return nil
	case opAttr, opParent:
	default:
		return nil
	}
	at, err := k.look(in.path)
	if err != nil || !at.there || at.Type != in.want.Type {
		return err
	}
	if in.Op == opParent {
		k.closeParent(in, at.Ino)
		return nil
	}
	// Half set: each attribute is the old or the new one, and not all are the old ones.
	is, was, want := at.Attr(), in.expect, in.want
	if is.XAttrs, err = k.xattrs(in.path, at.Stat); err != nil {
		return err
	}
	old := is.SameMeta(was) && is.MTime == was.MTime
	mixed := (is.Mode == was.Mode || is.Mode == want.Mode || is.Mode == was.Mode&want.Mode) &&
		(is.MTime == was.MTime || is.MTime == want.MTime) &&
		(sameOwner(is, was) || sameOwner(is, want)) && mixedXAttrs(is.XAttrs, was.XAttrs, want.XAttrs)
	if old || !mixed || at.Type == farm.File && at.Links != 1 {
		return nil
	}
	set := vfs.SetAttr{Ino: at.Ino, Mode: &want.Mode, Owner: &want.Owner, XAttrs: &want.XAttrs}
	if want.Type != farm.Dir {
		set.MTime = &want.MTime
	}
	return k.fs.SetAttr(in.path, set)
}

// mixedXAttrs tells whether each of the attributes is as it was or as it is wanted.
func mixedXAttrs(is, was, want farm.XAttrs) bool {
	for _, x := range []farm.XAttrs{is, was, want} {
		for name := range x.All() {
			v, has := is.Get(name)
			w, had := was.Get(name)
			u, wanted := want.Get(name)
			if (has != had || v != w) && (has != wanted || v != u) {
				return false
			}
		}
	}
	return true
}

// recoverOne deals with what is in staging under name, and tells whether a plan that expected just that took it out of the
// tree.
func (k *Keeper) recoverOne(name farm.Path, begun map[string]entry) (tookOut bool, err error) {
	if isPartial(name.Base()) {
		return false, nil // trimPartials sees to it
	}
	if strings.HasPrefix(name.Base(), vfs.TempPrefix) {
		return false, k.fs.Remove(name)
	}
	st, err := k.fs.Lstat(name)
	if err != nil {
		return false, err
	}
	is, err := k.contentOf(name, st)
	if err != nil {
		return false, err
	}
	e, ok := begun[name.Base()]
	in := e.intent
	l := leftover{in: in, stat: st, verify: true}
	switch {
	case !ok && madeAs(name, is):
		return false, k.discard(name, st.Type)
	case !ok:
		l.in = intent{Name: name.Base(), path: unknownPath(name.Base())}
	case e.verified:
	case in.Op == opReplace && is.SameContent(in.want):
		l.in.expect, l.in.lost = in.want, nil // it never came to its path, or was put back from there
	case is.SameContent(in.expect):
		if err := k.intents.verified(in.Name); err != nil {
			return false, err
		}
		tookOut = true
	case in.Op == opReplace:
		return false, k.recoverReplaced(l)
	default:
		k.putBackRemoved(in, st)
		return false, nil
	}
	k.queue(l)
	return tookOut, nil
}

// recoverReplaced deals with what an exchange took out and the plan did not expect: back it goes, if the path still has
// what it was exchanged with.
func (k *Keeper) recoverReplaced(l leftover) error {
	at, err := k.look(l.in.path)
	if err != nil {
		return err
	}
	if at.there {
		is, err := k.contentOf(l.in.path, at.Stat)
		if err != nil && !gone(err) {
			return err
		}
		if err == nil && is.SameContent(l.in.want) {
			k.putBack(l.in, at.Stat)
			return nil
		}
	}
	l.in.expect, l.in.lost = farm.Attr{}, nil
	k.queue(l)
	return nil
}

// contentOf is the type and content of what is at p. A directory with entries, and a file that is being written, equal
// nothing.
func (k *Keeper) contentOf(p farm.Path, st vfs.Stat) (farm.Attr, error) {
	a := farm.Attr{Type: st.Type, Size: st.Attr().Size}
	var err error
	switch st.Type {
	case farm.File:
		a.Digest, _, err = digest(k.fs, p)
		if farm.KindOf(err) == farm.Unstable {
			a.Size, err = -1, nil
		}
	case farm.Symlink:
		a.Target, err = k.fs.Readlink(p)
	case farm.Dir:
		if !k.childless(p, st) {
			a.Size = -1
		}
	}
	return a, err
}

// madeAs tells whether what is in staging under name is what prepare made it as. Equal content is as good: then it is
// at the path too.
func madeAs(name farm.Path, is farm.Attr) bool {
	f := strings.Split(name.Base(), "-")
	if len(f) != 3 || f[0] != "new" {
		return false
	}
	switch is.Type {
	case farm.File:
		return f[2] == hex.EncodeToString(is.Digest[:8])
	case farm.Symlink:
		sum := blake3.Sum256([]byte(is.Target))
		return f[2] == hex.EncodeToString(sum[:8])
	case farm.Dir:
		return is.Size == 0
	}
	return false
}
