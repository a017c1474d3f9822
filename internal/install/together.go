package install

import (
	"context"

	"github.com/zeebo/blake3"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// Together tells whether the plan may be one of InstallAll's: it makes a file whose content it brings along.
func Together(plan farm.Plan) bool {
	return plan.Expect.Type == farm.Absent && brought(plan) && !plan.Path.Private()
}

// InstallAll is Install of plans for which Together holds and which have one directory in common. It is resolved once,
// and what was made is noted once. Of a plan that is not carried out in this way nothing is left behind, and it is
// carried out in the other one.
func (k *Keeper) InstallAll(ctx context.Context, plans []farm.Plan, src func(farm.Path) Source) []farm.Installed {
	out := make([]farm.Installed, len(plans))
	for i, plan := range plans {
		out[i] = end(plan, farm.Failed) // until it is carried out
	}
	var made []farm.Plan
	if dir, ok := k.openFor(plans); ok {
		for i, plan := range plans {
			if out[i] = k.makeIn(dir, plan); out[i].Outcome == farm.Done {
				made = append(made, plan)
			}
		}
		k.made(made...)
		if len(made) > 0 && !dir.Stands() { // it was moved, and what was made is somewhere else now
			for i, plan := range plans {
				if out[i].Outcome == farm.Done {
					out[i] = end(plan, farm.Changed)
				}
			}
			made = nil
		}
		_ = dir.Close() // it was only read
	}
	if len(made) == len(plans) {
		return out
	}
	for i, plan := range plans {
		if out[i].Outcome != farm.Done && out[i].Outcome != farm.Changed {
			out[i] = k.Install(ctx, plan, src(plan.Path))
		}
	}
	return out
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

// makeIn makes the file of the plan in its directory, which is open. Whatever goes wrong is Failed: Install finds out
// what there is to say.
func (k *Keeper) makeIn(dir vfs.Dir, plan farm.Plan) farm.Installed {
	if blake3.Sum256(plan.Content) != plan.Want.Digest {
		return end(plan, farm.Failed)
	}
	o, err := k.prepare(context.Background(), plan, nil)
	if err != nil {
		return fail(plan, err)
	}
	if err := vfs.LinkIn(o.temp, dir, plan.Path); err != nil {
		k.scrap(o)
		return fail(plan, err)
	}
	return k.placed(plan, o)
}
