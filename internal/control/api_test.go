package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// fakeBackend answers with what it is given.
type fakeBackend struct {
	status     Status
	err        error
	samples    []ProbeSample
	files      Files
	message    string
	removed    farm.MemberID
	paused     map[farm.MemberID]bool
	invited    InviteRequest
	query      ConflictQuery
	diff       DiffRequest
	restore    RestoreRequest
	edit       ConfigEdit
	maintained Maintenance
}

func (b *fakeBackend) Status(context.Context) (Status, error) { return b.status, b.err }

func (b *fakeBackend) CheckConfig(_ context.Context, files Files) (ConfigCheck, error) {
	b.files = files
	return ConfigCheck{Faults: config.Faults{{File: "farm.toml", Line: 3, Column: 7, Message: "unknown key"}}}, b.err
}

func (b *fakeBackend) RollbackConfig(ctx context.Context, e ConfigEdit) (ConfigApplied, error) {
	return b.ApplyConfig(ctx, e)
}

func (b *fakeBackend) ConfigLog(_ context.Context, limit int) ([]ConfigRevision, error) {
	return make([]ConfigRevision, limit), b.err
}

func (b *fakeBackend) ConfigRevision(_ context.Context, rev string) (ConfigRevision, error) {
	return ConfigRevision{Revision: rev, Files: Files{"farm.toml": {0xff}}}, b.err
}

func (b *fakeBackend) ExportConfig(_ context.Context, history bool) (ConfigExport, error) {
	if history {
		return ConfigExport{Head: "all"}, b.err
	}
	return ConfigExport{Head: "one"}, b.err
}

func (b *fakeBackend) ApplyConfig(_ context.Context, e ConfigEdit) (ConfigApplied, error) {
	b.files, b.message, b.edit = e.Files, e.Message, e
	return ConfigApplied{Check: ConfigCheck{OK: true, Revision: "r2"}, Changed: true}, b.err
}

func (b *fakeBackend) Probe(_ context.Context, _ farm.FolderID, _ ProbeRequest, sample func(ProbeSample)) error {
	for _, s := range b.samples {
		sample(s)
	}
	return b.err
}

func (b *fakeBackend) Invite(_ context.Context, req InviteRequest) (Invite, error) {
	b.invited = req
	return Invite{Token: "t0ken", Roles: req.Roles}, b.err
}

func (b *fakeBackend) PauseMember(_ context.Context, name farm.MemberID, on bool) error {
	b.paused = map[farm.MemberID]bool{name: on}
	return nil
}

func (b *fakeBackend) RemoveMember(_ context.Context, name farm.MemberID) error {
	b.removed = name
	return b.err
}

// serveTest runs a server and returns a client of it and the journal.
func serveTest(t *testing.T, b Backend) (*Client, *Journal) {
	t.Helper()
	dir, err := os.MkdirTemp("", "tdm") // not t.TempDir, whose long names don't fit a socket address
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	j := openTest(t, filepath.Join(dir, "events.jsonl"), 0)
	path := filepath.Join(dir, "run", "control.sock")
	s := NewServer(ServerOptions{Socket: path, Backend: b, Journal: j, Log: slog.New(slog.DiscardHandler)})
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server ended with %v", err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
	return NewClient(path), j
}

