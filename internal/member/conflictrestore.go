package member

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"tandem/internal/control"
	"tandem/internal/farm"
	"tandem/internal/install"
	"tandem/internal/replica"
)

const (
	restoresAtOnce = 4   // files
	dirtyAtOnce    = 128 // restored paths, before the folder hears of them
)

// RestoreConflicts implements control.Preserver. What is restored is a write of an application on this member.
func (m *Member) RestoreConflicts(ctx context.Context, req control.RestoreRequest, progress func(done, count int)) (control.RestoreResult, error) {
	all, err := m.collect(ctx, req.Query, maxSelected)
	if err != nil {
		return control.RestoreResult{}, err
	}
	r := &restore{m: m, req: req, progress: progress, result: control.RestoreResult{Silent: all.silent, List: []control.Restored{}}}
	if len(req.Query.IDs) == 0 {
		all.list = latestOfEach(all.list)
	}
	if r.result.Count = len(all.list); req.To != "" {
		if len(all.list) != 1 {
			return r.result, farm.Errorf("restore", req.To, farm.Invalid, "one file can be restored to another path, not %d", len(all.list))
		}
		if r.to, err = farm.ParsePath(req.To); err != nil || r.to.IsRoot() || r.to.Private() {
			return r.result, farm.Errorf("restore", req.To, farm.Invalid, "it is no path in the folder")
		}
	}
	return r.result, r.all(ctx, all.list)
}

// latestOfEach leaves of several versions of a path the one that was preserved last, parents before children.
func latestOfEach(list []kept) []kept {
	type place struct {
		folder farm.FolderID
		path   farm.Path
	}
	seen := map[place]bool{}
	list = slices.DeleteFunc(list, func(k kept) bool { // the newest come first
		p := place{k.Folder, k.File.Path}
		was := seen[p]
		seen[p] = true
		return was
	})
	slices.SortFunc(list, func(a, b kept) int {
		if a.Folder != b.Folder {
			return strings.Compare(string(a.Folder), string(b.Folder))
		}
		return a.File.Path.Compare(b.File.Path)
	})
	return list
}

// restore is one command under way.
type restore struct {
	m        *Member
	req      control.RestoreRequest
	to       farm.Path // zero: where each was
	progress func(done, count int)

	mu     sync.Mutex
	result control.RestoreResult
	done   int
	made   map[farm.FolderID][]farm.Path // of which the folder has not heard
}

// all restores directories one after the other, since what is in them needs them, and then the rest.
func (r *restore) all(ctx context.Context, list []kept) error {
	r.made = map[farm.FolderID][]farm.Path{}
	isDir := func(k kept) bool { return k.File.Attr.Type == farm.Dir }
	for _, k := range list {
		if isDir(k) && ctx.Err() == nil {
			r.one(ctx, k)
		}
	}
	var g errgroup.Group
	g.SetLimit(restoresAtOnce)
	for _, k := range list {
		if !isDir(k) && ctx.Err() == nil {
			g.Go(func() error { r.one(ctx, k); return nil })
		}
	}
	_ = g.Wait() // nothing fails as a whole
	for id := range r.made {
		r.tell(ctx, id, 0)
	}
	if err := ctx.Err(); err != nil {
		return &farm.Error{Op: "restore", Kind: farm.Unavailable, Err: err}
	}
	return nil
}

func (r *restore) one(ctx context.Context, k kept) {
	done, to, err := r.bring(ctx, k)
	r.mu.Lock()
	defer r.mu.Unlock()
	one := control.Restored{ID: k.File.ID, Folder: k.Folder, Path: strings.ToValidUTF8(to.String(), "\uFFFD"), From: k.members[0], Same: done.Same}
	if err != nil {
		r.result.Failed++
		one.Error = control.ErrorOf(err)
		if i := r.result.Failed - 1; i < control.MaxRestoreFaults { // those that failed are named first
			r.result.List = slices.Insert(r.result.List, i, one)
		}
	} else {
		r.result.Restored++
		r.result.List = append(r.result.List, one)
	}
	r.result.List = r.result.List[:min(len(r.result.List), control.MaxRestoreFaults)]
	r.made[k.Folder] = append(r.made[k.Folder], done.Made...)
	if r.done++; r.done%32 == 0 {
		r.progress(r.done, r.result.Count)
	}
	r.tellLocked(ctx, k.Folder, dirtyAtOnce)
}

func (r *restore) bring(ctx context.Context, k kept) (done install.Restored, to farm.Path, err error) {
	if to = r.to; to.IsRoot() {
		to = k.File.Path
	}
	f := r.m.folders.get(k.Folder)
	if f == nil {
		return done, to, noFolder("restore", k.Folder)
	}
	if k.File.Reason == farm.ReasonCrash && r.to.IsRoot() && strings.HasPrefix(to.String(), "unknown/") {
		return done, to, &farm.Error{Op: "restore", Path: k.File.ID, Kind: farm.Invalid, Next: "say where with --to",
			Err: farm.Errorf("", "", farm.Invalid, "nothing tells where it was").Err}
	}
	rec, _, err := f.index.Get(to)
	if err != nil {
		return done, to, err
	}
	file := k.File
	if here, ok := f.keeper.Preserved(file.ID); ok {
		file = here
	}
	done, err = f.keeper.Restore(ctx, install.Restoration{Preserved: file, To: to, Known: rec.Disk, Force: r.req.Force},
		func(dir farm.Path) (farm.Attr, bool) { return r.m.deletedDir(ctx, k.Folder, dir) }, keptSource{r.m, k})
	return done, to, err
}

// deletedDir is what a directory was that is gone, as far as a member noted it.
func (m *Member) deletedDir(ctx context.Context, id farm.FolderID, dir farm.Path) (farm.Attr, bool) {
	all, err := m.gather(ctx, keptFilter{Folder: id, Path: []byte(dir.String())}, "", pageFiles)
	if err != nil {
		return farm.Attr{}, false // it is made like its parent
	}
	for _, k := range all.list {
		if k.File.Attr.Type == farm.Dir {
			return k.File.Attr, true
		}
	}
	return farm.Attr{}, false
}

// tell lets the folder look at what was restored, once there is so much.
func (r *restore) tell(ctx context.Context, id farm.FolderID, least int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tellLocked(ctx, id, least)
}

func (r *restore) tellLocked(ctx context.Context, id farm.FolderID, least int) {
	if len(r.made[id]) == 0 || len(r.made[id]) < least {
		return
	}
	if f := r.m.folders.get(id); f != nil {
		paths := slices.DeleteFunc(r.made[id], f.scanner.Excluded)
		f.deliver(context.WithoutCancel(ctx), replica.Dirty{Paths: paths}) // what was made must be known, whoever went away
	}
	delete(r.made, id)
}

// keptSource finds the content of a preserved file in the folder or at the members that keep it.
type keptSource struct {
	m *Member
	k kept
}

func (s keptSource) Local(d farm.Digest) []farm.Path {
	f := s.m.folders.get(s.k.Folder)
	if f == nil {
		return nil
	}
	paths, err := f.index.ByDigest(d)
	if err != nil {
		return nil // others have it
	}
	return paths
}

func (s keptSource) Fetch(ctx context.Context, _ farm.Digest, _ int64) (io.ReadCloser, error) {
	return s.m.fetchKept(ctx, s.k)
}
