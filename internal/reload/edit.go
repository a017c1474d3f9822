package reload

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// look reads the configuration directory and takes what was saved there. It returns after how long to look again while
// it is being changed; 0: it is not.
func (r *Reloader) look(ctx context.Context) time.Duration {
	is, err := r.dir.read()
	if err != nil {
		r.cfg.Log.Warn("the configuration directory can't be read", "path", r.cfg.ConfigDir, "err", err)
		return 0
	}
	if is.same(r.handled) {
		r.settle = settling{}
		r.handled = is // its files may be others with the same content
		return 0
	}
	if wait := r.settle.wait(r.handled, is, r.cfg.Now()); wait > 0 {
		return min(wait, lookTime)
	}
	r.settle = settling{}
	r.take(ctx, is)
	return 0
}

// take decides what a saved text is.
func (r *Reloader) take(ctx context.Context, is snapshot) {
	if len(is.faults) == 0 && r.isOurs(is.files) {
		// Either it was changed back, or we were stopped while writing the head: then show writes the rest.
		r.handled = is
		r.heal(farm.EventConfigRefused, &r.refused, "the configuration directory is as revision %s", r.written.Digest.Short())
		r.publish(func(s *state) { s.refused = nil })
		return
	}
	if r.written.Digest.IsZero() && len(r.store.all()) > 0 {
		// Nobody knows what this directory was made from, so nobody can say what was edited in it: show keeps the texts.
		r.handled = is
		return
	}
	if names := r.dir.ignored(); len(names) > 0 {
		r.cfg.Log.Warn("files are ignored because of their names", "files", strings.Join(names, " "))
	}
	if r.written.Digest.IsZero() && !r.cfg.Found {
		r.handled = is
		return
	}
	r.takeText(ctx, is)
}

// takeText makes a revision of a text, or leaves it where it is while texts wait.
func (r *Reloader) takeText(ctx context.Context, is snapshot) {
	if r.holds() {
		r.handled, r.held = is, true
		return
	}
	r.edit(ctx, is)
}

// holds tells whether texts in the configuration directory wait for somebody who applies them.
func (r *Reloader) holds() bool {
	c := r.state.Load().config
	tried := !r.state.Load().trial.Digest.IsZero()
	return c != nil && (tried || !c.Farm.AutoCommit) && !r.written.Digest.IsZero()
}

// release looks at the texts that waited again, once they need not wait.
func (r *Reloader) release() {
	if r.held && !r.holds() {
		r.held = false
		r.handled = snapshot{files: r.written.Files}
	}
}

// noteEdits publishes what waits.
func (r *Reloader) noteEdits() {
	var edits []config.FileChange
	if r.held {
		edits = config.Changes(r.written.Files, r.handled.files)
	}
	if !slices.Equal(edits, r.state.Load().edits) {
		r.publish(func(s *state) { s.edits, s.verdict.Edits = edits, len(edits) })
	}
}

// isOurs tells whether each file is as in the revision that was written last, or as in the head.
func (r *Reloader) isOurs(files map[string][]byte) bool {
	if r.written.Digest.IsZero() {
		return false
	}
	head := r.state.Load().head.Files
	for name := range union(files, r.written.Files, head) {
		is := contentOf(files, name)
		if !is.same(contentOf(r.written.Files, name)) && !is.same(contentOf(head, name)) {
			return false
		}
	}
	return true
}

// edit makes a revision of a text in the configuration directory, if it is good.
func (r *Reloader) edit(ctx context.Context, is snapshot) {
	_, err := r.commitText(ctx, is, "")
	if err == nil {
		return
	}
	if farm.KindOf(err) != farm.Unavailable { // else it is not handled: the next look tries again
		r.handled = is
	}
	r.refuse(faultsOf(err))
}

