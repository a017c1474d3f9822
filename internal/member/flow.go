package member

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
	"tandem/internal/replica"
	"tandem/internal/scan"
)

// flowRules say how a folder is treated. They change while it runs.
type flowRules struct {
	filter   *scan.Filter
	readOnly bool
	brake    int // percent; 0: off
}

func (r flowRules) same(s flowRules) bool {
	return sameFilter(r.filter, s.filter) && r.readOnly == s.readOnly && r.brake == s.brake
}

func (m *Member) flowRules(f config.Folder) flowRules {
	return flowRules{filter: folderFilter(f), readOnly: f.ReadOnlyOn(m.self), brake: int(f.Brake)}
}

// folderFilter makes the filter of a folder from what farm.toml says of it.
func folderFilter(f config.Folder) *scan.Filter {
	var rules []scan.Rule
	add := func(key string, patterns []string) {
		for i, p := range patterns {
			rules = append(rules, scan.Rule{Pattern: p, Include: key == "include", Line: f.Lines[fmt.Sprintf("%s[%d]", key, i)]})
		}
	}
	add("include", f.Include)
	add("exclude", f.Exclude)
	if f.Defaults {
		rules = append(rules, scan.Defaults()...)
	}
	return scan.NewFilter(rules, int64(f.MaxSize))
}

// sameFilter tells whether two filters decide the same.
func sameFilter(f, g *scan.Filter) bool {
	return f.MaxSize() == g.MaxSize() && slices.EqualFunc(f.Rules(), g.Rules(), func(a, b scan.Rule) bool {
		return a.Pattern == b.Pattern && a.Include == b.Include
	})
}

// rules are the machine's, of the folder as it runs now.
func (f *folder) rules() replica.Rules {
	r := f.flow.Load()
	return replica.Rules{
		Excluded: r.filter.Excluded, LeftOut: r.filter.LeavesOut, ReadOnly: r.readOnly, BrakePercent: r.brake, Checked: f.trial != nil,
		Entries: func() int64 { entries, _ := f.index.Counts(); return entries },
	}
}

// before is what was excluded when the folder ran the last time; nil: the same as now.
func (f *folder) before() func(farm.Path) bool {
	was := f.note.Filter.filter()
	if f.spec.id.Own() || sameFilter(was, f.flow.Load().filter) {
		return nil
	}
	return was.Excluded
}

// steer gives the runner what people said, once it runs.
func (f *folder) steer(ctx context.Context, in replica.Input) error {
	ctx, cancel := context.WithTimeout(ctx, steerTime)
	defer cancel()
	defer context.AfterFunc(f.ctx, cancel)()
	if err := f.runner.Steer(ctx, in); err != nil {
		return &farm.Error{Op: "steer folder", Path: string(f.spec.id), Kind: farm.Unavailable, Err: err}
	}
	return nil
}

// steerTime is how long a folder may be busy before it takes what people said.
const steerTime = 20 * time.Second

// retune gives a running folder other rules, and remembers its filter when the index knows of the change.
func (fs *folders) retune(ctx context.Context, f *folder, r flowRules) {
	was := f.flow.Swap(&r)
	refiltered := !sameFilter(was.filter, r.filter)
	if refiltered {
		f.scanner.SetFilter(r.filter)
	}
	err := f.steer(ctx, replica.Ruled{Rules: f.rules(), Refiltered: refiltered})
	if err == nil {
		err = fs.remember(f, func(n *folderNote) { n.Filter = noteOf(r.filter) })
	}
	if err != nil {
		fs.m.log.Warn("folder did not take its new rules at once", "folder", f.spec.id, "err", err)
	}
}

// remember changes what is remembered of a folder.
func (fs *folders) remember(f *folder, change func(*folderNote)) error {
	if f.spec.id.Own() {
		return nil
	}
	fs.noting.Lock()
	defer fs.noting.Unlock()
	change(&f.note)
	return fs.m.paths.writeNote(f.spec.id, f.note)
}

// began remembers the filter under which the folder has begun.
func (fs *folders) began(f *folder) {
	fs.noting.Lock()
	other := f.before() != nil
	fs.noting.Unlock()
	if other {
		fs.retune(f.ctx, f, *f.flow.Load())
	}
}
