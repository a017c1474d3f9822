package replica

import (
	"context"
	"time"
)

// Bounds of a job that looks at several paths.
const (
	looksAtOnce  = 32
	answerWithin = 2 * time.Millisecond // what was seen is told before more is looked at
)

// gather adds a look to those that become one job, because they are in one directory; if it is in another, theirs begins.
func (r *Runner) gather(looks []Examine, e Examine) []Examine {
	if len(looks) > 0 && (len(looks) == looksAtOnce || looks[0].Path.Parent() != e.Path.Parent()) {
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
