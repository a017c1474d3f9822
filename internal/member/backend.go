package member

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

// applyWait is how long a command waits for the others' verdicts on a configuration.
const applyWait = 5 * time.Second

// CheckConfig implements control.Configurer.
func (m *Member) CheckConfig(ctx context.Context, files control.Files) (control.ConfigCheck, error) {
	files, err := m.filesOrDisk(files)
	if err != nil {
		return control.ConfigCheck{}, err
	}
	return m.check(ctx, files), nil
}

func (m *Member) check(ctx context.Context, files control.Files) control.ConfigCheck {
	faults := m.reload.Check(ctx, files)
	check := control.ConfigCheck{OK: faults.Err() == nil, Faults: faults}
	if check.OK {
		if rev, err := config.NewRevision(nil, m.self, 1, "", files); err == nil {
			check.Revision = rev.Digest.String()
		}
	}
	return check
}

// filesOrDisk is what was given, or what stands in the configuration directory.
func (m *Member) filesOrDisk(files control.Files) (control.Files, error) {
	if files != nil {
		return files, nil
	}
	files = control.Files{}
	names := []string{config.FarmFile}
	if _, err := os.Stat(filepath.Join(m.paths.Config, config.SecretsFile)); err == nil {
		names = append(names, config.SecretsFile)
	}
	sites, err := filepath.Glob(filepath.Join(m.paths.Config, config.SitesDir, "*"))
	if err != nil {
		return nil, err
	}
	for _, s := range sites {
		names = append(names, config.SitesDir+"/"+filepath.Base(s))
	}
	for _, name := range names {
		if !config.IsShared(name) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(m.paths.Config, filepath.FromSlash(name)))
		if err != nil {
			return nil, &farm.Error{Op: "read", Path: name, Kind: kindOf(err), Err: err}
		}
		files[name] = b
	}
	return files, nil
}

// awaitVerdicts waits until every linked member runs the revision or says why not.
func (m *Member) awaitVerdicts(ctx context.Context, rev farm.Digest) {
	ctx, cancel := context.WithTimeout(ctx, applyWait)
	defer cancel()
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	for ctx.Err() == nil {
		open := false
		for _, v := range m.verdicts(rev) {
			open = open || !v.Live && len(v.Faults) == 0 && (v.Member == m.self || m.links.up(v.Member))
		}
		if !open {
			return
		}
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
}

// verdicts is how every member fares with a revision, as last heard.
func (m *Member) verdicts(wanted farm.Digest) []control.ConfigVerdict {
	list := []control.ConfigVerdict{}
	for _, mem := range m.config().Members {
		v, away := m.reload.Status(), false
		if mem.Name != m.self {
			v = m.links.get(mem.Name).state.Verdict
			away = !m.links.up(mem.Name) && !m.hears(mem.Name)
		}
		cv := control.ConfigVerdict{Member: mem.Name, Live: v.Revision == m.wantedOf(mem.Name, wanted), Away: away, Faults: v.Faults, Sites: v.Sites}
		if !v.Revision.IsZero() {
			cv.Revision = v.Revision.String()
		}
		if !v.Since.IsZero() {
			cv.Since = &v.Since
		}
		cv.Edits = v.Edits
		list = append(list, cv)
	}
	return list
}

// Invite implements control.Roster.
func (m *Member) Invite(_ context.Context, req control.InviteRequest) (control.Invite, error) {
	if !m.identity.Authority() {
		return control.Invite{}, &farm.Error{Op: "invite", Path: string(m.self), Kind: farm.Unsupported,
			Err: fmt.Errorf("this member can't issue certificates"), Next: "run it on a node"}
	}
	ttl := time.Duration(req.TTLSec) * time.Second
	me, ok := m.config().Member(m.self)
	if !ok {
		return control.Invite{}, farm.Errorf("invite", string(m.self), farm.Conflict, "this member is not in farm.toml")
	}
	token, err := m.invites.Create(ttl, req.Roles, req.Name, m.reachable(me))
	if err != nil {
		return control.Invite{}, err
	}
	return control.Invite{Token: token, Name: req.Name, Roles: req.Roles, Expires: time.Now().Add(ttl)}, nil
}

// reachable are the addresses at which a new member may find this one, the configured one first.
func (m *Member) reachable(me config.Member) []string {
	list := []string{me.Address}
	_, port, err := net.SplitHostPort(m.hub.Addr())
	if err != nil {
		return list
	}
	for _, ip := range m.ownAddresses() {
		p := net.ParseIP(ip)
		if p == nil || p.IsLoopback() != net.ParseIP(me.Host()).IsLoopback() || p.IsLinkLocalUnicast() {
			continue
		}
		if a := net.JoinHostPort(ip, port); !slices.Contains(list, a) && len(list) < 4 {
			list = append(list, a)
		}
	}
	return list
}

// PauseMember implements control.Roster.
func (m *Member) PauseMember(ctx context.Context, name farm.MemberID, on bool) error {
	what := " is resumed"
	if on {
		what = " is paused"
	}
	_, err := m.reload.Update(ctx, "member "+string(name)+what, func(files map[string][]byte) (map[string][]byte, error) {
		src, err := config.PauseMember(files[config.FarmFile], name, on)
		if err != nil {
			return nil, err
		}
		files[config.FarmFile] = src
		return files, nil
	})
	return err
}

// RemoveMember implements control.Roster.
func (m *Member) RemoveMember(ctx context.Context, name farm.MemberID) error {
	_, err := m.reload.Update(ctx, "member "+string(name)+" is removed", func(files map[string][]byte) (map[string][]byte, error) {
		src, err := config.RemoveMember(files[config.FarmFile], name)
		if err != nil {
			return nil, err
		}
		files[config.FarmFile] = src
		return files, nil
	})
	return err
}
