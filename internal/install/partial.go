package install

import (
	"cmp"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"tandem/internal/chunk"
	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// DefaultPartialBytes is how much has to be fetched for a content to be put together under a name: so that an
// interrupted transfer goes on after a restart.
const DefaultPartialBytes = 16 << 20

// Bounds of what interrupted transfers leave in staging.
const (
	partialPrefix   = "part-"
	maxPartials     = 16
	maxPartialBytes = 16 << 30
	maxPartialAge   = 3 * 24 * time.Hour
	partialsEvery   = 10 * time.Minute // they are looked through
)

// partials knows which names are in use.
type partials struct {
	mu     sync.Mutex
	busy   map[string]bool
	looked time.Time
}

// partial is a Temp under a name, which it holds until it is closed.
type partial struct {
	vfs.Temp
	release func()
}

func (p *partial) Close() error {
	err := p.Temp.Close()
	p.release()
	return err
}

// openPartial makes the file for a content. Done are the chunks that an earlier attempt left in it, or nil.
func (k *Keeper) openPartial(want farm.Attr, recipe chunk.Recipe, steps []chunk.Step) (t vfs.Temp, done []bool, err error) {
	var remote int64
	for _, s := range steps {
		if s.From == chunk.Remote {
			remote += s.Len
		}
	}
	name := partialName(want.Digest)
	if remote < k.cfg.PartialBytes || !k.partials.take(name) {
		t, err = k.fs.Temp()
		return t, nil, err
	}
	release := func() { k.partials.giveBack(name) }
	t, err = k.fs.Partial(farm.MustPath(vfs.StagingDir + "/" + name))
	if err != nil {
		release()
		return nil, nil, err
	}
	t = &partial{t, release}
	st, err := t.Stat()
	if err == nil && st.Size > 0 {
		done, err = present(t, recipe)
	}
	if err == nil && done != nil && !zerosPresent(recipe, done) {
		done = nil
		err = t.Truncate(0)
	}
	if err != nil {
		return nil, nil, errors.Join(err, t.Close())
	}
	return t, done, nil
}

// zerosPresent tells whether all that is to be zero is so. It is when nothing went wrong: it is never written.
func zerosPresent(recipe chunk.Recipe, done []bool) bool {
	for i, c := range recipe {
		if c.Zero() && !done[i] {
			return false
		}
	}
	return true
}

// present tells which chunks of the recipe are at their places in the file. What lies behind its end is zeros, which
// Truncate will give.
func present(t vfs.Temp, recipe chunk.Recipe) ([]bool, error) {
	done := make([]bool, len(recipe))
	buf := make([]byte, chunk.MaxBytes)
	off := int64(0)
	for i, c := range recipe {
		ok := true
		for at, end := off, off+c.Len; ok && at < end; {
			b := buf[:min(int64(len(buf)), end-at)]
			n, err := t.ReadAt(b, at)
			if err != nil && err != io.EOF {
				return nil, err
			}
			clear(b[n:])
			ok = chunk.Chunk{Len: int64(len(b)), Sum: c.Sum}.Holds(b)
			at += int64(len(b))
			if n == 0 && c.Zero() {
				break
			}
		}
		done[i] = ok
		off += c.Len
	}
	return done, nil
}

func (p *partials) take(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy[name] {
		return false
	}
	if p.busy == nil {
		p.busy = map[string]bool{}
	}
	p.busy[name] = true
	return true
}

func (p *partials) giveBack(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.busy, name)
}

// due tells whether it is time to look through what is there.
func (p *partials) due(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if since := now.Sub(p.looked); since >= 0 && since < partialsEvery {
		return false
	}
	p.looked = now
	return true
}

func partialName(d farm.Digest) string { return partialPrefix + hex.EncodeToString(d[:]) }

// isPartial tells whether a name in staging is that of an interrupted transfer: never visible, of use to the next one.
func isPartial(name string) bool { return strings.HasPrefix(name, partialPrefix) }

// leftPartial is what an interrupted transfer has left.
type leftPartial struct {
	name  string
	mtime int64
	size  int64
}

// leftPartials are those in a listing of staging, the newest first.
func (k *Keeper) leftPartials(list []vfs.DirEntry) ([]leftPartial, error) {
	var all []leftPartial
	var errs []error
	for _, e := range list {
		if !isPartial(e.Name) || e.Type != farm.File {
			continue
		}
		st, err := k.fs.Lstat(farm.MustPath(vfs.StagingDir + "/" + e.Name))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, leftPartial{e.Name, st.MTime, st.Size})
	}
	slices.SortFunc(all, func(a, b leftPartial) int { return cmp.Or(cmp.Compare(b.mtime, a.mtime), cmp.Compare(a.name, b.name)) })
	return all, errors.Join(errs...)
}

// removePartial removes one, unless it is in use.
func (k *Keeper) removePartial(name string) (removed bool, err error) {
	if !k.partials.take(name) {
		return false, nil
	}
	defer k.partials.giveBack(name)
	err = k.fs.Remove(farm.MustPath(vfs.StagingDir + "/" + name))
	return err == nil, err
}

// trimPartials removes what is too old or too much of what is in staging, the oldest first. What is in use stays.
func (k *Keeper) trimPartials(list []vfs.DirEntry) error {
	all, err := k.leftPartials(list)
	errs := []error{err}
	var bytes int64
	for i, l := range all {
		bytes += l.size
		age := k.cfg.Now().Sub(time.Unix(0, l.mtime))
		if i >= maxPartials || bytes > maxPartialBytes || age >= maxPartialAge {
			_, err := k.removePartial(l.name)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// giveUpPartials removes partials of about that many bytes, the oldest first, but for one, because something else needs
// the room; and tells whether there were any. They only spare a transfer.
func (k *Keeper) giveUpPartials(bytes int64, keep string) (removed bool) {
	list, err := k.fs.ReadDir(farm.MustPath(vfs.StagingDir))
	if err != nil {
		return false
	}
	all, _ := k.leftPartials(list) // what can't be looked at stays
	for _, l := range slices.Backward(all) {
		if bytes <= 0 || l.name == keep {
			continue
		}
		if ok, err := k.removePartial(l.name); ok && err == nil {
			bytes, removed = bytes-l.size, true
		}
	}
	return removed
}
