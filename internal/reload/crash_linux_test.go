package reload

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// storms is the environment variable that makes the test program a member which changes its configuration until it is killed.
const storms = "TANDEM_TEST_STORMS_IN"

// memberIn is a member with its directories in dir.
func memberIn(dir string) *Reloader {
	return New(Config{
		Self: "web1", Found: true, Sink: func(farm.Event) {}, Parts: []Part{&fakePart{}},
		ConfigDir: filepath.Join(dir, "config"), RevisionDir: filepath.Join(dir, "farm"), StateDir: filepath.Join(dir, "state"),
	})
}

// numbered is a configuration of which each file says the same number.
func numbered(n int) map[string][]byte {
	site := fmt.Appendf(nil, "%d %s\n", n, strings.Repeat("x", 20<<10))
	return map[string][]byte{config.FarmFile: []byte(farmToml), "sites/a.caddy": site, "sites/b.caddy": site, "sites/c.caddy": site}
}

// numberOf is the number that all files of a revision say; an error if they differ.
func numberOf(r *Reloader) (int, error) {
	files := r.Head().Files
	for _, name := range []string{"sites/b.caddy", "sites/c.caddy"} {
		if string(files[name]) != string(files["sites/a.caddy"]) {
			return 0, fmt.Errorf("%s is of another revision than sites/a.caddy", name)
		}
	}
	c := r.Current()
	if c == nil || c.Revision != r.Head().Digest {
		return 0, fmt.Errorf("the head is not live: %+v", r.Status())
	}
	number, _, _ := strings.Cut(string(files["sites/a.caddy"]), " ")
	return strconv.Atoi(number)
}

// storm changes the configuration as often as it can, and says each time when that is done.
func storm(dir string) error {
	r := memberIn(dir)
	ctx := context.Background()
	if err := r.Boot(ctx); err != nil {
		return err
	}
	go func() { _ = r.Run(ctx) }()
	n, err := numberOf(r)
	for err == nil {
		fmt.Println(n)
		if _, err = r.Apply(ctx, numbered(n+1), "storm"); err != nil {
			break
		}
		n++
		var is int
		if is, err = numberOf(r); err == nil && is != n {
			err = fmt.Errorf("%d is live, not %d", is, n)
		}
	}
	return err
}

// TestStorm is the member of TestKilledWhileCommitting.
func TestStorm(t *testing.T) {
	dir := os.Getenv(storms)
	if dir == "" {
		t.Skip("it is run by TestKilledWhileCommitting")
	}
	if err := storm(dir); err != nil {
		fmt.Println("error:", err)
	}
}

// TestKilledWhileCommitting kills a member again and again, at any moment of its commits: what is live afterwards is whole, and
// nothing that was acknowledged is lost.
func TestKilledWhileCommitting(t *testing.T) {
	dir := tempDir(t)
	first := memberIn(dir)
	must(t, os.MkdirAll(filepath.Join(dir, "config", config.SitesDir), 0o755))
	for name, data := range numbered(1) {
		must(t, os.WriteFile(filepath.Join(dir, "config", name), data, 0o644))
	}
	must(t, first.Boot(t.Context()))
	acked, total := 1, 0
	for round := range 20 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestStorm$")
		cmd.Env = append(os.Environ(), storms+"="+dir)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for said := 1; lines.Scan(); said++ {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatalf("round %d: the member says %q", round, lines.Text())
			}
			if n < acked {
				t.Fatalf("round %d: %d is live, and %d was acknowledged", round, n, acked)
			}
			if total++; said == 2 { // it is up, and has committed
				time.AfterFunc(rand.N(40*time.Millisecond), func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
			}
			acked = n
		}
		_ = cmd.Wait()
		r := memberIn(dir)
		must(t, r.Boot(t.Context()))
		if n, err := numberOf(r); err != nil || n < acked || n > acked+1 {
			t.Fatalf("round %d: after %d was acknowledged %d is live, %v", round, acked, n, err)
		}
	}
	if total < 40 {
		t.Errorf("only %d commits in all: the test does not test", total)
	}
}

// TestFullDiskWhileCommitting fills the disk of a member bit by bit: a commit is whole or none, the last good one is live
// meanwhile and after a restart, and all goes on when there is room.
func TestFullDiskWhileCommitting(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=755,size=2m"); err != nil {
		t.Skip("no tmpfs can be mounted:", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(dir, 0)) })
	r := memberIn(dir)
	must(t, os.MkdirAll(filepath.Join(dir, "config", config.SitesDir), 0o755))
	for name, data := range numbered(1) {
		must(t, os.WriteFile(filepath.Join(dir, "config", name), data, 0o644))
	}
	must(t, r.Boot(t.Context()))
	ballast := filepath.Join(dir, "ballast")
	last, refused := 1, 0
	for free := 0; free <= 320<<10; free += 16 << 10 {
		fill(t, ballast, free)
		_, err := r.Apply(t.Context(), numbered(last+1), "full")
		switch {
		case err == nil:
			last++
		case farm.KindOf(err) != farm.Unavailable:
			t.Fatalf("with %d bytes free: %v", free, err)
		default:
			refused++
		}
		for name, m := range map[string]*Reloader{"as it runs": r, "after a restart": memberIn(dir)} {
			if m != r {
				must(t, m.Boot(t.Context()))
			}
			if n, err := numberOf(m); err != nil || n != last {
				t.Fatalf("%s, with %d bytes free: %d is live, want %d: %v", name, free, n, last, err)
			}
		}
	}
	if refused == 0 || last == 1 {
		t.Errorf("%d commits were refused, %d not: the test does not test", refused, last-1)
	}
}

// fill leaves so many bytes free.
func fill(t *testing.T, ballast string, free int) {
	t.Helper()
	must(t, os.RemoveAll(ballast))
	var st syscall.Statfs_t
	must(t, syscall.Statfs(filepath.Dir(ballast), &st))
	must(t, os.WriteFile(ballast, make([]byte, max(0, int(st.Bavail)*int(st.Bsize)-free)), 0o644))
}
