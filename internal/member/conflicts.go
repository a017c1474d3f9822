package member

import (
	"context"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"tandem/internal/control"
	"tandem/internal/farm"
)

// maxSelected bounds what one command restores or drops.
const maxSelected = 200_000

// Conflicts implements control.Preserver.
func (m *Member) Conflicts(ctx context.Context, q control.ConflictQuery) (control.Conflicts, error) {
	limit := q.Limit
	if limit == 0 || limit > control.MaxConflicts {
		limit = control.MaxConflicts
	}
	found, err := m.collect(ctx, q, limit)
	if err != nil {
		return control.Conflicts{}, err
	}
	c := control.Conflicts{List: []control.Conflict{}, Count: found.count, More: found.more, Silent: found.silent}
	for _, k := range found.list {
		c.List = append(c.List, k.conflict())
		c.Bytes += k.File.Attr.Size
	}
	return c, nil
}

// found is what the farm keeps of what was asked for.
type found struct {
	list   []kept // the newest first
	count  int    // of all that match; with more at least so many
	more   bool   // the list is cut
	silent []control.Silent
}

// collect asks all members that may keep something. With ids each must fit exactly one.
func (m *Member) collect(ctx context.Context, q control.ConflictQuery, limit int) (found, error) {
	f := filterOf(q)
	if err := f.check(); err != nil {
		return found{}, err
	}
	all, err := m.gather(ctx, f, q.Member, limit)
	if err == nil && len(q.IDs) > 0 {
		err = all.resolve(q.IDs)
	}
	return all, err
}

// gather asks one member, or all.
func (m *Member) gather(ctx context.Context, f keptFilter, only farm.MemberID, limit int) (all found, err error) {
	c := m.config()
	if c == nil {
		return all, farm.Errorf("list preserved", string(m.self), farm.Unavailable, "the member is starting")
	}
	if only != "" {
		if _, ok := c.Member(only); !ok {
			return all, unknownMember("list preserved", only, c)
		}
	}
	var mu sync.Mutex
	var g errgroup.Group
	lists := map[farm.MemberID][]kept{}
	for _, mem := range c.Members {
		if only != "" && only != mem.Name {
			continue
		}
		g.Go(func() error {
			list, count, err := m.keptBy(ctx, mem.Name, f, limit)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				all.silent = append(all.silent, control.Silent{Member: mem.Name, Reason: err.Error()})
				return nil
			}
			lists[mem.Name] = list
			all.more = all.more || count > len(list)
			all.count = max(all.count, count)
			return nil
		})
	}
	_ = g.Wait() // whoever fails is silent
	if err := ctx.Err(); err != nil {
		return all, &farm.Error{Op: "list preserved", Kind: farm.Unavailable, Err: err}
	}
	slices.SortFunc(all.silent, func(a, b control.Silent) int { return strings.Compare(string(a.Member), string(b.Member)) })
	all.merge(m.self, lists, limit)
	return all, nil
}

// keptBy is what one member keeps.
func (m *Member) keptBy(ctx context.Context, id farm.MemberID, f keptFilter, limit int) (list []kept, count int, err error) {
	if id == m.self {
		list, count = m.keptHere(m.self, f, nil, limit)
		return list, count, nil
	}
	if !m.links.up(id) {
		return nil, 0, farm.Errorf("list preserved", string(id), farm.Unavailable, "it is not linked")
	}
	req := keptRequest{Filter: f}
	for {
		var page keptPage
		req.Limit = min(limit-len(list), pageFiles)
		if err := m.ask(ctx, id, callKept, req, &page); err != nil {
			return nil, 0, err
		}
		if len(page.List) > req.Limit {
			return nil, 0, farm.Errorf("list preserved", string(id), farm.Corrupt, "%d files are more than asked for", len(page.List))
		}
		for _, k := range page.List {
			if err := k.check(); err != nil {
				return nil, 0, err
			}
			if len(list) > 0 && newestFirst(list[len(list)-1], k) >= 0 {
				return nil, 0, farm.Errorf("list preserved", string(id), farm.Corrupt, "the list is out of order")
			}
			k.members = []farm.MemberID{id}
			list = append(list, k)
		}
		if len(list) >= limit || !page.More || len(page.List) == 0 {
			return list, max(page.Count, len(list)), nil
		}
		req.After = &list[len(list)-1]
	}
}

