package install

import (
	"context"

	"tandem/internal/farm"
)

// Restoration asks to bring a preserved file, of this member or another, back into the tree, as an application would.
type Restoration struct {
	Preserved Preserved
	To        farm.Path
	Known     farm.Disk // what the index says of To
	Force     bool      // also in the place of another file or link, which is preserved then
}

// Restored says what came of it.
type Restored struct {
	Same bool        // it was there already
	Made []farm.Path // what was made or changed, parents first; the index does not know of it yet
}

// restoreTries is how often a restore begins again because an application changed the path under it.
const restoreTries = 3

// Restore brings a file back with its attributes. Parents that are missing are made as parent says, which may be nil, else
// like the directory that they are made in. src may be nil if the file is preserved here. Errors: Exists if something else
// is there, Conflict if an application keeps changing the path, Unavailable without a source.
//
// It may run beside a plan for the same path: to each the other is an application.
func (k *Keeper) Restore(ctx context.Context, r Restoration, parent func(farm.Path) (farm.Attr, bool), src Source) (Restored, error) {
	made, err := k.makeParents(ctx, r.To.Parent(), parent)
	done := Restored{Made: made}
	for try := 0; err == nil && try < restoreTries; try++ {
		var again bool
		if again, err = k.restoreOnce(ctx, &r, src, &done); !again {
			return done, err
		}
	}
	if err == nil {
		err = farm.Errorf("restore", r.To.String(), farm.Conflict, "an application keeps changing what is there")
	}
	return done, err
}

func (k *Keeper) restoreOnce(ctx context.Context, r *Restoration, src Source, done *Restored) (again bool, err error) {
	at, err := k.look(r.To)
	if err != nil {
		return false, err
	}
	plan := farm.Plan{Path: r.To, Want: r.Preserved.Attr}
	if at.there {
		is, err := k.contentOf(r.To, at.Stat)
		if err != nil {
			return gone(err), err
		}
		if want := r.Preserved.Attr; is.Type == want.Type && (is.Type == farm.Dir || is.SameContent(want)) {
			done.Same = true
			return false, nil
		}
		if err := mayReplace(r, at); err != nil {
			return false, err
		}
		plan.Expect = farm.Disk{Attr: at.Attr(), Stat: at.Fingerprint}
		plan.Expect.Digest, plan.Expect.Target = is.Digest, is.Target
		plan.Preserve, plan.Why = &farm.Entry{Path: r.To, Attr: plan.Expect.Attr}, farm.ReasonReplaced
		if plan.Expect.SameContent(r.Known.Attr) {
			plan.Preserve.Version = farm.Version{Dot: r.Known.Content.Dot, Time: r.Known.Content.Time}
		}
	}
	res := k.Install(ctx, plan, src)
	switch res.Outcome {
	case farm.Done:
		done.Made = append(done.Made, r.To)
		return false, nil
	case farm.Changed, farm.NoParent:
		return true, nil
	case farm.NoSource:
		return k.unlikeRecord(r, plan.Want, res.Err)
	}
	return false, res.Err
}

// mayReplace tells why what is there stays.
func mayReplace(r *Restoration, at seen) error {
	e := &farm.Error{Op: "restore", Path: r.To.String(), Kind: farm.Exists}
	switch {
	case at.Type == farm.Dir:
		e.Err, e.Next = farm.Errorf("", "", farm.Exists, "a directory is there").Err, "restore it elsewhere with --to"
	case at.Type == farm.Absent:
		e.Err, e.Next = farm.Errorf("", "", farm.Exists, "a %s is there", at.Other).Err, "restore it elsewhere with --to"
	case !r.Force:
		e.Err = farm.Errorf("", "", farm.Exists, "another %s is there now", at.Type).Err
		e.Next = "compare them with: tandem conflicts diff " + r.Preserved.ID + "; then --force, which preserves that one, or --to another path"
	default:
		return nil
	}
	return e
}

// unlikeRecord deals with a file that is preserved here and not what its record says: of what was deleted the content was
// not read again. Then what is there is what it is about.
func (k *Keeper) unlikeRecord(r *Restoration, want farm.Attr, cause error) (again bool, err error) {
	if _, here := k.kept.get(r.Preserved.ID); !here || want.Type != farm.File {
		return false, cause
	}
	d, st, err := digest(k.fs, dataPath(r.Preserved.ID))
	if err != nil || d == want.Digest {
		return false, cause
	}
	r.Preserved, err = k.kept.correct(r.Preserved.ID, d, st.Size)
	return err == nil, err
}

// makeParents makes dir and what it stands in, as far as it is missing.
func (k *Keeper) makeParents(ctx context.Context, dir farm.Path, parent func(farm.Path) (farm.Attr, bool)) (made []farm.Path, err error) {
	at, err := k.look(dir)
	if err != nil || at.there && at.Type == farm.Dir {
		return nil, err
	}
	if at.there {
		return nil, &farm.Error{Op: "restore", Path: dir.String(), Kind: farm.Exists, Next: "restore it elsewhere with --to",
			Err: farm.Errorf("", "", farm.Exists, "a %s is where a directory should be", at.Type).Err}
	}
	if made, err = k.makeParents(ctx, dir.Parent(), parent); err != nil {
		return made, err
	}
	var want farm.Attr
	known := false
	if parent != nil {
		want, known = parent(dir)
	}
	if !known {
		up, err := k.look(dir.Parent())
		if err != nil {
			return made, err
		}
		want = up.Attr()
	}
	want.Type = farm.Dir
	res := k.Install(ctx, farm.Plan{Path: dir, Want: want}, nil)
	if res.Outcome != farm.Done && res.Outcome != farm.Changed { // changed: somebody was faster, and the next look tells by what
		return made, res.Err
	}
	return append(made, dir), nil
}
