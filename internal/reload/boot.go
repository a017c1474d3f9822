package reload

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// Names of the files in the state directory. Each holds a whole revision.
const (
	liveFile    = "live" + config.RevisionSuffix    // the last good one
	writtenFile = "written" + config.RevisionSuffix // the one whose files were last in the configuration directory
)

// Boot makes a revision live before anything else runs: the head; if it does not come to life here, the last good one,
// which needs neither peers nor the folder .farm; on a member without any revision, the configuration directory as it
// stands becomes the first. Its error says why nothing is live; Run goes on trying. Only the first call does anything.
func (r *Reloader) Boot(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.booted {
		return nil
	}
	defer func() { r.booted = true }()
	for _, dir := range []string{r.cfg.ConfigDir, filepath.Join(r.cfg.ConfigDir, config.SitesDir), r.cfg.RevisionDir, r.cfg.StateDir} {
		if err := os.MkdirAll(dir, dirMode); err != nil {
			return &farm.Error{Op: "boot configuration", Path: dir, Kind: farm.Unavailable, Err: err}
		}
	}
	r.removeTemps()
	live := r.recall(liveFile)
	r.written = r.recall(writtenFile)
	r.store.pinned = live
	r.clock.Observe(live.Time)
	r.refresh()
	is, err := r.dir.read()
	if err != nil {
		return &farm.Error{Op: "boot configuration", Path: r.cfg.ConfigDir, Kind: farm.Unavailable, Err: err}
	}
	if len(r.store.all()) == 0 {
		return r.begin(ctx, is)
	}
	r.endInterrupted(live)
	r.advance(ctx)
	if r.state.Load().live.Digest.IsZero() {
		r.fallBack(ctx, live)
	}
	r.know(is)
	if r.state.Load().live.Digest.IsZero() {
		return &farm.Error{Op: "boot configuration", Kind: farm.Invalid, Err: errors.New(strings.Join(r.state.Load().verdict.Faults, "\n"))}
	}
	return nil
}

// endInterrupted takes back what was being tried here when the daemon ended: it may have been the reason.
func (r *Reloader) endInterrupted(live config.Revision) {
	_, tried := config.Trials(r.store.all())
	for _, t := range tried {
		if t.Digest != live.Digest {
			continue
		}
		if err := r.takeBack(t, "the daemon was started anew in the middle"); err != nil {
			r.cfg.Log.Error("a trial can't be ended", "revision", t.Digest.Short(), "err", err)
		}
	}
}

// begin makes the first revision of the farm, if this member may.
func (r *Reloader) begin(ctx context.Context, is snapshot) error {
	if !r.cfg.Found {
		r.handled = is
		return farm.Errorf("boot configuration", r.cfg.RevisionDir, farm.Unavailable, "no revision of the farm's configuration has arrived yet")
	}
	if len(is.files) == 0 {
		return farm.Errorf("boot configuration", r.cfg.ConfigDir, farm.NotFound, "there is no %s and no revision", config.FarmFile)
	}
	r.edit(ctx, is)
	if r.state.Load().live.Digest.IsZero() {
		return cmp.Or[error](r.state.Load().refused.Err(), farm.Errorf("boot configuration", r.cfg.ConfigDir, farm.Unavailable, "the first revision could not be kept"))
	}
	return nil
}

// fallBack makes the last good revision live while the head is refused.
func (r *Reloader) fallBack(ctx context.Context, live config.Revision) {
	s := r.state.Load()
	if live.Digest.IsZero() || live.Digest == s.head.Digest {
		return
	}
	next, faults := live.Config()
	if faults.Err() != nil {
		r.cfg.Log.Error("the last good revision does not check any more", "err", faults.Err())
		return
	}
	p, err := r.prepareAll(ctx, next)
	if err != nil {
		r.cfg.Log.Error("the last good revision does not come to life", "err", err)
		return
	}
	retry := r.retry
	r.commit(live, p)
	r.retry = retry
	r.publish(func(now *state) { now.verdict.Wanted, now.verdict.Faults = s.verdict.Wanted, s.verdict.Faults })
}

// know finds out what the configuration directory was made from, so that an edit that was typed while the member was
// down is seen as one.
func (r *Reloader) know(is snapshot) {
	if len(is.files) == 0 {
		// A new member, or a directory that was lost as a whole: nobody edits farm.toml away.
		r.written, r.handled = config.Revision{}, is
		return
	}
	if r.written.Digest.IsZero() {
		for _, header := range r.store.all() {
			if rev, err := r.store.load(header.Digest); err == nil && sameFiles(rev.Files, is.files) {
				r.written = rev
				r.keepWritten()
				break
			}
		}
	}
	if r.written.Digest.IsZero() {
		r.handled = is
		return
	}
	// Without what is known of the files as such: then each difference is given the longer time to settle.
	r.handled = snapshot{files: r.written.Files}
}

// keepWritten remembers, for the next boot, which revision's files are in the configuration directory.
func (r *Reloader) keepWritten() {
	if err := writeAtomic(r.cfg.StateDir, filepath.Join(r.cfg.StateDir, writtenFile), r.written.Encode()); err != nil {
		r.cfg.Log.Error("what was written can't be remembered", "err", err)
	}
}

// keepLive remembers the last good revision.
func (r *Reloader) keepLive(rev config.Revision) error {
	r.store.pinned = rev
	return writeAtomic(r.cfg.StateDir, filepath.Join(r.cfg.StateDir, liveFile), rev.Encode())
}

// recall reads a revision from the state directory; one without a digest if there is none.
func (r *Reloader) recall(name string) config.Revision {
	rev, err := readRevision(filepath.Join(r.cfg.StateDir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.cfg.Log.Error("a revision in the state directory can't be read", "file", name, "err", err)
	}
	return rev
}

// removeTemps removes what a crash in the middle of a write left behind.
func (r *Reloader) removeTemps() {
	for _, dir := range []string{r.cfg.StateDir, r.cfg.ConfigDir, filepath.Join(r.cfg.ConfigDir, config.SitesDir), filepath.Join(r.cfg.RevisionDir, farm.PrivateDir)} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), tempPrefix) && strings.HasSuffix(e.Name(), tempSuffix) {
				if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
					r.cfg.Log.Warn("a temporary file can't be removed", "file", e.Name(), "err", err)
				}
			}
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