func TestCallsAndAnswers(t *testing.T) {
	v, err := farm.ParseVector("web1.1.5+web2.1.7")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000, 0).UTC()
	b := &fakeBackend{status: Status{
		Member: "web1", Farm: "shop", Since: at, Time: at, Roles: []farm.Role{farm.RoleNode}, Addresses: []string{"10.0.0.1:7443"},
		Faults:  Faults{Open: []OpenFault{}},
		Members: []Member{{Name: "web1", Link: LinkSelf}, {Name: "web2", Link: LinkUp, RTTMS: 0.4, LastSeen: &at}},
		Folders: []Folder{{ID: "uploads", State: FolderLive, InSync: true, Applied: v, Durable: v, Peers: []FolderPeer{{Member: "web2", Linked: true, Applied: v, Durable: v}}}},
		Config:  ConfigStatus{Revision: "r1", Wanted: "r1", Members: []ConfigVerdict{{Member: "web1", Revision: "r1", Live: true}}},
	}}
	c, _ := serveTest(t, b)
	ctx := t.Context()

	if st, err := c.Status(ctx); err != nil || !reflect.DeepEqual(st, b.status) {
		t.Errorf("status is\n%+v, want\n%+v; err %v", st, b.status, err)
	}
	if f, err := c.Folders(ctx); err != nil || !reflect.DeepEqual(f, b.status.Folders) {
		t.Errorf("folders are %+v, %v", f, err)
	}
	if m, err := c.Members(ctx); err != nil || !reflect.DeepEqual(m, b.status.Members) {
		t.Errorf("members are %+v, %v", m, err)
	}
	if s, err := c.ConfigStatus(ctx); err != nil || !reflect.DeepEqual(s, b.status.Config) {
		t.Errorf("configuration is %+v, %v", s, err)
	}
	if h, err := c.Health(ctx); err != nil || !h.OK {
		t.Errorf("health is %+v, %v", h, err)
	}
	files := Files{"farm.toml": []byte("x"), "sites/a.caddy": []byte("\xff")}
	if check, err := c.CheckConfig(ctx, files); err != nil || check.OK || check.Faults.Error() != "farm.toml:3:7: unknown key" || !reflect.DeepEqual(b.files, files) {
		t.Errorf("check says %+v of %v; err %v", check, b.files, err)
	}
	if a, err := c.ApplyConfig(ctx, ConfigEdit{Message: "why"}); err != nil || !a.Changed || b.files != nil || b.message != "why" {
		t.Errorf("apply says %+v of %v with message %q; err %v", a, b.files, b.message, err)
	}
	want := InviteRequest{Name: "web3", Roles: []farm.Role{farm.RoleNode, farm.RoleEdge}, TTLSec: 60}
	if inv, err := c.Invite(ctx, want); err != nil || inv.Token != "t0ken" || !reflect.DeepEqual(b.invited, want) {
		t.Errorf("invite gives %+v for %+v; err %v", inv, b.invited, err)
	}
	if err := c.PauseMember(ctx, "web2", true); err != nil || !b.paused["web2"] {
		t.Errorf("pause: %v, %v", err, b.paused)
	}
	if err := c.PauseMember(ctx, "web3", false); err != nil || len(b.paused) != 1 || b.paused["web3"] {
		t.Errorf("resume: %v, %v", err, b.paused)
	}
	if err := c.RemoveMember(ctx, "web2"); err != nil || b.removed != "web2" {
		t.Errorf("removed %q; err %v", b.removed, err)
	}
}

func TestErrorsComeBackWhole(t *testing.T) {
	b := &fakeBackend{}
	c, _ := serveTest(t, b)
	for k := farm.Other; k <= farm.Internal; k++ {
		b.err = &farm.Error{Op: "remove member", Path: "web9", Kind: k, Next: "do this", Err: errors.New("cause")}
		err := c.RemoveMember(t.Context(), "web9")
		if farm.KindOf(err) != k || err.Error() != b.err.Error() {
			t.Errorf("%v comes back as %v of kind %v", b.err, err, farm.KindOf(err))
		}
		if _, err := c.Health(t.Context()); farm.KindOf(err) != k {
			t.Errorf("health with %v gives %v", b.err, err)
		}
	}
	b.err = errors.New("plain")
	if err := c.RemoveMember(t.Context(), "web9"); farm.KindOf(err) != farm.Other || !strings.Contains(err.Error(), "plain") {
		t.Errorf("a plain error comes back as %v", err)
	}
}

