//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/internal/control"
	"tandem/internal/farm"
)

var program string // the binary under test

func TestMain(m *testing.M) {
	if dir := os.Getenv(notesDirEnv); dir != "" {
		os.Exit(serveNotes(dir))
	}
	if dir := os.Getenv(ledgerDirEnv); dir != "" {
		os.Exit(serveLedger(dir))
	}
	if node := os.Getenv(speakerEnv); node != "" {
		os.Exit(serveSpeaker(node))
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "tandem-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "tandem")
		if out, err := exec.Command("go", "build", "-o", program, "tandem/cmd/tandem").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// need skips the test unless it can make namespaces and has the commands.
func need(t *testing.T, commands ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("long test, left out by -short")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make network namespaces")
	}
	for _, c := range append([]string{"ip"}, commands...) {
		if _, err := exec.LookPath(c); err != nil {
			t.Skipf("needs %s: %v", c, err)
		}
	}
}

// member is a server of the farm under test.
type member struct {
	name, addr, dir string
	program         string // that it runs
	cmd             *exec.Cmd
	done            chan struct{}
}

type farmUnderTest struct {
	t       *testing.T
	lan     *lan
	members map[string]*member
	order   []string
}

// newFarm makes the servers of a farm; the first is its first member. Nothing runs yet.
func newFarm(t *testing.T, names ...string) *farmUnderTest { return newFarmOn(t, newLAN(t), names...) }

func newFarmOn(t *testing.T, l *lan, names ...string) *farmUnderTest {
	f := &farmUnderTest{t: t, lan: l, members: map[string]*member{}, order: names}
	for _, n := range names {
		f.members[n] = &member{name: n, addr: f.lan.host(n), dir: filepath.Join(t.TempDir(), n), program: program}
	}
	f.lan.host("visitor")
	t.Cleanup(func() {
		for _, n := range names {
			if t.Failed() {
				if st, err := f.try(n, "status"); err == nil {
					t.Logf("--- %s\n%s", n, st)
				}
				log, _ := os.ReadFile(filepath.Join(f.members[n].dir, "log"))
				t.Logf("--- %s\n%s", n, tail(log, 40))
			}
			f.stop(n)
		}
	})
	return f
}

func tail(b []byte, lines int) string {
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func (f *farmUnderTest) folder(name string) string { return filepath.Join(f.members[name].dir, "www") }

func (f *farmUnderTest) flags(name string) []string {
	d := f.members[name].dir
	return []string{"--config", d + "/config", "--state", d + "/state", "--socket", d + "/sock"}
}

// tandem runs a command of the program on a server and returns what it printed.
func (f *farmUnderTest) tandem(name string, args ...string) []byte {
	f.t.Helper()
	out, err := f.try(name, args...)
	if err != nil {
		f.t.Fatal(err)
	}
	return out
}

func (f *farmUnderTest) try(name string, args ...string) ([]byte, error) {
	cmd := f.lan.command(name, append(append([]string{f.members[name].program}, args...), f.flags(name)...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: tandem %s: %w: %s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return out, err
}

// found makes the farm: init on the first server, then each other one joins with a token of its own. Servers called
// edge... are edges, all others nodes. farmFile completes farm.toml; %s stands for the folder's path.
func (f *farmUnderTest) found(farmFile string, sites map[string]string) {
	f.t.Helper()
	first := f.order[0]
	for _, n := range f.order {
		if err := os.MkdirAll(f.members[n].dir, 0o755); err != nil {
			f.t.Fatal(err)
		}
	}
	f.tandem(first, "init", "--farm", "test", "--name", first, "--address", f.members[first].addr, "--role", role(first))
	path := filepath.Join(f.members[first].dir, "config", "farm.toml")
	src, err := os.ReadFile(path)
	if err != nil {
		f.t.Fatal(err)
	}
	f.write(path, string(src)+farmFile)
	for name, text := range sites {
		f.write(filepath.Join(f.members[first].dir, "config", "sites", name), text)
	}
	f.place(first)
	f.start(first)
	for _, n := range f.order[1:] {
		f.join(n)
	}
}

// join lets a server join with a token of its own, and starts it.
func (f *farmUnderTest) join(n string) {
	f.t.Helper()
	var inv struct{ Token string }
	if err := json.Unmarshal(f.tandem(f.order[0], "invite", "--role", role(n), "--json"), &inv); err != nil {
		f.t.Fatal(err)
	}
	f.tandem(n, "join", inv.Token, "--name", n, "--address", f.members[n].addr)
	f.place(n)
	f.start(n)
}

func role(name string) string {
	if strings.HasPrefix(name, "edge") {
		return "edge"
	}
	return "node"
}

// place puts the server's copy of the folder into its own directory, because all servers share one file system here.
func (f *farmUnderTest) place(n string) {
	if role(n) != "node" {
		return
	}
	path := filepath.Join(f.members[n].dir, "config", "member.toml")
	src, err := os.ReadFile(path)
	if err != nil {
		f.t.Fatal(err)
	}
	f.write(path, string(src)+fmt.Sprintf("\n[folder.www]\npath = %q\n", f.folder(n)))
}

func (f *farmUnderTest) write(path, text string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// start runs the daemon and waits until it answers.
func (f *farmUnderTest) start(n string) {
	f.t.Helper()
	m := f.members[n]
	log, err := os.OpenFile(filepath.Join(m.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		f.t.Fatal(err)
	}
	defer log.Close()
	m.cmd = f.lan.command(n, append([]string{m.program, "run"}, f.flags(n)...)...)
	m.cmd.Stdout, m.cmd.Stderr = log, log
	if err := m.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	m.done = make(chan struct{})
	cmd, done := m.cmd, m.done
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	f.await(30*time.Second, n+" answers", func() error {
		_, err := f.try(n, "status", "--json")
		return err
	})
}

// kill is kill -9. (ip netns exec replaces itself by the program, so the process is the daemon.)
func (f *farmUnderTest) kill(n string) { f.signal(n, syscall.SIGKILL) }

// stop ends the daemon in order.
func (f *farmUnderTest) stop(n string) { f.signal(n, syscall.SIGTERM) }

func (f *farmUnderTest) signal(n string, s syscall.Signal) {
	m := f.members[n]
	if m.cmd == nil {
		return
	}
	_ = m.cmd.Process.Signal(s)
	select {
	case <-m.done:
	case <-time.After(20 * time.Second):
		f.t.Errorf("%s did not stop on %v", n, s)
		_ = m.cmd.Process.Kill()
		<-m.done
	}
	m.cmd = nil
}

// await waits for a condition of the outside world.
func (f *farmUnderTest) await(limit time.Duration, what string, cond func() error) {
	f.t.Helper()
	f.awaitEvery(20*time.Millisecond, limit, what, cond)
}

// awaitEvery looks that often.
func (f *farmUnderTest) awaitEvery(period, limit time.Duration, what string, cond func() error) {
	f.t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		err := cond()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("%s: not within %s: %v", what, limit, err)
		}
		<-tick.C
	}
}

// visitor is an HTTP client on the network, with cookies of its own.
func (f *farmUnderTest) visitor(jar http.CookieJar) *http.Client {
	tr := &http.Transport{DialContext: f.lan.dial("visitor"), MaxIdleConnsPerHost: 64}
	f.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Jar: jar, Timeout: 30 * time.Second}
}

// background runs a command until the test ends.
func (f *farmUnderTest) background(cmd *exec.Cmd) {
	f.t.Helper()
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // keepalived and nginx end their children then
		ended := make(chan struct{})
		go func() {
			_ = cmd.Wait()
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
}

// percentile is the value below which p percent of the list lie. It sorts the list.
func percentile(list []time.Duration, p int) time.Duration {
	slices.Sort(list)
	return list[min(len(list)-1, len(list)*p/100)]
}

// edgeReady waits until the edge sends visitors to so many nodes.
func (f *farmUnderTest) edgeReady(edge string, nodes int) {
	f.t.Helper()
	f.await(30*time.Second, fmt.Sprintf("%s has %d nodes", edge, nodes), func() error {
		st, err := f.status(edge)
		if err != nil {
			return err
		}
		healthy := 0
		for _, n := range st.Nodes {
			if n.State == control.HealthHealthy {
				healthy++
			}
		}
		if healthy != nodes {
			return fmt.Errorf("%d are healthy: %v", healthy, st.Nodes)
		}
		return nil
	})
}

// inSync waits until every one of the nodes says that its folder is.
func (f *farmUnderTest) inSync(nodes ...string) {
	f.t.Helper()
	for _, n := range nodes {
		f.await(30*time.Second, n+" is in sync", func() error {
			st, err := f.status(n)
			if err != nil {
				return err
			}
			for _, folder := range st.Folders {
				if !folder.InSync {
					return fmt.Errorf("folder %s: %s", folder.ID, folder.Reason)
				}
			}
			return nil
		})
	}
}

func (f *farmUnderTest) status(n string) (st control.Status, err error) {
	out, err := f.try(n, "status", "--json")
	if err == nil {
		err = json.Unmarshal(out, &st)
	}
	return st, err
}

// events are those of a member with the id since a moment, the oldest first.
func (f *farmUnderTest) events(n string, id farm.EventID, since time.Time) []farm.Event {
	f.t.Helper()
	var list []farm.Event
	out := f.tandem(n, "events", "--json", "--limit", "10000", "--id", string(id))
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var e farm.Event
		if err := d.Decode(&e); err != nil {
			f.t.Fatal(err)
		}
		if !e.Time.Before(since) {
			list = append(list, e)
		}
	}
	return list
}

// awaitEvent waits for an event of the member that is as it should be, and returns it.
func (f *farmUnderTest) awaitEvent(n string, id farm.EventID, since time.Time, fits func(farm.Event) bool) (found farm.Event) {
	f.t.Helper()
	f.await(10*time.Second, fmt.Sprintf("event %s of %s", id, n), func() error {
		all := f.events(n, id, since)
		for _, e := range all {
			if fits(e) {
				found = e
				return nil
			}
		}
		return fmt.Errorf("none of %v is it", all)
	})
	return found
}
