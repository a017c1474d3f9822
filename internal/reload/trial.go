package reload

import (
	"context"
	"fmt"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// watched is a trial that this member knows of.
type watched struct {
	seen, lived time.Time
	start       Sample
	sites       map[string]string // that were refused here before
	before      float64
}

// Trial is the revision that is being tried somewhere in the farm, without its files; without a digest: none.
func (r *Reloader) Trial() config.Revision { return r.state.Load().trial }

// plan is the head that is for all, and what this member is to run: the same, unless it is a canary. Trials of its own
// that can't be held any more are taken back.
func (r *Reloader) plan() (config.Revision, error) {
	for {
		head, err := r.mergeHeads()
		if err != nil || head.Digest.IsZero() {
			return head, err
		}
		_, tried := config.Trials(r.store.all())
		run, back := config.Trial(tried, head.Digest, r.cfg.Self)
		if len(back) == 0 {
			r.noteTrials(tried)
			if !run.Digest.IsZero() {
				return run, nil
			}
			return head, nil
		}
		for _, b := range back {
			if err := r.takeBack(b, "revision "+head.Digest.Short()+" of "+string(head.Author)+" came in between"); err != nil {
				return head, err
			}
		}
	}
}

// noteTrials remembers since when each trial is known, and forgets those that are decided.
func (r *Reloader) noteTrials(tried []config.Revision) {
	was := r.trials
	r.trials = make(map[farm.Digest]*watched, len(tried))
	var first config.Revision
	for i, t := range tried {
		if i == 0 {
			first = t
		}
		w := was[t.Digest]
		if w == nil {
			w = &watched{seen: r.cfg.Now(), sites: r.state.Load().verdict.Sites, before: r.failing()}
			r.event(farm.EventConfigCanary, farm.Info, t.Digest.Short(), "", trialFields(t, "tried"),
				"revision %s of %s is tried on %s for %v", t.Digest.Short(), t.Author, t.Stage.Canary, t.Stage.For)
		}
		r.trials[t.Digest] = w
	}
	if first.Digest != r.state.Load().trial.Digest {
		r.publish(func(s *state) { s.trial = first })
	}
}

func trialFields(t config.Revision, outcome string) map[string]string {
	return map[string]string{"revision": t.Digest.String(), "canary": string(t.Stage.Canary), "outcome": outcome}
}

// watchTrials judges what is tried, and returns after how long to look again; 0: nothing is tried.
func (r *Reloader) watchTrials(ctx context.Context) time.Duration {
	if len(r.trials) == 0 {
		r.remember()
		return 0
	}
	_, tried := config.Trials(r.store.all())
	decided := false
	for _, t := range tried {
		w := r.trials[t.Digest]
		if w == nil {
			continue
		}
		outcome, why := r.observe(t, w).judge()
		var err error
		switch outcome {
		case Passed:
			err = r.pass(t)
		case Failed:
			err = r.takeBack(t, why)
		}
		if err != nil {
			r.cfg.Log.Error("a trial can't be ended", "revision", t.Digest.Short(), "err", err)
			continue
		}
		decided = decided || outcome != Undecided
	}
	if decided {
		r.advance(ctx)
	}
	return trialLook
}

// observe is what this member sees of a trial now.
func (r *Reloader) observe(t config.Revision, w *watched) trial {
	now, s := r.cfg.Now(), r.state.Load()
	is := trial{canary: t.Stage.Canary == r.cfg.Self, length: t.Stage.For, seen: now.Sub(w.seen), before: w.before, linked: 1, all: 1}
	if r.cfg.Watch != nil {
		is.linked, is.all = r.cfg.Watch.Sees()
	}
	if !is.canary {
		if r.cfg.Watch != nil {
			is.doubts = r.cfg.Watch.Doubts(t.Stage.Canary, w.seen)
		}
		return is
	}
	switch {
	case s.live.Digest != t.Digest && s.head.Digest == t.Digest && len(s.verdict.Faults) > 0:
		is.refused = "it does not come to life there: " + s.verdict.Faults[0]
	case s.live.Digest != t.Digest:
		return is
	}
	if w.lived.IsZero() {
		w.lived, w.start = now, r.sample()
	}
	for _, file := range sortedKeys(s.verdict.Sites) {
		if _, before := w.sites[file]; !before && is.refused == "" {
			is.refused = "a site is refused there: " + s.verdict.Sites[file]
		}
	}
	sample := r.sample()
	is.lived = max(now.Sub(w.lived), time.Nanosecond)
	is.requests, is.failures, is.unfit = sample.Requests-w.start.Requests, sample.Failures-w.start.Failures, sample.Unfit
	return is
}

func (r *Reloader) sample() Sample {
	if r.cfg.Watch == nil {
		return Sample{}
	}
	return r.cfg.Watch.Sample()
}

// remember notes how the sites fare while nothing is tried.
func (r *Reloader) remember() {
	now := r.cfg.Now()
	if now.Sub(r.sampled) < pollTime {
		return
	}
	r.sampled = now
	r.samples = append(r.samples, r.sample())
	if len(r.samples) > beforeLooks {
		r.samples = r.samples[1:]
	}
}

// failing is the share of requests that failed lately.
func (r *Reloader) failing() float64 {
	if len(r.samples) == 0 {
		return 0
	}
	is, was := r.sample(), r.samples[0]
	if is.Requests == was.Requests {
		return 0
	}
	return float64(is.Failures-was.Failures) / float64(is.Requests-was.Requests)
}

// pass lets all run what was tried.
func (r *Reloader) pass(t config.Revision) error {
	full, err := r.store.load(t.Digest)
	if err != nil {
		return err
	}
	return r.decide(t, full.Files, fmt.Sprintf("canary %s passed: %s", t.Stage.Canary, t.Message))
}

// takeBack has all go on with what was before the trial.
func (r *Reloader) takeBack(t config.Revision, why string) error {
	before, err := r.store.load(t.Parents[0])
	if err != nil {
		return err
	}
	return r.decide(t, before.Files, fmt.Sprintf("canary %s taken back: %s", t.Stage.Canary, why))
}

// decide ends a trial by a child of it.
func (r *Reloader) decide(t config.Revision, files map[string][]byte, message string) error {
	rev, err := config.NewRevision([]farm.Digest{t.Digest}, r.cfg.Self, r.now(), config.CleanMessage(message), files)
	if err == nil {
		err = r.store.write(rev)
	}
	if err == nil {
		r.reportTrial(rev.Header())
	}
	return err
}

// reportTrial tells of a decision that is new here, whoever made it.
func (r *Reloader) reportTrial(rev config.Revision) {
	if len(rev.Parents) != 1 {
		return
	}
	t, known := r.store.headers[rev.Parents[0]]
	if !known || t.Stage.IsZero() {
		return
	}
	tried, err := r.store.load(t.Digest)
	if err != nil {
		return
	}
	is, err := r.store.load(rev.Digest)
	if err != nil {
		return
	}
	severity, outcome, next := farm.Info, "passed", ""
	if !sameFiles(is.Files, tried.Files) {
		severity, outcome, next = farm.Warning, "taken back", "see what it was with: tandem config show "+t.Digest.Short()
	}
	r.event(farm.EventConfigCanary, severity, t.Digest.Short(), next, trialFields(t, outcome), "%s", rev.Message)
}

// busy is why nobody can make another revision now: one is being tried.
func (r *Reloader) busy() error {
	t := r.state.Load().trial
	if t.Digest.IsZero() {
		return nil
	}
	return &farm.Error{Op: "change configuration", Kind: farm.Conflict, Next: "wait for it, or end it with: tandem config rollback",
		Err: fmt.Errorf("revision %s of %s is being tried on %s for %v", t.Digest.Short(), t.Author, t.Stage.Canary, t.Stage.For)}
}

// EndTrial takes back what is being tried; false: nothing is.
func (r *Reloader) EndTrial(ctx context.Context) (config.Revision, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	r.advance(ctx)
	t := r.state.Load().trial
	if t.Digest.IsZero() {
		return t, false, nil
	}
	err := r.takeBack(t, "on demand, by "+string(r.cfg.Self))
	if err == nil {
		r.advance(ctx)
		r.Touched()
	}
	return t, true, err
}
