package reload

import (
	"context"
	"errors"
	"fmt"
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
	return r.Make(ctx, Edit{Message: message, Change: change})
}

// Edit is a change of the farm's configuration that somebody asks for.
type Edit struct {
	Message string
	Head    farm.Digest       // that the head must be, or the edit is refused with a Conflict; zero: any
	Adopt   []config.Revision // of elsewhere, to be kept in the history; the last of them is a parent, too
	Dry     bool              // only check it
	Stage   config.Stage      // on whom it is tried first

	// Change makes the new files of the head's. Nil: the text in the configuration directory is taken, without waiting for
	// it to be quiet; its parent is the revision that was there when it was typed, as with every edit there.
	Change func(files map[string][]byte) (map[string][]byte, error)
}

// Make is Apply with all that can be asked for. A revision that was only to be checked is not kept.
func (r *Reloader) Make(ctx context.Context, e Edit) (config.Revision, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	r.advance(ctx)
	head := r.state.Load().head
	if head.Digest.IsZero() && !r.cfg.Found {
		return config.Revision{}, farm.Errorf("change configuration", "", farm.Unavailable, "no revision of the farm's configuration has arrived yet")
	}
	if err := e.fits(head); err != nil {
		return config.Revision{}, err
	}
	if err := r.busy(); err != nil && !e.Dry {
		return config.Revision{}, err
	}
	var rev config.Revision
	var err error
	if e.Change == nil {
		rev, err = r.makeOfText(ctx, e)
	} else {
		rev, err = r.makeOfHead(ctx, e, head)
	}
	if err == nil && !e.Dry && r.follow(ctx) > 0 {
		r.Touched() // somebody is saving files at this moment: Run goes on
	}
	return rev, err
}

// fits tells whether the head is the one that whoever edits has looked at.
func (e Edit) fits(head config.Revision) error {
	if e.Head.IsZero() || e.Head == head.Digest {
		return nil
	}
	return &farm.Error{Op: "change configuration", Kind: farm.Conflict, Next: "look at it with: tandem config diff " + e.Head.Short() + " head",
		Err: fmt.Errorf("the farm's revision is %s of %s, not %s", head.Digest.Short(), head.Author, e.Head.Short())}
}

func (r *Reloader) makeOfHead(ctx context.Context, e Edit, head config.Revision) (config.Revision, error) {
	files := maps.Clone(head.Files)
	if files == nil {
		files = map[string][]byte{}
	}
	files, err := e.Change(files)
	if err != nil {
		return config.Revision{}, err
	}
	// What Parse only warns of does not belong into a revision.
	files = maps.Clone(files)
	maps.DeleteFunc(files, func(name string, _ []byte) bool { return !config.IsShared(name) })
	parents := r.unknown(e.Adopt)
	if !head.Digest.IsZero() && sameFiles(files, head.Files) && len(parents) == 0 {
		return head, nil
	}
	if !head.Digest.IsZero() {
		parents = append(parents, head.Digest)
	}
	rev, p, err := r.verify(ctx, nil, files, head.Files, parents, e.Message)
	if err == nil && !e.Stage.IsZero() {
		rev, err = config.NewStaged(parents, rev.Author, rev.Time, rev.Message, rev.Files, e.Stage)
		if err != nil {
			p.discard()
		}
	}
	if err != nil {
		return config.Revision{}, err
	}
	if e.Dry {
		p.discard()
		return rev, nil
	}
	if err := r.keep(rev, p); err != nil {
		return config.Revision{}, err
	}
	// Their descendant comes first, so that none of them is ever taken for a head.
	for _, adopted := range e.Adopt {
		if err := r.store.write(adopted); err != nil {
			r.cfg.Log.Warn("a revision can't be adopted", "revision", adopted.Digest.Short(), "err", err)
		}
	}
	r.enliven(ctx, rev, p)
	return rev, nil
}

// unknown is the last of the revisions, if it is none of the farm's.
func (r *Reloader) unknown(adopt []config.Revision) []farm.Digest {
	if len(adopt) == 0 {
		return nil
	}
	last := adopt[len(adopt)-1]
	if _, known := r.store.headers[last.Digest]; known {
		return nil
	}
	return []farm.Digest{last.Digest}
}

func (r *Reloader) makeOfText(ctx context.Context, e Edit) (config.Revision, error) {
	is, err := r.dir.read()
	if err != nil {
		return config.Revision{}, &farm.Error{Op: "read configuration", Path: r.cfg.ConfigDir, Kind: farm.Unavailable, Err: err}
	}
	if e.Dry {
		rev, p, err := r.verify(ctx, is.faults, is.files, r.written.Files, nil, e.Message)
		if err == nil {
			p.discard()
		}
		return rev, err
	}
	if !e.Stage.IsZero() {
		return r.tryText(ctx, e, is)
	}
	r.settle = settling{}
	if len(is.faults) == 0 && r.isOurs(is.files) {
		r.take(ctx, is)
		return r.state.Load().head, nil
	}
	return r.commitText(ctx, is, e.Message)
}

// tryText tries what stands in the configuration directory on a canary. Only where texts wait there anyway: otherwise the
// text would go live at once, before the trial or after it failed.
func (r *Reloader) tryText(ctx context.Context, e Edit, is snapshot) (config.Revision, error) {
	s := r.state.Load()
	if s.config == nil || s.config.Farm.AutoCommit {
		return config.Revision{}, &farm.Error{Op: "change configuration", Kind: farm.Invalid, Next: "name a directory or files, or set auto_commit = false in farm.toml",
			Err: errors.New("what is saved in the configuration directory goes live by itself and can't be tried first")}
	}
	if err := is.faults.Err(); err != nil {
		return config.Revision{}, err
	}
	if r.written.Digest != s.head.Digest {
		return config.Revision{}, farm.Errorf("change configuration", "", farm.Conflict, "the configuration directory is not as in the head yet")
	}
	e.Change = func(map[string][]byte) (map[string][]byte, error) { return is.files, nil }
	return r.makeOfHead(ctx, e, s.head)
}

// Text is what stands in the configuration directory now.
func (r *Reloader) Text() (map[string][]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	is, err := r.dir.read()
	if err == nil {
		err = is.faults.Err()
	}
	return is.files, err
}