// commitText makes a revision of a text in the configuration directory. If it is no good nothing changes.
func (r *Reloader) commitText(ctx context.Context, is snapshot, message string) (config.Revision, error) {
	base := r.written
	if base.Digest.IsZero() {
		base = r.state.Load().head
	}
	var parents []farm.Digest
	if !base.Digest.IsZero() {
		parents = append(parents, base.Digest)
	}
	rev, p, err := r.check(ctx, is.faults, is.files, base.Files, parents, message)
	if err != nil {
		return config.Revision{}, err
	}
	r.handled, r.written, r.held = is, rev, false
	r.heal(farm.EventConfigRefused, &r.refused, "the configuration checks now")
	r.publish(func(s *state) { s.refused = nil })
	r.enliven(ctx, rev, p)
	r.keepWritten() // not before it is live: that comes first
	return rev, nil
}

// check makes a revision of files and prepares it. If the error is nil, the revision is in the store, and what was
// prepared must be given to enliven.
func (r *Reloader) check(ctx context.Context, faults config.Faults, files, was map[string][]byte, parents []farm.Digest, message string) (config.Revision, *prepared, error) {
	rev, p, err := r.verify(ctx, faults, files, was, parents, message)
	if err == nil {
		err = r.keep(rev, p)
	}
	if err != nil {
		return config.Revision{}, nil, err
	}
	return rev, p, nil
}

// keep puts a revision that was prepared into the store; if that fails, nothing is left of it.
func (r *Reloader) keep(rev config.Revision, p *prepared) error {
	err := r.store.write(rev)
	if err != nil {
		p.discard()
	}
	return err
}

// verify makes a revision of files and prepares it; nothing is kept. If the error is nil, what was prepared must be
// committed or discarded.
func (r *Reloader) verify(ctx context.Context, faults config.Faults, files, was map[string][]byte, parents []farm.Digest, message string) (config.Revision, *prepared, error) {
	next, more := config.Parse(files)
	if err := append(slices.Clone(faults), more...).Err(); err != nil {
		return config.Revision{}, nil, err
	}
	for _, w := range more.Warnings() {
		r.cfg.Log.Warn("configuration", "warning", w.String())
	}
	if message == "" {
		before, _ := config.Parse(was)
		message = strings.Join(config.Summary(before, next), ", ")
	}
	rev, err := config.NewRevision(parents, r.cfg.Self, r.now(), config.CleanMessage(cmp.Or(message, "edit")), files)
	if err != nil {
		return config.Revision{}, nil, err
	}
	next.Revision = rev.Digest
	p, err := r.prepareAll(ctx, next)
	if err != nil {
		return config.Revision{}, nil, err
	}
	if worse := r.worse(p.sites, files, was); len(worse) > 0 {
		p.discard()
		return config.Revision{}, nil, worse
	}
	return rev, p, nil
}

// worse is the sites that an edit may not leave behind: those that it changes, and those that were good before it. A site
// that is refused here anyway must not stop an edit that has nothing to do with it.
func (r *Reloader) worse(sites config.SiteFaults, files, was map[string][]byte) config.SiteFaults {
	worse := config.SiteFaults{}
	refused := r.state.Load().verdict.Sites
	for file, faults := range sites {
		if _, before := refused[file]; !before || !contentOf(files, file).same(contentOf(was, file)) {
			worse[file] = faults
		}
	}
	return worse
}

// refuse reports why the text in the configuration directory is not taken.
func (r *Reloader) refuse(faults config.Faults) {
	r.publish(func(s *state) { s.refused = faults })
	if r.refused.subject != "" && slices.Equal(r.refused.faults, faults) {
		return
	}
	r.refused = refusal{r.cfg.ConfigDir, faults}
	r.event(farm.EventConfigRefused, farm.Fault, r.cfg.ConfigDir, "correct it and save; the revision that is live goes on",
		map[string]string{"faults": faults.Error()}, "the edit was refused: %s", brief(faults))
}

// brief is the first fault, and how many more there are.
func brief(faults config.Faults) string {
	switch len(faults) {
	case 0:
		return "unknown"
	case 1:
		return faults[0].String()
	case 2:
		return faults[0].String() + ", and 1 more fault"
	}
	return faults[0].String() + ", and " + strconv.Itoa(len(faults)-1) + " more faults"
}

