package replica

import (
	"context"

	"tandem/internal/farm"
)

// extraChunk is how many extra files are told to the machine at once.
const extraChunk = 512

// findExtras looks for extra files in the index and tells them to the machine, as fast as it deals with them.
func (r *Runner) findExtras(ctx context.Context) {
	var found []farm.Path
	flush := func() {
		if len(found) > 0 && r.roomForWork(ctx) {
			r.tell(ctx, Chosen{found})
		}
		found = nil
	}
	for rec, err := range r.cfg.Log.All(farm.Path{}) {
		if err != nil || ctx.Err() != nil {
			return
		}
		if !isExtra(rec) {
			continue
		}
		if found = append(found, rec.Path); len(found) == extraChunk {
			flush()
		}
	}
	flush()
}

// roomForWork waits until few paths are in work.
func (r *Runner) roomForWork(ctx context.Context) bool {
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if r.summary.Load().Waiting < workLimit/2 {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// Choose says what becomes of files that the farm does not know, of those found later in the seeding, too.
func (r *Runner) Choose(ctx context.Context, x farm.ExtraFiles) { r.tell(ctx, Choose{x}) }

// Extras yields extra files, in the order of the index, until yield returns false.
func (r *Runner) Extras(ctx context.Context, yield func(farm.Path, farm.Attr) bool) error {
	for rec, err := range r.cfg.Log.All(farm.Path{}) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if isExtra(rec) && !yield(rec.Path, rec.Disk.Attr) {
			return nil
		}
	}
	return nil
}