func TestRequestsAreChecked(t *testing.T) {
	c, _ := serveTest(t, &fakeBackend{})
	ctx := t.Context()
	node := []farm.Role{farm.RoleNode}
	calls := map[string]func() error{
		"no roles": func() error { _, err := c.Invite(ctx, InviteRequest{TTLSec: 1}); return err },
		"unknown role": func() error {
			_, err := c.Invite(ctx, InviteRequest{Roles: []farm.Role{"king"}, TTLSec: 1})
			return err
		},
		"role twice": func() error {
			_, err := c.Invite(ctx, InviteRequest{Roles: append(node, node...), TTLSec: 1})
			return err
		},
		"no time":       func() error { _, err := c.Invite(ctx, InviteRequest{Roles: node}); return err },
		"overflow":      func() error { _, err := c.Invite(ctx, InviteRequest{Roles: node, TTLSec: 1 << 62}); return err },
		"bad name":      func() error { _, err := c.Invite(ctx, InviteRequest{Name: "../x", Roles: node, TTLSec: 1}); return err },
		"bad member":    func() error { return c.RemoveMember(ctx, "Web 1") },
		"file outside":  func() error { _, err := c.CheckConfig(ctx, Files{"../x": nil}); return err },
		"file rooted":   func() error { _, err := c.ApplyConfig(ctx, ConfigEdit{Files: Files{"/etc/x": nil}}); return err },
		"long log":      func() error { _, err := c.ConfigLog(ctx, MaxLogLimit+1); return err },
		"probe nothing": func() error { _, err := c.Probe(ctx, "shop", ProbeRequest{}, nil); return err },
		"probe much": func() error {
			_, err := c.Probe(ctx, "shop", ProbeRequest{Count: 1, SizeBytes: 1 << 40}, nil)
			return err
		},
		"unknown key": func() error { return c.call(ctx, "POST", "/v1/invites", map[string]int{"colour": 1}, nil) },
		"bad since":   func() error { return c.call(ctx, "GET", "/v1/events?since=yesterday", nil, nil) },
		"bad after":   func() error { return c.call(ctx, "GET", "/v1/events?after=-1", nil, nil) },
	}
	for name, call := range calls {
		if err := call(); farm.KindOf(err) != farm.Invalid {
			t.Errorf("%s: %v is of kind %v, want invalid", name, err, farm.KindOf(err))
		}
	}
	if err := c.call(ctx, "GET", "/v2/status", nil, nil); farm.KindOf(err) != farm.NotFound {
		t.Errorf("an unknown version gives %v", err)
	}
}

func TestProbe(t *testing.T) {
	b := &fakeBackend{}
	for i := range 100 {
		b.samples = append(b.samples,
			ProbeSample{Round: i, Member: "web3", Took: time.Duration(100-i) * time.Millisecond},
			ProbeSample{Round: i, Member: "web2", Err: errors.New("no link")})
	}
	c, _ := serveTest(t, b)
	req := ProbeRequest{Count: 100, SizeBytes: 4096}
	rounds := 0
	r, err := c.Probe(t.Context(), "shop", req, func(done, count int) { rounds++ })
	want := ProbeResult{Folder: "shop", Count: 100, SizeBytes: 4096, Targets: []ProbeTarget{
		{Member: "web2", Lost: 100, Problem: "no link"},
		{Member: "web3", Arrived: 100, P50MS: 50, P95MS: 95, P99MS: 99, MaxMS: 100},
	}}
	if err != nil || rounds != 100 || !reflect.DeepEqual(r, want) {
		t.Errorf("after %d rounds the result is %+v, want %+v; err %v", rounds, r, want, err)
	}
	b.err = &farm.Error{Op: "probe", Kind: farm.Full}
	if _, err := c.Probe(t.Context(), "shop", req, func(int, int) {}); farm.KindOf(err) != farm.Full {
		t.Errorf("a probe that fails in the middle gives %v", err)
	}
	b.samples = nil
	if _, err := c.Probe(t.Context(), "shop", req, nil); farm.KindOf(err) != farm.Full {
		t.Errorf("a probe that fails at once gives %v", err)
	}
}

