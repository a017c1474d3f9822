package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

func TestUnits(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{size(0), "0 B"}, {size(1023), "1023 B"}, {size(1024), "1.0 KiB"}, {size(1<<20 - 1), "1.0 MiB"}, {size(1 << 20), "1.0 MiB"}, {size(3 << 40), "3.0 TiB"},
		{grouped(0), "0"}, {grouped(999), "999"}, {grouped(1000), "1,000"}, {grouped(-1234567), "-1,234,567"}, {grouped(-100), "-100"},
		{millis(0.4), "0.40 ms"}, {millis(250), "250 ms"}, {millis(2500), "2.50 s"},
		{span(-time.Second), "0 s"}, {span(59 * time.Second), "59 s"}, {span(90 * time.Minute), "1 h 30 min"}, {span(50 * time.Hour), "2 d 2 h"},
		{plural(1, "fault", "faults"), "1 fault"}, {plural(0, "fault", "faults"), "0 faults"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestFailSaysWhatToDo(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&farm.Error{Kind: farm.Unavailable, Err: errors.New("no daemon answers on /s"), Next: "start it with: tandem run"}, "tandem: no daemon answers on /s (start it with: tandem run)\n"},
		{farm.Errorf("join", "web2", farm.Denied, "the token is used"), "tandem: join web2: the token is used\n"},
		{config.Faults{{File: "farm.toml", Line: 1, Column: 2, Message: "a"}, {Message: "b"}}, "tandem: farm.toml:1:2: a\ntandem: b\n"},
	} {
		a, _, stderr := quietApp()
		if a.ui.fail(c.err); stderr.String() != c.want {
			t.Errorf("%v is said as %q, want %q", c.err, stderr, c.want)
		}
	}
}

func TestColourRepeatsWhatTheWordsSay(t *testing.T) {
	a, out, _ := quietApp()
	a.ui.colour = true
	printStatus(a.ui, illStatus())
	b, without, _ := quietApp()
	printStatus(b.ui, illStatus())
	plain := out.String()
	for _, code := range []tone{good, warn, bad, quiet, loud, "0"} {
		plain = strings.ReplaceAll(plain, "\x1b["+string(code)+"m", "")
	}
	if plain != without.String() || plain == out.String() {
		t.Error("the words and their places are not the same with colours and without")
	}
}

func TestStatusOutput(t *testing.T) {
	for file, st := range map[string]control.Status{"well": wellStatus(), "ill": illStatus()} {
		a, out, _ := quietApp()
		printStatus(a.ui, st)
		golden(t, filepath.Join("testdata", "status-"+file+".golden"), out.String())
	}
}

func wellStatus() control.Status {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	typed := now.Add(-90 * time.Minute)
	return control.Status{
		Member: "web1", Farm: "shop", Version: "v0.1.0", Since: now.Add(-76 * time.Hour), Time: now,
		Roles: []farm.Role{farm.RoleNode, farm.RoleEdge}, Addresses: []string{"192.0.2.11:7443"},
		Members: []control.Member{
			{Name: "web1", Roles: []farm.Role{farm.RoleNode, farm.RoleEdge}, Link: control.LinkSelf, Version: "v0.1.0", Addresses: []string{"192.0.2.11:7443"}},
			{Name: "web2", Roles: []farm.Role{farm.RoleNode}, Link: control.LinkUp, RTTMS: 0.41, LastSeen: &now, Version: "v0.1.0", Addresses: []string{"192.0.2.12:7443"}},
		},
		Folders: []control.Folder{{ID: "uploads", Path: "/srv/uploads", State: control.FolderLive, Watch: "fanotify", Entries: 12345, Bytes: 3 << 30, InSync: true,
			Peers: []control.FolderPeer{{Member: "web2", Linked: true}}}},
		Config: control.ConfigStatus{Revision: "1a2b3c4d5e6f7890", Wanted: "1a2b3c4d5e6f7890", Author: "web2", Time: &typed, Message: "a second name",
			Members: []control.ConfigVerdict{{Member: "web1", Revision: "1a2b3c4d5e6f7890", Live: true}, {Member: "web2", Revision: "1a2b3c4d5e6f7890", Live: true}}},
		Sites:    []control.Site{{File: "sites/shop.caddy", Hosts: []string{"shop.example", "www.shop.example"}, Live: true}},
		Bindings: []control.Binding{{Address: ":443", For: "edge", State: control.BindingLive}},
		Nodes:    []control.Node{{Member: "web1", State: control.HealthHealthy, Requests: 1201}, {Member: "web2", State: control.HealthHealthy, Active: 2, Requests: 1202}},
	}
}

