package member

import (
	"cmp"
	"context"
	"slices"
	"time"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
	"tandem/internal/reload"
)

// defaultTrial is how long a revision is tried if nobody says.
const defaultTrial = 30 * time.Second

// doubtAfter is how long an edge finds a canary failing before it has the farm go back: longer than a lost packet.
const doubtAfter = 3 * time.Second

// watcher implements reload.Watcher.
type watcher struct{ m *Member }

// Sample implements reload.Watcher.
func (w watcher) Sample() reload.Sample {
	s := reload.Sample{}
	s.Requests, s.Failures = w.m.web.Counts()
	switch {
	case w.m.own.get().Draining:
		s.Unfit = "its daemon was stopped"
	case w.m.config() != nil:
		s.Unfit = w.m.unfit()
	}
	return s
}

// Doubts implements reload.Watcher: an edge that sends the canary no visitors any more.
func (w watcher) Doubts(canary farm.MemberID, since time.Time) string {
	for _, n := range w.m.edge.Stats() {
		if n.Node == canary && healthState(n.State) == control.HealthFailing && n.Since.After(since) && time.Since(n.Since) >= doubtAfter {
			return "edge " + string(w.m.self) + " finds it failing: " + n.Cause
		}
	}
	return ""
}

// Sees implements reload.Watcher.
func (w watcher) Sees() (linked, all int) {
	c := w.m.config()
	if c == nil {
		return 1, 1
	}
	linked = 1
	for _, mem := range c.Members {
		if mem.Name != w.m.self && (w.m.links.up(mem.Name) || w.m.hears(mem.Name)) {
			linked++
		}
	}
	return linked, len(c.Members)
}

// hears tells whether a member that this one has no session with is heard of through one that it has a session with.
func (m *Member) hears(id farm.MemberID) bool {
	for _, to := range m.links.live() {
		if slices.Contains(m.links.get(to).state.Links, id) {
			return true
		}
	}
	return false
}

// stage is how an edit is to be tried; the zero Stage: it is not.
func (m *Member) stage(e control.ConfigEdit) (config.Stage, error) {
	fail := func(kind farm.Kind, format string, args ...any) (config.Stage, error) {
		return config.Stage{}, farm.Errorf("try configuration", string(e.Canary), kind, format, args...)
	}
	if e.Canary == "" {
		if e.ForMS != 0 {
			return fail(farm.Invalid, "there is no canary to try it on")
		}
		return config.Stage{}, nil
	}
	s := config.Stage{Canary: e.Canary, For: cmp.Or(time.Duration(e.ForMS)*time.Millisecond, defaultTrial)}
	c := m.config()
	if c == nil {
		return fail(farm.Unavailable, "the member is starting")
	}
	if _, known := c.Member(e.Canary); !known {
		return fail(farm.NotFound, "the farm has no member of that name")
	}
	if s.For < config.MinTrial || s.For > config.MaxTrial {
		return fail(farm.Invalid, "a trial takes %v to %v, not %v", config.MinTrial, config.MaxTrial, s.For)
	}
	if e.Canary != m.self && !m.links.up(e.Canary) && !m.hears(e.Canary) {
		return fail(farm.Unavailable, "it is not linked")
	}
	return s, nil
}

// endTrial takes back what is being tried; false: nothing is.
func (m *Member) endTrial(ctx context.Context) (control.ConfigApplied, bool, error) {
	t, was, err := m.reload.EndTrial(ctx)
	if !was || err != nil {
		return control.ConfigApplied{}, was, err
	}
	head := m.reload.Head()
	m.awaitVerdicts(ctx, head.Digest)
	return control.ConfigApplied{Check: control.ConfigCheck{OK: true, Revision: head.Digest.String(), Faults: config.Faults{}},
		Changed: true, Members: m.verdicts(head.Digest), Trial: m.trialOf(t)}, true, nil
}

// wantedOf is what a member should run while this one wants a revision: they differ while one is being tried.
func (m *Member) wantedOf(id farm.MemberID, wanted farm.Digest) farm.Digest {
	t := m.reload.Trial()
	switch {
	case t.Digest.IsZero() || wanted != t.Digest && wanted != t.Parents[0]:
		return wanted
	case id == t.Stage.Canary:
		return t.Digest
	}
	return t.Parents[0]
}

// trialOf says how a revision was tried; nil: it was for all at once.
func (m *Member) trialOf(r config.Revision) *control.ConfigTrial {
	if r.Stage.IsZero() {
		return nil
	}
	t := &control.ConfigTrial{Revision: r.Digest.String(), Canary: r.Stage.Canary, ForMS: r.Stage.For.Milliseconds(), Outcome: control.TrialRunning}
	for _, h := range m.reload.History() {
		if len(h.Parents) != 1 || h.Parents[0] != r.Digest || t.Outcome == control.TrialBack {
			continue
		}
		tried, err := m.reload.Revision(r.Digest)
		is, err2 := m.reload.Revision(h.Digest)
		if err != nil || err2 != nil {
			continue
		}
		t.Outcome, t.Why = control.TrialPassed, h.Message
		if len(config.Changes(tried.Files, is.Files)) > 0 {
			t.Outcome = control.TrialBack
		}
	}
	return t
}
