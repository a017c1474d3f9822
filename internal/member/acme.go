package member

import (
	"context"
	"os"
	"strings"

	"tandem/internal/acme"
	"tandem/internal/certs"
	"tandem/internal/farm"
)

// acmeFarm implements acme.Farm.
type acmeFarm struct{ m *Member }

// Settings implements acme.Farm.
func (f acmeFarm) Settings() acme.Settings {
	c := f.m.config()
	if c == nil {
		return acme.Settings{}
	}
	a := c.ACME
	root := []byte(a.Root)
	if a.Root != "" && !strings.Contains(a.Root, "-----BEGIN") {
		b, err := os.ReadFile(a.Root)
		if err != nil {
			b = []byte(err.Error()) // is no certificate, which the first order says
			f.m.log.Error("the root of [acme] can't be read", "err", err)
		}
		root = b
	}
	mac, err := f.m.secrets.value(c, a.MACKey)
	if err != nil {
		mac = "" // an account that is there already needs none
	}
	return acme.Settings{
		Agreed: a.Agree, Directory: a.Directory, Roots: root, Email: a.Email, Challenges: a.Challenges, Hook: a.DNSHook,
		HookWait: a.DNSWait, KeyID: a.KeyID, MAC: mac, Issuers: a.Members,
	}
}

// Hosts implements acme.Farm.
func (f acmeFarm) Hosts() []string {
	c := f.m.config()
	if c == nil {
		return nil
	}
	own := c.ACME.Root != "" || c.ACME.Directory != acme.LetsEncrypt
	var hosts []string
	for _, h := range hostsOf(f.m.web.SecureHosts()) {
		if acme.Eligible(h, own) {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

// Covered implements acme.Farm. A member's own certificates are no use to the others.
func (f acmeFarm) Covered(host string) bool {
	return f.m.certs.store.Holds(strings.Replace(host, "*", "any", 1), certs.Shared)
}

// Members implements acme.Farm.
func (f acmeFarm) Members() (int, []farm.MemberID) {
	c := f.m.config()
	if c == nil {
		return 1, nil
	}
	return len(c.Members), f.m.up(c)
}

// Settle implements acme.Farm.
func (f acmeFarm) Settle(ctx context.Context) {
	m := f.m
	pos, err := m.Barrier(ctx, farm.FolderCerts)
	if err != nil || pos.Seq == 0 {
		return
	}
	c := m.config()
	want := m.up(c)
	_ = m.links.await(ctx, func() bool { return m.links.allHave(want, m.self, farm.FolderCerts, pos) }) // or the time is over
}

// allHave tells whether the members, but one, have all up to pos on disk, as they said last. The lock is held.
func (l *links) allHave(ids []farm.MemberID, but farm.MemberID, id farm.FolderID, pos farm.Position) bool {
	for _, m := range ids {
		if m != but && !l.entry(m).state.Folders[id].Applied.Covers(pos) {
			return false
		}
	}
	return true
}

var _ acme.Farm = acmeFarm{}