func TestFollowOverTheSocket(t *testing.T) {
	c, j := serveTest(t, &fakeBackend{})
	sink(j, farm.EventFileSent, "old")
	var got []Recorded
	for e, err := range c.Follow(t.Context(), Query{ID: "file"}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
		switch len(got) {
		case 1: // the stream is there: what comes now must come through it
			sink(j, farm.EventConfigLive, "other")
			sink(j, farm.EventFileInstalled, "new")
			continue
		}
		break
	}
	if subjects(got) != "old new" {
		t.Errorf("the stream gave %q, want old new", subjects(got))
	}
	if p, err := c.Events(t.Context(), Query{}); err != nil || subjects(p.Events) != "old other new" {
		t.Errorf("the page has %q; err %v", subjects(p.Events), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	for _, err := range c.Follow(ctx, Query{}) {
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled stream ends with %v", err)
		}
	}
	cancel()
}

func TestSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "tdm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "control.sock")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}

	s, err := listenSocket(t.Context(), path)
	if err != nil {
		t.Fatalf("a dead daemon's socket is in the way: %v", err)
	}
	if st, err := os.Lstat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v; err %v", st.Mode(), err)
	}
	if _, err := listenSocket(t.Context(), path); farm.KindOf(err) != farm.Exists {
		t.Errorf("a living daemon's socket gives %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left; err %v", left, err)
	}
	if _, err := listenSocket(t.Context(), filepath.Join(dir, strings.Repeat("x", 120))); farm.KindOf(err) != farm.Invalid {
		t.Errorf("a path that is too long gives %v", err)
	}
}

func TestNoDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	_, err := NewClient(path).Status(t.Context())
	var fe *farm.Error
	if !errors.As(err, &fe) || fe.Kind != farm.Unavailable || fe.Err.Error() != "no daemon answers on "+path || fe.Next != "start it with: tandem run" {
		t.Errorf("without a daemon the error is %v", err)
	}
}

func TestHealthNamesWhatIsWrong(t *testing.T) {
	st := Status{
		Member:   "web1",
		Faults:   Faults{Open: []OpenFault{{Event: farm.Event{ID: "file.blocked", Subject: "a/b", Message: "no space"}}}, More: 2},
		Folders:  []Folder{{ID: "a", State: FolderHalted, Reason: "root is gone"}, {ID: "b", State: FolderLive, Reason: "3 paths wait"}, {ID: "c", InSync: true}},
		Config:   ConfigStatus{Revision: "1", Wanted: "2", Faults: config.Faults{{File: "farm.toml", Line: 1, Message: "bad"}}, Members: []ConfigVerdict{{Member: "web1"}, {Member: "web2"}, {Member: "web3"}}},
		Sites:    []Site{{File: "sites/x.caddy", Faults: config.Faults{{File: "sites/x.caddy", Line: 2, Message: "unknown directive"}}}},
		Bindings: []Binding{{Address: ":80", State: BindingRefused, Reason: "in use"}, {Address: ":81", State: BindingSkipped}},
		Members:  []Member{{Name: "web1", Link: LinkSelf}, {Name: "web2", Link: LinkDown, Reason: "refused"}},
		Nodes:    []Node{{Member: "web2", State: HealthFailing}, {Member: "web3", State: HealthDraining}},
	}
	want := `file.blocked a/b: no space
2 more faults
folder a is halted: root is gone
folder b is not in sync: 3 paths wait
the configuration that is wanted is not live here
farm.toml:1: bad
site refused: sites/x.caddy:2: unknown directive
binding :80 is refused: in use
member web2 is not linked: refused
the configuration is not live on web3
node web2 gets no visitors`
	if h := HealthOf(st); h.OK || strings.Join(h.Reasons, "\n") != want {
		t.Errorf("health says\n%s\nwant\n%s", strings.Join(h.Reasons, "\n"), want)
	}
}

