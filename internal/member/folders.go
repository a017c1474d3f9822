package member

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"tandem/internal/config"
	"tandem/internal/farm"
	"tandem/internal/replica"
	"tandem/internal/vfs"
	"tandem/internal/watch"
)

// folders is the set of folders that run on this member.
type folders struct {
	m *Member

	applying sync.Mutex
	booted   bool // a configuration has been applied in this daemon's life; under applying

	noting sync.Mutex // of what is remembered

	mu   sync.RWMutex
	at   map[farm.FolderID]*folder // that run
	why  map[farm.FolderID]halted  // those that should run and do not
	anew map[farm.FolderID]bool    // those that are to be opened with a new index
}

func newFolders(m *Member) *folders {
	return &folders{m: m, at: map[farm.FolderID]*folder{}, why: map[farm.FolderID]halted{}, anew: map[farm.FolderID]bool{}}
}

func (fs *folders) get(id farm.FolderID) *folder {
	fs.mu.RLock()
	defer fs.mu.RUnlock()
	return fs.at[id]
}

// all are the folders, by name.
func (fs *folders) all() []*folder {
	fs.mu.RLock()
	defer fs.mu.RUnlock()
	return slices.SortedFunc(maps.Values(fs.at), func(a, b *folder) int { return cmp.Compare(a.spec.id, b.spec.id) })
}

// heldBy are the folders that run here and that the member holds too.
func (fs *folders) heldBy(id farm.MemberID) []*folder {
	var held []*folder
	for _, f := range fs.all() {
		if fs.m.holds(id, f.spec.id) {
			held = append(held, f)
		}
	}
	return held
}

// holders are the members that hold the folder: all of them Tandem's own, nodes the others.
func (m *Member) holders(id farm.FolderID) []farm.MemberID {
	return holdersIn(m.config(), id)
}

func holdersIn(c *config.Config, id farm.FolderID) []farm.MemberID {
	var ids []farm.MemberID
	if c == nil {
		return nil
	}
	for _, mem := range c.Members {
		if id.Own() || mem.Has(farm.RoleNode) {
			ids = append(ids, mem.Name)
		}
	}
	return ids
}

func (m *Member) holds(member farm.MemberID, id farm.FolderID) bool {
	return slices.Contains(m.holders(id), member)
}

// specs are the folders that this member holds in a configuration.
func (m *Member) specs(c *config.Config) []folderSpec {
	own := func(id farm.FolderID, root string) folderSpec {
		return folderSpec{id: id, root: root, watch: watch.Auto, audit: ownAudit, preserve: preserveSpec{bytes: ownPreserve}}
	}
	specs := []folderSpec{own(farm.FolderFarm, m.paths.revisions()), own(farm.FolderCerts, m.paths.certs())}
	me, ok := c.Member(m.self)
	if !ok || !me.Has(farm.RoleNode) {
		return specs
	}
	for _, f := range c.Folders {
		mode, err := watch.ParseMode(f.Watch)
		if err != nil {
			mode = watch.Auto
		}
		specs = append(specs, folderSpec{
			id: f.Name, root: filepath.Clean(m.file.FolderPath(f)), rules: m.flowRules(f), watch: mode, audit: f.Audit,
			minFree:  int64(f.MinFree),
			preserve: preserveSpec{bytes: int64(f.Preserve), age: f.PreserveAge, deleted: f.PreserveDeleted},
			attrs:    attributes(f),
			commands: m.commands(f),
		})
	}
	return specs
}

// attributes are what of a folder's attributes is replicated.
func attributes(f config.Folder) vfs.Options {
	scope := map[string]vfs.XAttrScope{"all": vfs.XAttrsAll, "none": vfs.XAttrsNone}
	return vfs.Options{XAttrs: scope[f.XAttrs], Special: f.SetUID}
}

func (s folderSpec) same(t folderSpec) bool {
	return s.root == t.root && s.watch == t.watch && s.audit == t.audit && s.preserve == t.preserve && s.minFree == t.minFree &&
		s.attrs == t.attrs && s.commands == t.commands
}

// apply makes the running folders those of the live configuration. A folder that can't be opened is an event, and stops
// none of the others.
func (fs *folders) apply() {
	fs.applying.Lock()
	defer fs.applying.Unlock()
	c := fs.m.config()
	want := map[farm.FolderID]folderSpec{}
	for _, s := range fs.m.specs(c) {
		want[s.id] = s
	}
	for _, f := range fs.all() {
		if s, ok := want[f.spec.id]; !ok || !s.same(f.spec) {
			fs.end(f)
		} else if !s.rules.same(*f.flow.Load()) {
			fs.retune(fs.m.ctx, f, s.rules)
		}
	}
	fs.forget(want)
	fs.forgetNotes(want)
	for _, s := range fs.m.specs(c) {
		f := fs.get(s.id)
		if f == nil && !fs.due(s.id) {
			continue
		}
		if f == nil {
			// A new index at the start means that this member has just joined, or lost it: the others know better. A
			// folder that is added to the farm later is new to all that run.
			f = fs.begin(s, opening{others: len(holdersIn(c, s.id)) > 1, joined: !fs.booted || fs.isAnew(s.id), anew: fs.isAnew(s.id)})
		}
		if f != nil {
			f.deliver(fs.m.ctx, replica.Holders{Members: holdersIn(c, s.id), EvictAfter: c.Farm.EvictAfter})
			fs.introduce(f)
		}
	}
	fs.booted = true
}

// introduce tells a folder of the sessions that exist already.
func (fs *folders) introduce(f *folder) {
	for _, id := range fs.m.holders(f.spec.id) {
		if f.introduced[id] || id == fs.m.self || !fs.m.links.up(id) {
			continue
		}
		f.introduced[id] = true
		fs.m.introduceTo(f, id)
	}
	fs.introduceHeard(f)
}

func (fs *folders) begin(s folderSpec, how opening) *folder {
	m := fs.m
	f, err := m.openFolder(s, how)
	if err != nil {
		fs.halt(s, "can't be opened", err)
		return nil
	}
	f.ctx, f.stop = context.WithCancel(m.ctx)
	fs.start(f)
	m.group.Go(func() error {
		fs.began(f)
		return nil
	})
	m.group.Go(func() error {
		defer close(f.done)
		err := f.run(f.ctx)
		f.stop() // nobody waits for it any more
		switch {
		case errors.Is(err, replica.ErrRejoin):
			fs.remove(f)
			f.close()
			fs.rejoin(s)
			return nil
		case err != nil && !errors.Is(err, context.Canceled):
			fs.remove(f)
			fs.halt(s, "stopped", err)
		default:
			f.finish(m.log)
		}
		f.close()
		return nil
	})
	return f
}

// end stops a folder that this member no longer holds, or holds otherwise. Its files stay.
func (fs *folders) end(f *folder) {
	f.stop()
	<-f.done
	fs.remove(f)
}
