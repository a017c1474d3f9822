package member

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"tandem/internal/farm"
	"tandem/internal/identity"
)

// TestRenewalByTheClock walks a node's certificate through its two years.
func TestRenewalByTheClock(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := start
	now := func() time.Time { return at }
	id, err := identity.CreateFarm(filepath.Join(t.TempDir(), "identity"), "web1", now)
	if err != nil {
		t.Fatal(err)
	}
	end, key := id.Expires(), id.Fingerprint()
	var events []farm.Event
	down := true
	r := &renewal{id: id, now: now, sink: func(e farm.Event) { events = append(events, e) },
		sign: func(_ context.Context, csr []byte) ([]byte, error) {
			if down {
				return nil, farm.Errorf("renew", "web2", farm.Unavailable, "it is down")
			}
			return id.Renew(csr, "web1", key)
		}}
	for _, step := range []struct {
		left     time.Duration
		down, ok bool
		events   int
	}{
		{renewLeft, true, true, 0},              // not yet
		{renewLeft - 1, true, false, 0},         // tried, and there is time
		{alarmLeft - 1, true, false, 1},         // little time: told
		{alarmLeft - time.Hour, true, false, 1}, // but once
		{time.Hour, false, true, 2},
		{0, true, true, 2}, // the new one lasts
	} {
		at, down = end.Add(-step.left), step.down
		if ok := r.check(t.Context()); ok != step.ok || len(events) != step.events {
			t.Fatalf("%v before the end: %v, events %+v", step.left, ok, events)
		}
	}
	if events[0].Severity != farm.Fault || events[1].Severity != farm.Healed || events[1].ID != farm.EventMemberRenewed {
		t.Errorf("events %+v", events)
	}
	if id.Fingerprint() != key || !id.Expires().After(end) {
		t.Errorf("the key is %s and was %s, the end %s", id.Fingerprint(), key, id.Expires())
	}
}

// TestAnEdgeHasItsCertificateRenewed: it has no authority and asks a node over the link.
func TestAnEdgeHasItsCertificateRenewed(t *testing.T) {
	web1 := first(t, "web1")
	edge1 := web1.joinAs("edge1", farm.RoleEdge)
	eventually(t, "the link", func() bool { return web1.links.up("edge1") })
	edge1.end()

	dir := edge1.paths.identity()
	own, err := identity.Load(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	long := own.Expires()
	past := func() time.Time { return time.Now().AddDate(-2, 0, 10) } // ten days are left
	ca, err := identity.Load(web1.paths.identity(), past)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := own.CSR()
	if err != nil {
		t.Fatal(err)
	}
	der, err := ca.Renew(csr, "edge1", own.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	if err := own.Install(der); err != nil {
		t.Fatal(err)
	}
	edge1.start()
	eventually(t, "a renewed certificate", func() bool { return !edge1.identity.Expires().Before(long) })
	if edge1.identity.Fingerprint() != own.Fingerprint() {
		t.Error("the key has changed")
	}
	for name, member := range map[string]farm.MemberID{"another's name": "web1", "nobody": "web9"} {
		if _, err := web1.Renew(member, csr); farm.KindOf(err) != farm.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
}
