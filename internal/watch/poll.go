package watch

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"tandem/internal/farm"
)

// pollStep is how many names of a directory are read at a time.
const pollStep = 1024

// poll walks the tree in intervals and compares what lstat tells with the walk before. It works everywhere, and holds a
// name and 8 bytes for each entry of the tree.
type poll struct {
	g        *gather
	root     *os.Root
	interval time.Duration
	seed     maphash.Seed

	known  map[farm.Path]listing // by directory, as of the latest walk
	broken bool                  // the latest walk could not read the root
	wanted atomic.Uint64         // youngest barrier asked for
	kick   chan struct{}         // has a token when a barrier was asked for
	seen   atomic.Uint64
	dirs   atomic.Int64
}

// listing is what a directory held: names with a digest of what lstat told of each.
type listing map[string]uint64

func openPoll(w *Watcher) (source, error) {
	p := &poll{
		g: w.held, root: w.root, interval: w.opts.Interval, seed: maphash.MakeSeed(), kick: make(chan struct{}, 1),
	}
	known, err := p.walk(context.Background(), false)
	p.known = known
	return p, err
}

func (p *poll) close() error { return nil }

func (p *poll) stats(s *Stats) {
	s.Seen = p.seen.Load()
	s.Watches = int(p.dirs.Load())
}

func (p *poll) barrier(id uint64) error {
	p.wanted.Store(id)
	select {
	case p.kick <- struct{}{}:
	default:
	}
	return nil
}

// run walks once per interval and at once for a barrier, but spends no more than half of its time walking.
func (p *poll) run(ctx context.Context) error {
	timer := time.NewTimer(p.interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-p.kick:
		}
		began := time.Now()
		p.look(ctx)
		took := time.Since(began)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(took):
		}
		timer.Reset(p.interval)
	}
}

// look makes one walk and lets the barriers pass that were asked for before it began.
func (p *poll) look(ctx context.Context) {
	barrier := p.wanted.Load()
	known, err := p.walk(ctx, true)
	switch {
	case ctx.Err() != nil:
		return
	case err == nil:
		p.known, p.broken = known, false
		p.g.barrier(barrier)
	case !p.broken:
		// The consumer's rescan finds out what is wrong with the root; until that is over, one is enough.
		p.broken = true
		p.g.lost("the root can't be read: " + err.Error())
	}
}

// walk lists the whole tree and, with report, compares it with what is known.
func (p *poll) walk(ctx context.Context, report bool) (map[farm.Path]listing, error) {
	found := make(map[farm.Path]listing)
	todo := []farm.Path{{}}
	for len(todo) > 0 && ctx.Err() == nil {
		dir := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		names, below, err := p.list(dir)
		if err != nil {
			if dir.IsRoot() {
				return nil, err
			}
			names = p.known[dir] // unreadable now: say nothing about what is in it
			if errors.Is(err, fs.ErrNotExist) {
				continue // its parent's next listing lacks it
			}
		}
		found[dir] = names
		if report {
			p.compare(dir, names)
		}
		todo = append(todo, below...)
	}
	p.dirs.Store(int64(len(found)))
	return found, nil
}

// compare reports how the content of dir differs from the walk before.
func (p *poll) compare(dir farm.Path, now listing) {
	before := p.known[dir]
	for name, digest := range now {
		was, ok := before[name]
		if ok && was == digest {
			continue
		}
		p.seen.Add(1)
		if child, err := dir.Join(name); err == nil {
			p.changed(child)
		}
	}
	for name := range before {
		if _, ok := now[name]; ok {
			continue
		}
		p.seen.Add(1)
		if child, err := dir.Join(name); err == nil {
			p.changed(child)
		}
	}
}

// changed reports a path, and all below it if it was a directory: it may have been replaced by another.
func (p *poll) changed(path farm.Path) {
	if _, ok := p.known[path]; ok {
		p.g.tree(path)
		return
	}
	p.g.changed(path)
}

// list reads one directory: a digest for each name, and the directories among them.
func (p *poll) list(dir farm.Path) (listing, []farm.Path, error) {
	d, err := p.root.OpenRoot(dir.String())
	if err != nil {
		return nil, nil, err
	}
	defer d.Close()
	f, err := d.Open(".")
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	device := uint64(0)
	if fi, err := f.Stat(); err == nil {
		device = deviceOf(fi)
	}
	found := make(listing)
	var below []farm.Path
	for {
		names, err := f.Readdirnames(pollStep)
		for _, name := range names {
			child, badName := dir.Join(name)
			if badName != nil || child.Private() {
				continue
			}
			fi, err := d.Lstat(name)
			if err != nil {
				continue // gone since it was listed
			}
			found[name] = maphash.Comparable(p.seed, stampOf(fi))
			if fi.IsDir() && deviceOf(fi) == device {
				below = append(below, child)
			}
		}
		if err == io.EOF {
			return found, below, nil
		}
		if err != nil {
			return nil, nil, err
		}
	}
}

// stamp is what of lstat is compared. A directory's times and size follow from its children and are left out.
type stamp struct {
	mode         fs.FileMode
	size, mtime  int64
	inode, ctime uint64 // where the system has them
	uid, gid     uint32
}