// What a fault says, with the time since when, is not said again, and folders that wait for the same stand together.
func TestHealthSaysNothingTwice(t *testing.T) {
	open := func(id farm.EventID, subject, message string) OpenFault {
		return OpenFault{Event: farm.Event{ID: id, Subject: subject, Message: message}}
	}
	st := Status{
		Member: "edge1",
		Faults: Faults{Open: []OpenFault{
			open(farm.EventMemberDown, "web2", "lost"), open(farm.EventNodeDown, "web2", "no visitors"), open(farm.EventFolderHalted, "a", "root is gone"),
			open(farm.EventBindingFailed, ":80", "in use"), open(farm.EventConfigRefused, "/etc/tandem", "the edit was refused: farm.toml:1: bad"),
		}},
		Folders: []Folder{{ID: "a", State: FolderHalted}, {ID: "b", Reason: "web2 is not linked"}, {ID: "c", Reason: "3 paths wait"},
			{ID: "d", Reason: "web2 is not linked"}, {ID: "e", Reason: "web2 is not linked"}},
		Config:  ConfigStatus{Faults: config.Faults{{File: "farm.toml", Line: 1, Message: "bad"}, {File: "farm.toml", Line: 2, Message: "worse"}}},
		Members: []Member{{Name: "web2", Link: LinkDown}, {Name: "web3", Link: LinkDown, Reason: "refused"}},
		Nodes:   []Node{{Member: "web2", State: HealthFailing}, {Member: "web3", State: HealthFailing}},

		Bindings: []Binding{{Address: ":80", State: BindingRefused, Reason: "in use"}},
	}
	want := `member.down web2: lost
node.down web2: no visitors
folder.halted a: root is gone
binding.failed :80: in use
config.refused /etc/tandem: the edit was refused: farm.toml:1: bad
folders b, d and e are not in sync: web2 is not linked
folder c is not in sync: 3 paths wait
farm.toml:2: worse
member web3 is not linked: refused
node web3 gets no visitors`
	if got := strings.Join(HealthOf(st).Reasons, "\n"); got != want {
		t.Errorf("health says\n%s\nwant\n%s", got, want)
	}
}

func TestMetrics(t *testing.T) {
	b := &fakeBackend{status: Status{
		Members: []Member{{Name: "web1", Link: LinkSelf}, {Name: "web2", Link: LinkUp, RTTMS: 2}},
		Folders: []Folder{{ID: "shop", Entries: 12, InSync: true, Peers: []FolderPeer{{Member: "web2", Backlog: 3}}}},
		Nodes:   []Node{{Member: "web2", State: HealthHealthy, Requests: 9}},
	}}
	j := openTest(t, filepath.Join(t.TempDir(), "events.jsonl"), 0)
	sink(j, farm.EventFileSent, "a", "b")
	get := func() (int, string) {
		rec := httptest.NewRecorder()
		NewServer(ServerOptions{Backend: b, Journal: j, Log: slog.New(slog.DiscardHandler)}).Handler().
			ServeHTTP(rec, httptest.NewRequest("GET", "/v1/metrics", nil))
		return rec.Code, rec.Body.String()
	}
	code, text := get()
	if code != http.StatusOK {
		t.Errorf("metrics answer %d", code)
	}
	for _, line := range []string{
		`tandem_events_total{id="file.sent",severity="info"} 2`, `tandem_open_faults 0`, `tandem_member_rtt_seconds{member="web2"} 0.002`,
		`tandem_folder_entries{folder="shop"} 12`, `tandem_folder_backlog{folder="shop",member="web2"} 3`,
		`tandem_node_requests_total{node="web2"} 9`, `go_goroutines `,
	} {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("metrics lack %q in\n%s", line, text)
		}
	}
	b.err = errors.New("no status")
	if code, _ := get(); code != http.StatusInternalServerError {
		t.Errorf("metrics without a status answer %d, want a failed scrape", code)
	}
}

