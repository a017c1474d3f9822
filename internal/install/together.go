package install

import (
	"context"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// Together tells whether the plan may be one of InstallAll's: it makes a file whose content it brings along, or removes one.
func Together(plan farm.Plan) bool {
	return (plan.Expect.Type == farm.Absent && brought(plan) || removes(plan)) && !plan.Path.Private()
}

// InstallAll is Install of plans for which Together holds and which have one directory in common. It is resolved once,
// and what was done is noted once. Of a plan that is not carried out in this way nothing is left behind, and it is
// carried out in the other one.
func (k *Keeper) InstallAll(ctx context.Context, plans []farm.Plan, src func(farm.Path) Source) []farm.Installed {
	out := make([]farm.Installed, len(plans))
	dir, open := k.openFor(plans)
	if open {
		k.makeAll(ctx, dir, plans, out)
		k.removeAll(dir, plans, out)
		_ = dir.Close() // it was only read
	}
	for i, plan := range plans {
		if !open || out[i].Outcome != farm.Done && out[i].Outcome != farm.Changed {
			out[i] = k.Install(ctx, plan, src(plan.Path))
		}
	}
	return out
}

// makeAll makes the files of the plans in their directory, which is open, and says in out what came of it.
func (k *Keeper) makeAll(ctx context.Context, dir vfs.Dir, plans []farm.Plan, out []farm.Installed) {
	var made []farm.Plan
	for i, plan := range plans {
		if removes(plan) {
			continue
		}
		if out[i] = k.makeIn(ctx, dir, plan); out[i].Outcome == farm.Done {
			made = append(made, plan)
		}
	}
	if len(made) == 0 {
		return
	}
	k.made(made...)
	if dir.Stands() {
		return
	}
	for i, plan := range plans { // it was moved, and what was made is somewhere else now
		if out[i].Outcome == farm.Done && !removes(plan) {
			out[i] = end(plan, farm.Changed)
		}
	}
}

// openFor opens the directory of the plans, if there is room for all of them.
func (k *Keeper) openFor(plans []farm.Plan) (vfs.Dir, bool) {
	need := int64(0)
	for _, plan := range plans {
		need += needs(plan)
	}
	if k.intents == nil || k.room(farm.Digest{}, need) != nil {
		return nil, false
	}
	dir, err := vfs.OpenDir(k.fs, plans[0].Path.Parent())
	return dir, err == nil
}

// makeIn makes the file of the plan in its directory, which is open. What goes wrong is for Install to find out.
func (k *Keeper) makeIn(ctx context.Context, dir vfs.Dir, plan farm.Plan) farm.Installed {
	o, err := k.prepare(ctx, plan, nil)
	if err != nil {
		return fail(plan, err)
	}
	if err := vfs.LinkIn(o.temp, dir, plan.Path); err != nil {
		k.scrap(o)
		return fail(plan, err)
	}
	return k.placed(plan, o)
}
