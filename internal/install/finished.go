package install

import (
	"slices"
	"strconv"
	"strings"

	"tandem/internal/farm"
)

// Finished lists the plans of an earlier life that had changed the disk when it ended, as far as the log of intents and
// staging tell: at most one per path, the latest. Nobody may have heard of their end. An application that was at such a
// path since then has had before its eyes what the plan wanted. Of the plans only Path, Want and Expect.Attr are filled in.
// After a power cut a plan that made something where nothing was (Expect.Type is Absent) may have been undone.
//
// It is valid after Recover.
func (k *Keeper) Finished() []farm.Plan { return k.finished }

// noteFinished collects, of each path's latest plan, whether it was carried out: that is known where an answer to it stands
// in the log, or where what it took out of the tree lies in staging.
func (k *Keeper) noteFinished(begun map[string]entry, out map[string]bool) {
	latest := map[farm.Path]string{}
	for name, e := range begun {
		if e.Op != opReplace && e.Op != opRemove && e.Op != opMade {
			continue
		}
		if was, ok := latest[e.path]; !ok || number(name) > number(was) {
			latest[e.path] = name
		}
	}
	for path, name := range latest {
		e := begun[name]
		if e.Op == opMade || (e.verified || out[name]) && !k.standsAsBefore(e.intent) {
			k.finished = append(k.finished, farm.Plan{Path: path, Want: e.want, Expect: farm.Disk{Attr: e.expect}})
		}
	}
	slices.SortFunc(k.finished, func(a, b farm.Plan) int { return a.Path.Compare(b.Path) })
}

// standsAsBefore tells whether the path is as it was before the plan: a power cut may have undone what the log says.
func (k *Keeper) standsAsBefore(in intent) bool {
	at, err := k.look(in.path)
	if err != nil {
		return true // nothing can be said of it
	}
	is := at.Attr()
	return is.Type == in.expect.Type && is.Size == in.expect.Size && is.MTime == in.expect.MTime
}

// number is the middle of a name in staging, "kind-number-what"; 0 if it is no such name.
func number(name string) uint64 {
	f := strings.Split(name, "-")
	if len(f) != 3 {
		return 0
	}
	n, err := strconv.ParseUint(f[1], 10, 64)
	if err != nil {
		return 0
	}
	return n
}
