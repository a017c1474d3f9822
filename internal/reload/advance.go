package reload

import (
	"context"
	"errors"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// refresh takes note of the revisions that came and went.
func (r *Reloader) refresh() {
	fresh, bad, err := r.store.refresh()
	if err != nil {
		r.cfg.Log.Warn("revisions can't be read", "err", err)
	}
	for _, b := range bad {
		next := "it is ignored; remove the file if it stays"
		if farm.KindOf(b.err) == farm.Unsupported {
			next = "update this member"
		}
		r.event(farm.EventRevisionCorrupt, farm.Fault, b.name, next, nil, "the file holds no revision that can be read: %v", b.err)
	}
	for _, rev := range fresh {
		r.clock.Observe(rev.Time)
		if r.booted {
			r.reportMerge(rev)
			r.reportTrial(rev)
		}
	}
}

// advance brings the head to life: the only revision that nobody descends from, or the merge of all; on a canary, what
// it has to try.
func (r *Reloader) advance(ctx context.Context) {
	defer r.tidy()
	head, err := r.plan()
	if err != nil {
		r.cfg.Log.Error("revisions can't be merged", "err", err)
		return
	}
	now := r.state.Load()
	again := r.again.Swap(false) || r.retry.due(r.cfg.Now())
	if head.Digest.IsZero() || head.Digest == now.head.Digest && !again {
		return
	}
	if head, err = r.store.load(head.Digest); err != nil {
		r.cfg.Log.Error("the head can't be read", "err", err)
		return
	}
	if err := r.store.write(head); err != nil { // it is there, unless it is the last good one and its file was lost
		r.cfg.Log.Error("the head can't be put back into the folder", "err", err)
	}
	r.setHead(head)
	r.try(ctx, head)
}

// mergeHeads merges until one head is left, and returns its header; without a digest: there is no revision at all. All
// members that have the same revisions merge the same, in the same order, and write files that are the same.
//
// Revisions arrive in any order, each as a file of its own. While it is not known whether heads descend from each other, because a parent
// has not come yet, the latest is the head.
func (r *Reloader) mergeHeads() (config.Revision, error) {
	for {
		all, _ := config.Trials(r.store.all())
		heads := config.Heads(all)
		switch len(heads) {
		case 0:
			return config.Revision{}, nil
		case 1:
			r.gap = time.Time{}
			return heads[0], nil
		}
		if r.awaitsParents(heads[0]) {
			return heads[len(heads)-1], nil
		}
		merged, _, err := r.merge(all, heads[0].Digest, heads[1].Digest)
		if err != nil {
			return config.Revision{}, err
		}
		if err := r.store.write(merged); err != nil {
			return config.Revision{}, err
		}
		r.clock.Observe(merged.Time)
		r.reportMerge(merged.Header())
	}
}

// awaitsParents tells whether it is worth waiting for revisions that are missing between the head and later ones.
func (r *Reloader) awaitsParents(head config.Revision) bool {
	if !config.Gap(r.store.all(), head, historySize) {
		r.gap = time.Time{}
		return false
	}
	if r.gap.IsZero() {
		r.gap = r.cfg.Now()
	}
	return r.cfg.Now().Sub(r.gap) < gapTime
}

func (r *Reloader) merge(all []config.Revision, a, b farm.Digest) (config.Revision, []config.Conflict, error) {
	var base config.Revision
	var errs [3]error
	if d, ok := config.CommonAncestor(all, a, b); ok {
		base, errs[0] = r.store.load(d)
	}
	ra, err := r.store.load(a)
	errs[1] = err
	rb, err := r.store.load(b)
	errs[2] = err
	if err := errors.Join(errs[:]...); err != nil {
		return config.Revision{}, nil, err
	}
	merged, conflicts := config.Merge(base, ra, rb)
	return merged, conflicts, nil
}

// reportMerge tells of a merge that is new here, whoever wrote it first, so that both authors hear of their conflicts.
func (r *Reloader) reportMerge(rev config.Revision) {
	if len(rev.Parents) < 2 {
		return
	}
	merged, conflicts, err := r.merge(r.store.all(), rev.Parents[0], rev.Parents[1])
	if err != nil || merged.Digest != rev.Digest {
		return // its parents are gone or not here yet; it still goes live, there is only less to tell
	}
	r.event(farm.EventConfigMerged, farm.Info, rev.Digest.Short(), "", map[string]string{
		"revision": rev.Digest.String(), "parents": rev.Parents[0].String() + " " + rev.Parents[1].String(),
	}, "concurrent edits became revision %s", rev.Digest.Short())
	for _, c := range conflicts {
		subject := c.File
		if c.Table != "" {
			subject += " [" + c.Table + "]"
		}
		r.event(farm.EventConfigConflict, farm.Warning, subject, "see the other edit with: tandem config show "+c.Loser.Digest.Short()+" "+c.File, map[string]string{
			"revision": rev.Digest.String(), "winner": c.Winner.Digest.String(), "loser": c.Loser.Digest.String(),
			"winner_author": string(c.Winner.Author), "loser_author": string(c.Loser.Author),
		}, "%s and %s both changed %s: that of %s wins", c.Winner.Author, c.Loser.Author, subject, c.Winner.Author)
	}
}

// try prepares and commits the head; if that fails, what is live goes on.
func (r *Reloader) try(ctx context.Context, head config.Revision) {
	next, faults := head.Config()
	err := faults.Err()
	var p *prepared
	if err == nil {
		p, err = r.prepareAll(ctx, next)
	}
	if err != nil {
		r.fail(head, faultsOf(err))
		return
	}
	r.heal(farm.EventConfigRefused, &r.failed, "revision %s is live", head.Digest.Short())
	r.commit(head, p)
}

// fail records that the head does not come to life here.
func (r *Reloader) fail(head config.Revision, faults config.Faults) {
	r.retry.again(r.cfg.Now())
	r.publish(func(s *state) {
		s.verdict.Wanted = head.Digest
		s.verdict.Faults = nil
		for _, f := range faults {
			s.verdict.Faults = append(s.verdict.Faults, f.String())
		}
	})
	subject := head.Digest.Short()
	if r.failed.subject == subject && r.failed.faults.Error() == faults.Error() {
		return
	}
	if r.failed.subject != subject {
		r.heal(farm.EventConfigRefused, &r.failed, "revision %s took its place", subject)
	}
	r.failed = refusal{subject, faults}
	r.event(farm.EventConfigRefused, farm.Fault, subject, "it is tried again; what was live goes on", map[string]string{
		"revision": head.Digest.String(), "author": string(head.Author), "faults": faults.Error(),
	}, "revision %s of %s does not come to life here: %s", subject, head.Author, brief(faults))
}

func (r *Reloader) setHead(head config.Revision) {
	if head.Digest != r.state.Load().head.Digest {
		r.retry = backoff{}
	}
	r.publish(func(s *state) {
		s.head = head
		s.verdict.Wanted = head.Digest
	})
}
