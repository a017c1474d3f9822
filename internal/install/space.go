package install

import (
	"context"
	"errors"

	"tandem/internal/farm"
)

var errBelowFloor = errors.New("waiting for space: less than min_free would be left")

// Install brings the path of the plan from what the plan expects to what it wants. src may be nil. It does not sync.
//
// A plan that finds no room, on the disk or above the folder's floor, has what interrupted transfers of other contents have
// left removed, then preserved files that somebody wanted to go, the oldest first, and is tried again. Deletions are never
// refused: they make room.
func (k *Keeper) Install(ctx context.Context, plan farm.Plan, src Source) farm.Installed {
	if plan.Want.Type == farm.Absent || plan.Path.IsRoot() {
		return k.install(ctx, plan, src)
	}
	need := needs(plan)
	if err := k.room(plan.Want.Digest, need); err != nil {
		return fail(plan, err)
	}
	in := k.install(ctx, plan, src)
	if in.Outcome == farm.Failed && farm.KindOf(in.Err) == farm.Full && k.makeRoom(plan.Want.Digest, need) {
		return k.install(ctx, plan, src)
	}
	return in
}

// needs is about how many bytes a plan takes of the disk: attributes alone take none.
func needs(plan farm.Plan) int64 {
	if plan.Want.Type != farm.File || plan.Want.SameContent(plan.Expect.Attr) {
		return 0
	}
	return plan.Want.Size
}

// room refuses what would leave less free space than the folder's floor. own is the content that is to come.
func (k *Keeper) room(own farm.Digest, need int64) error {
	if k.cfg.MinFreeBytes == 0 {
		return nil
	}
	for {
		free, _, err := k.fs.Free()
		if err != nil {
			return nil // the write will tell
		}
		missing := k.cfg.MinFreeBytes + need - int64(min(free, 1<<62))
		if missing <= 0 {
			return nil
		}
		if !k.makeRoom(own, missing) {
			return &farm.Error{Op: "install", Kind: farm.Full, Next: "make room on the disk; it goes on by itself", Err: errBelowFloor}
		}
	}
}

// makeRoom removes what can be done without, of about that many bytes, and tells whether there was any. What a transfer of
// the content own would go on with stays.
func (k *Keeper) makeRoom(own farm.Digest, bytes int64) bool {
	return k.giveUpPartials(bytes, partialName(own)) || k.shrink(bytes)
}

// shrink removes preserved files of about that many bytes that somebody wanted to go, and tells whether there were any.
// What was lost without anybody's will stays.
func (k *Keeper) shrink(bytes int64) (removed bool) {
	s := k.kept
	s.mu.Lock()
	var list []*held
	for _, h := range s.order {
		if bytes <= 0 || len(list) == maxDrops {
			break
		}
		if !h.gone && h.Attr.Size > 0 && h.Reason.Meant() {
			bytes -= h.Attr.Size
			list = append(list, h)
		}
	}
	var gone []Preserved
	for _, h := range list {
		if s.remove(h) == nil {
			gone = append(gone, h.Preserved)
		}
	}
	s.mu.Unlock()
	for _, p := range gone {
		k.tell(&k.told.dropped, p, k.tellDropped)
	}
	return len(gone) > 0
}
