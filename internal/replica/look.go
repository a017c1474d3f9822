package replica

import (
	"context"
	"time"

	"tandem/internal/farm"
)

// Bounds of a job that looks at several paths, or makes several files.
const (
	atOnce       = 32
	answerWithin = 2 * time.Millisecond // what was seen is told before more is looked at
)

// gather adds a look to those that become one job, because they are in one directory; if it is in another, theirs begins.
func (r *Runner) gather(looks []Examine, e Examine) []Examine {
	if len(looks) > 0 && (len(looks) == atOnce || looks[0].Path.Parent() != e.Path.Parent()) {
		r.lookAt(looks)
		looks = nil
	}
	return append(looks, e)
}

// lookAt adds the job of looking at paths in one directory.
func (r *Runner) lookAt(looks []Examine) {
	if len(looks) == 0 {
		return
	}
	r.looks.add(func(ctx context.Context) {
		r.inbox.room(ctx)
		r.cfg.Transport.Room(ctx)
		var answers []Input
		begun := time.Now()
		r.cfg.Scanner.ExamineAll(ctx, looks, func(o Observed) {
			if answers = append(answers, o); time.Since(begun) > answerWithin {
				r.inbox.put(answers...)
				answers, begun = nil, time.Now()
			}
		}, r.lookAlone)
		r.inbox.put(answers...)
	})
}

// lookAlone adds the job of looking at something large.
func (r *Runner) lookAlone(e Examine) {
	r.looks.add(func(ctx context.Context) {
		seen, err := r.cfg.Scanner.Examine(ctx, e.Path, e.Prior)
		r.inbox.put(Observed{e.Path, seen, err})
	})
}

// collect adds a plan to those that become one job, because they make small files in one directory; if it is another
// kind of plan, or of another directory, theirs begins.
func (r *Runner) collect(plans []farm.Plan, plan farm.Plan) []farm.Plan {
	together := r.cfg.Installer.Together(plan)
	if len(plans) > 0 && (!together || len(plans) == atOnce || plans[0].Path.Parent() != plan.Path.Parent()) {
		r.makeAll(plans)
		plans = nil
	}
	if together {
		return append(plans, plan)
	}
	r.writes.add(func(ctx context.Context) {
		r.inbox.put(Installed{r.cfg.Installer.Install(ctx, plan, source{r, plan.Path})})
	})
	return plans
}

// makeAll adds the job of making small files in one directory.
func (r *Runner) makeAll(plans []farm.Plan) {
	if len(plans) == 0 {
		return
	}
	r.writes.add(func(ctx context.Context) {
		done := r.cfg.Installer.InstallAll(ctx, plans, func(p farm.Path) Source { return source{r, p} })
		answers := make([]Input, len(done))
		for i := range done {
			answers[i] = Installed{done[i]}
		}
		r.inbox.put(answers...)
	})
}
