package member

import (
	"context"
	"errors"
	"log/slog"
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

// settleTime is how long a test waits for what takes milliseconds.
const settleTime = 10 * time.Second

// server is a member that runs in this process.
type server struct {
	*Member
	t     *testing.T
	paths Paths
	www   string        // its own place for the folder "www"
	sweep time.Duration // see RunOptions
	stop  context.CancelFunc
	done  chan error
}

func newServer(t *testing.T) *server {
	t.Helper()
	dir := t.TempDir()
	return &server{t: t, www: filepath.Join(dir, "www"), paths: Paths{
		Config: filepath.Join(dir, "config"), State: filepath.Join(dir, "state"), Socket: filepath.Join(dir, "control.sock"),
	}}
}

// freeAddress is an address on which nobody listens for now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// first makes a farm with the folder "www" in it. What the member's own process writes is no news to fanotify, and that
// is the test's process too: hence inotify.
func first(t *testing.T, name farm.MemberID) *server {
	s, at := newServer(t), freeAddress(t)
	if err := Init(t.Context(), InitOptions{
		Paths: s.paths, Farm: "test", Name: name, Address: at, Listen: at, Roles: []farm.Role{farm.RoleNode}, Addresses: []string{"127.0.0.1"},
	}); err != nil {
		t.Fatal(err)
	}
	s.edit(config.FarmFile, func(src string) string {
		return src + "\n[folder.www]\npath = \"/nowhere\"\nwatch = \"inotify\"\n"
	})
	s.place()
	s.start()
	return s
}

// join makes another member by a token of s and runs it.
func (s *server) join(name farm.MemberID) *server {
	s.t.Helper()
	return s.joinAs(name, farm.RoleNode)
}

func (s *server) joinAs(name farm.MemberID, role farm.Role) *server {
	s.t.Helper()
	eventually(s.t, "it listens", func() bool { return s.hub.Addr() != "" })
	inv, err := s.Invite(s.t.Context(), control.InviteRequest{Roles: []farm.Role{role}, TTLSec: 60})
	if err != nil {
		s.t.Fatal(err)
	}
	n, at := newServer(s.t), freeAddress(s.t)
	if err := Join(s.t.Context(), inv.Token, JoinOptions{
		Paths: n.paths, Name: name, Address: at, Listen: at, Addresses: []string{"127.0.0.1"},
	}); err != nil {
		s.t.Fatal(err)
	}
	n.place()
	n.start()
	return n
}

// place gives the member its own place for the folder.
func (s *server) place() {
	s.t.Helper()
	f, err := s.paths.readMemberFile()
	if err != nil {
		s.t.Fatal(err)
	}
	f.Folders = map[string]config.Here{"www": {Path: s.www}}
	if err := os.WriteFile(s.paths.memberFile(), f.Write(), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) start() {
	s.t.Helper()
	m, err := build(RunOptions{Paths: s.paths, Version: "test", Log: slog.New(slog.DiscardHandler), Sweep: s.sweep})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.Member, s.stop, s.done = m, stop, make(chan error, 1)
	ready := make(chan struct{})
	go func() { s.done <- m.run(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-s.done:
		s.t.Fatalf("it does not run: %v", err)
	}
	s.t.Cleanup(s.end)
}

func (s *server) end() {
	if s.stop == nil {
		return
	}
	s.stop()
	if err := <-s.done; err != nil && !errors.Is(err, context.Canceled) {
		s.t.Errorf("%s: %v", s.self, err)
	}
	s.stop = nil
	for _, socket := range []string{s.paths.Socket, s.paths.visitors()} {
		if _, err := os.Lstat(socket); !os.IsNotExist(err) {
			s.t.Errorf("%s: %s is left: %v", s.self, socket, err)
		}
	}
}

func (s *server) edit(name string, change func(string) string) {
	s.t.Helper()
	name = filepath.Join(s.paths.Config, name)
	src, err := os.ReadFile(name)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(change(string(src))), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) write(name, content string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.www, name), []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) has(name, content string) func() bool {
	return func() bool {
		b, err := os.ReadFile(filepath.Join(s.www, name))
		return err == nil && string(b) == content
	}
}

func (s *server) folder() control.Folder {
	st, err := s.Status(s.t.Context())
	if err != nil {
		return control.Folder{}
	}
	for _, f := range st.Folders {
		if f.ID == "www" {
			return f
		}
	}
	return control.Folder{}
}

func (s *server) inState(state control.FolderState) func() bool {
	return func() bool { return s.folder().State == state }
}

// eventually fails the test if cond does not become true.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	limit := time.After(settleTime)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not in %v: %s", settleTime, what)
		}
	}
}

func contains(file, text string) func() bool {
	return func() bool {
		b, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(b), text)
	}
}
