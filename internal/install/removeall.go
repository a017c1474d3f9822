package install

import (
	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// removes tells whether the plan is to remove a file.
func removes(plan farm.Plan) bool {
	return plan.Want.Type == farm.Absent && plan.Expect.Type == farm.File
}

// removal is one of many.
type removal struct {
	at   int // of the plan
	in   intent
	was  vfs.Stat
	name farm.Path // in staging
	out  bool      // it was moved there
}

// removeAll takes the files of the plans out of their directory, which is open, and says in out what came of it. All intents are
// written at once, and so is that what was taken out was looked at. What is not just as the index has it is left for Install.
func (k *Keeper) removeAll(dir vfs.Dir, plans []farm.Plan, out []farm.Installed) {
	for i, plan := range plans {
		if removes(plan) {
			out[i] = end(plan, farm.Failed) // until it is carried out: it is Install's
		}
	}
	list := k.removals(dir, plans)
	if len(list) == 0 {
		return
	}
	intents := make([]intent, len(list))
	for i, r := range list {
		intents[i] = r.in
	}
	if k.intents.begin(intents...) != nil {
		return
	}
	for i := range list {
		r := &list[i]
		plan := plans[r.at]
		err := vfs.MoveOut(k.fs, dir, plan.Path, r.name)
		if r.out = err == nil; err == nil {
			continue
		}
		k.intents.end(r.in.Name)
		if gone(err) {
			out[r.at] = end(plan, farm.Changed)
		}
	}
	if !dir.Stands() {
		k.takeBack(dir, plans, list, out)
		return
	}
	k.judgeRemoved(plans, list, out)
}

// removals are the plans that can be carried out.
func (k *Keeper) removals(dir vfs.Dir, plans []farm.Plan) (list []removal) {
	for i, plan := range plans {
		if !removes(plan) {
			continue
		}
		st, err := dir.Lstat(plan.Path.Base())
		if err != nil || st.Type != farm.File || !st.Matches(plan.Expect.Stat) || plan.Expect.Stat.Racy {
			continue
		}
		name := k.stagingName("old-%d-%s", plan.Expect.Digest[:8])
		list = append(list, removal{at: i, was: st, name: name, in: intent{
			Op: opRemove, Name: name.Base(), path: plan.Path, expect: plan.Expect.Attr, lost: k.lostOf(plan)}})
	}
	return list
}

// judgeRemoved looks at what was taken out.
func (k *Keeper) judgeRemoved(plans []farm.Plan, list []removal, out []farm.Installed) {
	verified := make([]string, 0, len(list))
	stats := make([]vfs.Stat, len(list))
	for i, r := range list {
		if !r.out {
			continue
		}
		st, err := k.fs.Lstat(r.name)
		switch stats[i] = st; {
		case err != nil:
			out[r.at] = fail(plans[r.at], err) // it stays where it is, explained by its intent
		case unchanged(r.was, st):
			out[r.at] = end(plans[r.at], farm.Done)
			verified = append(verified, r.in.Name)
		default:
			k.putBackRemoved(r.in, st)
			out[r.at] = end(plans[r.at], farm.Changed)
		}
	}
	k.verified(verified...)
	for i, r := range list {
		if r.out && out[r.at].Outcome == farm.Done {
			k.shelve(r.in, stats[i], r.was.Racy)
		}
	}
}

// takeBack gives what was taken out its name again, in the directory, which is somewhere else now. If somebody else has taken
// the name, it is preserved.
func (k *Keeper) takeBack(dir vfs.Dir, plans []farm.Plan, list []removal, out []farm.Installed) {
	for _, r := range list {
		if !r.out {
			continue
		}
		out[r.at] = end(plans[r.at], farm.Changed)
		if vfs.MoveBack(k.fs, dir, r.name, r.in.path) == nil {
			k.intents.end(r.in.Name)
			continue
		}
		if st, err := k.fs.Lstat(r.name); err == nil {
			r.in.expect, r.in.lost = farm.Attr{}, nil
			k.queue(leftover{in: r.in, stat: st, verify: true})
		}
	}
}