func FuzzRequests(f *testing.F) {
	for _, s := range []string{"/v1/events?since=x&after=1", "/v1/config/check", "/v1/invites", "/v1/folders/a/probe"} {
		f.Add(s, []byte(`{"roles":["node"],"ttl_seconds":1,"count":1,"size_bytes":1,"files":{"a":"eA=="}}`))
	}
	j, err := OpenJournal(JournalOptions{Path: filepath.Join(f.TempDir(), "events.jsonl"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	h := NewServer(ServerOptions{Backend: &fakeBackend{}, Journal: j, Log: slog.New(slog.DiscardHandler)}).Handler()
	f.Fuzz(func(t *testing.T, target string, body []byte) {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			req, err := http.NewRequestWithContext(t.Context(), method, "http://tandem"+target, bytes.NewReader(body))
			if err != nil || strings.Contains(target, "follow") {
				return
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, req)
			if b, err := io.ReadAll(rec.Body); rec.Code == 0 || err != nil {
				t.Errorf("%s %s answers %s", method, target, fmt.Sprint(rec.Code, b, err))
			}
		}
	})
}

func (b *fakeBackend) Seed(_ context.Context, folder farm.FolderID) (SeedSummary, error) {
	return SeedSummary{Folder: folder, Choice: "wait", Equal: SeedTally{Paths: 3, Bytes: 30}, Extra: SeedTally{Paths: 1, Bytes: 5},
		Examples: []SeedExample{{Path: "old.txt", Type: "file", Bytes: 5}}}, nil
}

func (b *fakeBackend) ChooseExtra(_ context.Context, folder farm.FolderID, extra farm.ExtraFiles) error {
	if folder != "shop" || extra != farm.ExtraPush {
		return farm.Errorf("choose", string(folder), farm.Conflict, "asked for %s", extra)
	}
	return nil
}

func TestRevisionsAPI(t *testing.T) {
	b := &fakeBackend{}
	c, _ := serveTest(t, b)
	ctx := t.Context()
	edit := ConfigEdit{To: "3f9a", IfRevision: "head", DryRun: true, KeepMembers: true, Patch: true, History: [][]byte{{1}}, Files: Files{"farm.toml": []byte("x")}}
	if _, err := c.RollbackConfig(ctx, edit); err != nil || !reflect.DeepEqual(b.edit, edit) {
		t.Errorf("rollback asks for %+v, %v", b.edit, err)
	}
	if log, err := c.ConfigLog(ctx, 3); err != nil || len(log) != 3 {
		t.Errorf("log is %v, %v", log, err)
	}
	if r, err := c.ConfigRevision(ctx, "head~1"); err != nil || r.Revision != "head~1" || !reflect.DeepEqual(r.Files, Files{"farm.toml": {0xff}}) {
		t.Errorf("revision is %+v, %v", r, err)
	}
	if list, err := c.Secrets(ctx); err != nil || len(list) != 1 || list[0].Name != "db" {
		t.Errorf("secrets are %+v, %v", list, err)
	}
	if sealed, err := c.ExportSecrets(ctx, "3f9a", "phrase"); err != nil || string(sealed) != "3f9a under phrase" {
		t.Errorf("exported %q, %v", sealed, err)
	}
	for history, want := range map[bool]string{false: "one", true: "all"} {
		if e, err := c.ExportConfig(ctx, history); err != nil || e.Head != want {
			t.Errorf("export is %+v, %v", e, err)
		}
	}
}

func (b *fakeBackend) Secrets(context.Context) ([]Secret, error) {
	return []Secret{{Name: "db", Set: true, UsedIn: []string{}}}, b.err
}

func (b *fakeBackend) ExportSecrets(_ context.Context, revision, passphrase string) ([]byte, error) {
	return []byte(revision + " under " + passphrase), b.err
}

func (b *fakeBackend) SetSecret(context.Context, string, string) (ConfigApplied, error) {
	return ConfigApplied{Check: ConfigCheck{OK: true}, Changed: true}, nil
}
