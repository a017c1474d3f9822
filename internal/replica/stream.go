package replica

import (
	"context"

	"tandem/internal/farm"
)

// stream sends a peer all that it does not know. A newer question replaces an older one.
//
// Invariant: what this member writes after the question is pushed, and is not part of the answer: it would go twice.
func (r *Runner) stream(ctx context.Context, e Stream) {
	r.hangUp(e.To)
	ctx, cancel := context.WithCancel(ctx)
	r.mu.Lock()
	r.streams[e.To] = cancel
	r.mu.Unlock()
	r.cfg.Transport.CatchUp(e.To)
	self := r.machine.Actor()
	a := answer{r: r, Stream: e, pushed: farm.Position{Actor: self, Seq: e.Upto.At(self)}}
	r.group.Go(func() {
		defer cancel()
		if err := a.give(ctx); err != nil && ctx.Err() == nil {
			r.cfg.Logger.Warn("catch-up ended early", "folder", r.cfg.Folder, "to", e.To, "err", err)
		}
	})
}

// hangUp ends what is being streamed to a peer: it has asked anew, or is gone. Nothing of it may end up in a later session,
// least of all its end.
func (r *Runner) hangUp(peer farm.MemberID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if cancel := r.streams[peer]; cancel != nil {
		cancel()
		delete(r.streams, peer)
	}
}

// answer is what a peer gets that has asked.
type answer struct {
	r *Runner
	Stream
	pushed  farm.Position // what we have written after it is pushed
	skipped bool          // there was some of that

	frame []farm.Change
	bytes int
}

func (a *answer) give(ctx context.Context) error {
	err := a.all(ctx, func(rec farm.Record, k farm.Entry) (farm.Change, bool) {
		dot := k.Version.Dot
		if a.Known.Covers(dot) {
			return farm.Change{}, false
		}
		if a.isPushed(dot) {
			a.skipped = true
			return farm.Change{}, false
		}
		if a.Bare {
			return farm.Change{Entry: k}, true
		}
		return farm.Change{Entry: k, Content: a.r.small(ctx, rec, k)}, true
	})
	// One that was skipped may stand in the place of one that was asked for: before the peer hears that it has all, it must
	// have those. What got lost comes with its content, what is on its way without.
	if first, behind := a.r.cfg.Transport.Behind(a.To, a.pushed.Actor); err == nil && a.skipped && behind {
		err = a.all(ctx, func(rec farm.Record, k farm.Entry) (farm.Change, bool) {
			c, dot := farm.Change{Entry: k}, k.Version.Dot
			if !a.isPushed(dot) {
				return c, false
			}
			if first > 0 && dot.Seq >= first && !a.Bare {
				c.Content = a.r.small(ctx, rec, k)
			}
			return c, true
		})
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	return a.r.cfg.Transport.Had(ctx, a.To, a.Upto)
}

func (a *answer) isPushed(dot farm.Position) bool {
	return dot.Actor == a.pushed.Actor && dot.Seq > a.pushed.Seq
}

// all sends what choose makes of the entries of the index.
func (a *answer) all(ctx context.Context, choose func(farm.Record, farm.Entry) (farm.Change, bool)) error {
	for rec, err := range a.r.cfg.Log.All(farm.Path{}) {
		if err != nil {
			return err
		}
		for _, k := range rec.Known {
			c, ok := choose(rec, k)
			if !ok {
				continue
			}
			a.frame = append(a.frame, c)
			a.bytes += len(c.Content)
			if len(a.frame) < streamChanges && a.bytes < streamBytes {
				continue
			}
			if err := a.flush(ctx); err != nil {
				return err
			}
		}
	}
	return a.flush(ctx)
}

func (a *answer) flush(ctx context.Context) error {
	if len(a.frame) == 0 {
		return nil
	}
	err := a.r.cfg.Transport.Send(ctx, a.To, a.frame)
	a.frame, a.bytes = nil, 0
	return err
}