func illStatus() control.Status {
	st := wellStatus()
	st.Faults.Open = []control.OpenFault{{Since: st.Time.Add(-5 * time.Minute), Count: 3, Event: farm.Event{
		ID: farm.EventNodeDown, Subject: "web2", Message: "no answer for 1 s", Next: "look at web2", Severity: farm.Fault}}}
	st.Members[1].Link, st.Members[1].Reason = control.LinkDown, "connection refused"
	seen := st.Time.Add(-5 * time.Minute)
	st.Members[1].LastSeen = &seen
	st.Folders[0].InSync, st.Folders[0].Reason, st.Folders[0].Peers[0].Linked = false, "web2 is not linked", false
	lost, none, oldest := int64(2), int64(0), st.Time.Add(-time.Hour)
	st.Folders[0].Preserved = control.PreservedUsage{Files: 4, Bytes: 4096, Conflicts: 1, Oldest: &oldest}
	st.Folders[0].Peers[0].Conflicts = &lost
	st.Folders[0].Peers = append(st.Folders[0].Peers, control.FolderPeer{Member: "web3", Linked: true}, control.FolderPeer{Member: "web4", Linked: true, Conflicts: &none})
	st.Config.Faults = config.Faults{{File: "farm.toml", Line: 3, Column: 7, Message: `unknown key "naem"`, Hint: `did you mean "name"?`}}
	st.Config.Members[1] = control.ConfigVerdict{Member: "web2", Revision: "0000000000000000", Faults: []string{"port 80 is taken"}}
	st.Sites[0].Live = false
	st.Sites[0].Faults = config.Faults{{File: "sites/shop.caddy", Line: 2, Message: "unknown directive"}}
	st.Bindings = append(st.Bindings, control.Binding{Address: "192.0.2.12:80", For: "sites/shop.caddy", State: control.BindingSkipped, Reason: "the address of web2"})
	st.Nodes[1].State, st.Nodes[1].Reason = control.HealthFailing, "no session"
	return st
}

func TestPlaces(t *testing.T) {
	p := places{}
	p.system.config, p.system.state, p.system.run = "/etc/tandem", "/var/lib/tandem", "/run/tandem"
	if got := p.socketPath(); got != "/run/tandem/control.sock" || !p.usual() {
		t.Errorf("the usual socket is %s", got)
	}
	p.state = "/x"
	if got := p.socketPath(); got != "/x/control.sock" || p.usual() || p.flags() != " --state /x" {
		t.Errorf("with --state /x the socket is %s and the flags are %q", got, p.flags())
	}
	if p.socket = "/y"; p.socketPath() != "/y" {
		t.Errorf("with --socket /y the socket is %s", p.socketPath())
	}
}

func TestServiceManagerIsTold(t *testing.T) {
	dir, err := os.MkdirTemp("", "tdm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Skipf("this system has no datagram sockets in the file system: %v", err)
	}
	defer l.Close()
	if err := notifyService(path, "READY=1"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64)
	if n, err := l.Read(b); err != nil || string(b[:n]) != "READY=1" {
		t.Errorf("the service manager was told %q; err %v", b[:n], err)
	}
	if err := notifyService("", "READY=1"); err != nil {
		t.Errorf("without a service manager: %v", err)
	}
}

func TestSince(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{"2h": now.Add(-2 * time.Hour), "2026-05-01T10:00:00Z": now.Add(-2 * time.Hour)} {
		if got, err := sinceTime(s, now); err != nil || !got.Equal(want) {
			t.Errorf("%s is %v, %v; want %v", s, got, err, want)
		}
	}
	if _, err := sinceTime("yesterday", now); err == nil {
		t.Error("yesterday is taken for a time")
	}
}