// heal says that a fault that was reported is over.
func (r *Reloader) heal(id farm.EventID, f *refusal, format string, args ...any) {
	if f.subject != "" {
		r.event(id, farm.Healed, f.subject, "", nil, format, args...)
	}
	*f = refusal{}
}

// enliven makes a revision that was prepared live, unless others came in between: then it becomes the parent of a merge.
func (r *Reloader) enliven(ctx context.Context, rev config.Revision, p *prepared) {
	if heads := config.Heads(r.store.all()); !rev.Stage.IsZero() || len(heads) != 1 || heads[0].Digest != rev.Digest {
		p.discard()
		r.advance(ctx)
		return
	}
	r.setHead(rev)
	r.heal(farm.EventConfigRefused, &r.failed, "revision %s took its place", rev.Digest.Short())
	r.commit(rev, p)
	r.tidy()
}

// tidy keeps the history bounded and published.
func (r *Reloader) tidy() {
	s := r.state.Load()
	if err := r.store.trim(s.live.Digest, s.head.Digest, r.written.Digest); err != nil {
		r.cfg.Log.Warn("old revisions can't be removed", "err", err)
	}
	history, _ := config.Retain(r.store.all(), historySize+historySlack)
	r.publish(func(s *state) { s.history = history })
}

// commit makes a revision live.
func (r *Reloader) commit(rev config.Revision, p *prepared) {
	was := r.state.Load()
	p.commit()
	sites := map[string]string{}
	for file, faults := range p.sites {
		sites[file] = faults.Error()
	}
	r.publish(func(s *state) {
		s.live, s.config = rev, p.config
		s.verdict = farm.Verdict{Revision: rev.Digest, Wanted: rev.Digest, Sites: sites, Since: r.sinceWhen(was, rev), Edits: was.verdict.Edits}
	})
	if was.live.Digest != rev.Digest {
		fields := map[string]string{"revision": rev.Digest.String(), "author": string(rev.Author)}
		if !was.live.Digest.IsZero() { // at a start it says nothing, how old a revision is
			fields["millis"] = strconv.Itoa(int(r.cfg.Now().Sub(rev.Time.Wall()) / time.Millisecond))
		}
		r.event(farm.EventConfigLive, farm.Info, rev.Digest.Short(), "", fields, "revision %s of %s is live: %s", rev.Digest.Short(), rev.Author, rev.Message)
		if err := r.keepLive(rev); err != nil {
			r.cfg.Log.Error("the last good revision can't be kept", "err", err)
		}
	}
	r.siteEvents(was.verdict.Sites, sites)
	r.retry.at = time.Time{}
	if len(sites) > 0 {
		r.retry.again(r.cfg.Now())
	} else {
		r.retry = backoff{}
	}
}

// sinceWhen is since when the revision is live, this daemon's starts left out.
func (r *Reloader) sinceWhen(was *state, rev config.Revision) time.Time {
	if was.live.Digest == rev.Digest {
		return was.verdict.Since
	}
	if was.live.Digest.IsZero() && rev.Digest == r.store.pinned.Digest {
		if info, err := os.Stat(filepath.Join(r.cfg.StateDir, liveFile)); err == nil {
			return info.ModTime()
		}
	}
	return r.cfg.Now()
}

func (r *Reloader) siteEvents(was, is map[string]string) {
	for _, file := range sortedKeys(is) {
		if was[file] != is[file] {
			r.event(farm.EventSiteRefused, farm.Fault, file, "correct the file, or what it needs on this member", map[string]string{"faults": is[file]},
				"the site is refused here: %s", is[file])
		}
	}
	for _, file := range sortedKeys(was) {
		if _, still := is[file]; !still {
			r.event(farm.EventSiteRefused, farm.Healed, file, "", nil, "the site is no longer refused")
		}
	}
}
