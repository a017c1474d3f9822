package vfs

import (
	"os/user"
	"strconv"
	"sync"
	"time"

	"tandem/internal/farm"
)

const (
	maxNames    = 4096        // of users and groups, each way
	namesMaxAge = time.Minute // after it a renamed or new account is seen
)

// names resolves users and groups and remembers the answers, also that there is none.
type names struct {
	mu             sync.Mutex
	since          time.Time
	users, groups  map[uint32]string
	uids, gids     map[string]uint32
	noUID, noGroup map[string]bool
}

func (n *names) fresh() {
	now := time.Now()
	full := len(n.users)+len(n.groups)+len(n.uids)+len(n.gids)+len(n.noUID)+len(n.noGroup) > maxNames
	if n.users != nil && !full && now.Sub(n.since) < namesMaxAge {
		return
	}
	n.since = now
	n.users, n.groups = map[uint32]string{}, map[uint32]string{}
	n.uids, n.gids = map[string]uint32{}, map[string]uint32{}
	n.noUID, n.noGroup = map[string]bool{}, map[string]bool{}
}

// owner names the ids where the system knows them.
func (n *names) owner(uid, gid uint32) farm.Owner {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fresh()
	u, ok := n.users[uid]
	if !ok {
		if r, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
			u = r.Username
		}
		n.users[uid] = u
	}
	g, ok := n.groups[gid]
	if !ok {
		if r, err := user.LookupGroupId(strconv.FormatUint(uint64(gid), 10)); err == nil {
			g = r.Name
		}
		n.groups[gid] = g
	}
	return farm.Owner{UID: uid, GID: gid, User: u, Group: g}
}

// ids is the inverse: by name where the system knows it, else the id as it came.
func (n *names) ids(o farm.Owner) (uid, gid uint32) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fresh()
	byUser := func(name string) (string, error) {
		r, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return r.Uid, nil
	}
	byGroup := func(name string) (string, error) {
		r, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return r.Gid, nil
	}
	return id(o.User, o.UID, n.uids, n.noUID, byUser), id(o.Group, o.GID, n.gids, n.noGroup, byGroup)
}

func id(name string, number uint32, known map[string]uint32, unknown map[string]bool, find func(string) (string, error)) uint32 {
	if name == "" || unknown[name] {
		return number
	}
	if v, ok := known[name]; ok {
		return v
	}
	if s, err := find(name); err == nil {
		if v, err := strconv.ParseUint(s, 10, 32); err == nil {
			known[name] = uint32(v)
			return uint32(v)
		}
	}
	unknown[name] = true
	return number
}
