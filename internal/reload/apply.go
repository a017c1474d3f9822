package reload

import (
	"context"
	"maps"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// Check is all that would refuse the files here: what Parse finds, and if that is nothing, what the parts find when they
// prepare. Warnings are among them. Nothing changes.
func (r *Reloader) Check(ctx context.Context, files map[string][]byte) config.Faults {
	r.mu.Lock()
	defer r.mu.Unlock()
	next, faults := config.Parse(files)
	if faults.Err() != nil {
		return faults
	}
	p, err := r.prepareAll(ctx, next)
	if err != nil {
		return append(faults, faultsOf(err)...)
	}
	p.discard()
	return append(faults, p.sites.All()...)
}

// Apply makes the files a revision whose parent is the head, live here when it returns, and on its way to the others. An
// empty message is made from what changes. Files that are the head's already make no revision. The error is of the kind
// Invalid, with config.Faults or config.SiteFaults, if the files do not check here; then nothing has changed.
func (r *Reloader) Apply(ctx context.Context, files map[string][]byte, message string) (config.Revision, error) {
	return r.Update(ctx, message, func(map[string][]byte) (map[string][]byte, error) { return files, nil })
}

// Update is Apply of what change makes of the head's files. No other edit comes in between. The map is change's own, the
// contents are not to be written to. An error of change is returned as it is.
func (r *Reloader) Update(ctx context.Context, message string, change func(files map[string][]byte) (map[string][]byte, error)) (config.Revision, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	r.advance(ctx)
	head := r.state.Load().head
	if head.Digest.IsZero() && !r.cfg.Found {
		return config.Revision{}, farm.Errorf("change configuration", "", farm.Unavailable, "no revision of the farm's configuration has arrived yet")
	}
	files := maps.Clone(head.Files)
	if files == nil {
		files = map[string][]byte{}
	}
	files, err := change(files)
	if err != nil {
		return config.Revision{}, err
	}
	// What Parse only warns of does not belong into a revision.
	files = maps.Clone(files)
	maps.DeleteFunc(files, func(name string, _ []byte) bool { return !config.IsShared(name) })
	if !head.Digest.IsZero() && sameFiles(files, head.Files) {
		return head, nil
	}
	var parents []farm.Digest
	if !head.Digest.IsZero() {
		parents = append(parents, head.Digest)
	}
	rev, p, err := r.check(ctx, nil, files, head.Files, parents, message)
	if err != nil {
		return config.Revision{}, err
	}
	r.enliven(ctx, rev, p)
	if r.follow(ctx) > 0 {
		r.Touched() // somebody is saving files at this moment: Run goes on
	}
	return rev, nil
}