// merge makes one list of those of the members: who keeps the same version keeps it under the same id.
func (all *found) merge(self farm.MemberID, lists map[farm.MemberID][]kept, limit int) {
	type key struct {
		folder farm.FolderID
		id     string
	}
	at := map[key]int{}
	names := slices.Collect(func(yield func(farm.MemberID) bool) {
		for name := range lists {
			if !yield(name) {
				return
			}
		}
	})
	slices.SortFunc(names, func(a, b farm.MemberID) int { // our own first: it says where it is fetched from
		if (a == self) != (b == self) {
			if a == self {
				return -1
			}
			return 1
		}
		return strings.Compare(string(a), string(b))
	})
	for _, name := range names {
		for _, k := range lists[name] {
			i, ok := at[key{k.Folder, k.File.ID}]
			if !ok {
				at[key{k.Folder, k.File.ID}] = len(all.list)
				all.list = append(all.list, k)
				continue
			}
			all.list[i].members = append(all.list[i].members, name)
		}
	}
	slices.SortFunc(all.list, newestFirst)
	if len(all.list) > limit {
		all.list, all.more = all.list[:limit], true
	}
	if !all.more {
		all.count = len(all.list)
	}
}

// resolve leaves what the beginnings of ids stand for: each exactly one.
func (all *found) resolve(ids []string) error {
	var list []kept
	for _, id := range ids {
		var fit []kept
		for _, k := range all.list {
			if strings.HasPrefix(k.File.ID, id) {
				fit = append(fit, k)
			}
			if k.File.ID == id {
				fit = fit[len(fit)-1:]
				break
			}
		}
		switch {
		case len(fit) == 0:
			e := farm.Errorf("find preserved", id, farm.NotFound, "no linked member has a preserved file with this id")
			if e.Next = "see: tandem conflicts list"; len(all.silent) > 0 {
				e.Next = "a member that is not linked may have it: see tandem status"
			}
			return e
		case len(fit) > 1:
			e := farm.Errorf("find preserved", id, farm.Invalid, "%d ids begin so: %s, ...", len(fit), sample(fit))
			e.Next = "type more of it"
			return e
		}
		if !slices.ContainsFunc(list, func(k kept) bool { return k.File.ID == fit[0].File.ID && k.Folder == fit[0].Folder }) {
			list = append(list, fit[0])
		}
	}
	all.list, all.count, all.more = list, len(list), false
	return nil
}

func sample(list []kept) string {
	var ids []string
	for _, k := range list[:min(4, len(list))] {
		ids = append(ids, k.File.ID)
	}
	return strings.Join(ids, ", ")
}

// DropConflicts implements control.Preserver.
func (m *Member) DropConflicts(ctx context.Context, q control.ConflictQuery) (control.Dropped, error) {
	all, err := m.collect(ctx, q, maxSelected)
	if err != nil {
		return control.Dropped{}, err
	}
	d := control.Dropped{Silent: all.silent}
	type place struct {
		member farm.MemberID
		folder farm.FolderID
	}
	where := map[place][]string{}
	for _, k := range all.list {
		d.Count++
		d.Bytes += k.File.Attr.Size
		for _, id := range k.members {
			where[place{id, k.Folder}] = append(where[place{id, k.Folder}], k.File.ID)
		}
	}
	for p, ids := range where {
		for part := range slices.Chunk(ids, pageFiles) {
			req := dropRequest{Folder: p.folder, IDs: part}
			var reply dropReply
			if p.member == m.self {
				_, err = m.dropHere(m.self, req)
			} else {
				err = m.ask(ctx, p.member, callDrop, req, &reply)
			}
			if err != nil {
				return d, err
			}
		}
	}
	return d, nil
}
