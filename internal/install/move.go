package install

import (
	"context"

	"tandem/internal/farm"
)

// moveWindow is how many syncs of the folder after a move its intent is kept: so long it takes until whoever asked for it has
// its outcome in the index, durably.
const moveWindow = 3

// Move renames the directory of mv, which is is, if all in it is what children tells of and nothing else is, and its new name
// is free. Unless the outcome is Done, the disk is as it was.
//
// Nothing is replaced, so nothing can be lost. What an application changed in the directory since it was looked at goes along,
// as if it had been renamed here: whoever asked compares what is at the new name with what he believes to be there.
func (k *Keeper) Move(ctx context.Context, mv farm.Move, is farm.Disk, children func(farm.Path) (map[string]farm.Disk, error)) farm.Installed {
	plan := farm.Plan{Path: mv.To, Want: is.Attr}
	if mv.From.Private() || mv.To.Private() || mv.From.IsRoot() || mv.To.IsRoot() {
		return fail(plan, farm.Errorf("rename", mv.To.String(), farm.Denied, "lies in Tandem's private area"))
	}
	if k.intents == nil {
		return fail(plan, farm.Errorf("rename", mv.To.String(), farm.Internal, "before Recover"))
	}
	if ok, err := k.treeIs(ctx, mv.From, is, children); err != nil && !gone(err) {
		return fail(plan, err)
	} else if !ok {
		return end(plan, farm.Changed)
	}
	was, err := k.fs.Lstat(mv.From)
	if err != nil {
		return end(plan, farm.Changed)
	}
	in := intent{Op: opMove, Name: k.stagingName("move-%d-%s", nil).Base(), path: mv.To, move: &moveIntent{Move: mv, ino: was.Ino}}
	if err := k.intents.begin(in); err != nil {
		return fail(plan, err)
	}
	if err := k.fs.RenameNoReplace(mv.From, mv.To); err != nil {
		k.intents.done(in)
		if farm.KindOf(err) == farm.Exists || gone(err) {
			return end(plan, farm.Changed)
		}
		return fail(plan, err)
	}
	st, err := k.fs.Lstat(mv.To)
	if err != nil {
		st = was // an application took it: a look at the disk will tell
	}
	return farm.Installed{Plan: plan, Outcome: farm.Done, Stat: st.Fingerprint}
}

// treeIs tells whether the directory dir and all in it is as expected.
func (k *Keeper) treeIs(ctx context.Context, dir farm.Path, is farm.Disk, children func(farm.Path) (map[string]farm.Disk, error)) (bool, error) {
	at, err := k.look(dir)
	if err != nil {
		return false, err
	}
	if ok, err := k.asExpected(dir, &at, is); err != nil || !ok || is.Type != farm.Dir {
		return ok, err
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	known, err := children(dir)
	if err != nil {
		return false, err
	}
	list, err := k.fs.ReadDir(dir)
	if err != nil || len(list) != len(known) {
		return false, err
	}
	for _, e := range list {
		d, ok := known[e.Name]
		child, jerr := dir.Join(e.Name)
		if !ok || jerr != nil {
			return false, nil
		}
		if ok, err := k.treeIs(ctx, child, d, children); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// FinishedMoves lists the moves of an earlier life that had changed the disk when it ended and may not be in the index. It is
// valid after Recover.
func (k *Keeper) FinishedMoves() []farm.Move { return k.finishedMoves }

// resumeMove finds out whether a move was carried out.
func (k *Keeper) resumeMove(in intent) {
	st, err := k.fs.Lstat(in.path)
	if err == nil && st.Type == farm.Dir && st.Ino == in.move.ino {
		k.finishedMoves = append(k.finishedMoves, in.move.Move)
	}
}

// Synced is to be called when the folder's tree has been made durable. Moves whose outcome must be in the index by then are
// forgotten.
func (k *Keeper) Synced() {
	if k.intents != nil {
		k.intents.age()
	}
}
