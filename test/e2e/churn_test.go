//go:build linux

package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var churnTime = flag.Duration("churn", 5*time.Second, "how long TestChurn goes on")

// TestChurn: three nodes on which archives are unpacked and deleted, branches are checked out, editors save in their
// four ways and a log grows, while readers on all of them open files that are replaced all the time: these must always
// be there, and whole (I3). Meanwhile one node is stopped and goes on, and another is killed and restarted.
func TestChurn(t *testing.T) {
	need(t, "rsync", "tar", "git")
	nodes := []string{"web1", "web2", "web3"}
	f := newFarm(t, nodes...)
	f.found("\n[folder.www]\npath = \"/var/www\"\n", nil)
	f.inSync(nodes...)
	c := &churn{farmUnderTest: f}
	for i := range steadyFiles {
		c.save("web1", i, 0)
	}
	f.inSync(nodes...)
	ctx, cancel := context.WithTimeout(context.Background(), *churnTime)
	defer cancel()
	var readers, apps sync.WaitGroup
	reading, stop := context.WithCancel(context.Background())
	defer stop()
	for _, n := range nodes {
		readers.Go(func() { c.read(reading, n) })
	}
	for _, app := range []func(context.Context) error{
		func(ctx context.Context) error { return c.saver(ctx, "web1") },
		func(ctx context.Context) error { return c.unpacker(ctx, "web2") },
		func(ctx context.Context) error { return c.brancher(ctx, "web3") },
		func(ctx context.Context) error { return c.editors(ctx, "web3") },
		func(ctx context.Context) error { return c.logger(ctx, "web1") },
	} {
		apps.Go(func() {
			if err := app(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	third := *churnTime / 3
	<-time.After(third / 2)
	_ = f.members["web3"].cmd.Process.Signal(syscall.SIGSTOP)
	<-time.After(third)
	_ = f.members["web3"].cmd.Process.Signal(syscall.SIGCONT)
	f.kill("web2")
	<-time.After(third / 2)
	f.start("web2")
	apps.Wait()
	f.inSync(nodes...)
	stop()
	readers.Wait()
	f.equal("web1", "web2")
	f.equal("web1", "web3")
	t.Logf("%d saves, %d reads, %d archives, %d checkouts, %d lines", c.saves.Load(), c.reads.Load(), c.archives.Load(),
		c.checkouts.Load(), c.lines.Load())
	if c.reads.Load() == 0 || c.saves.Load() == 0 || c.archives.Load() == 0 || c.checkouts.Load() == 0 {
		t.Error("a part of the churn did nothing")
	}
}

// steadyFiles exist from the beginning to the end.
const steadyFiles = 20

type churn struct {
	*farmUnderTest
	saves, reads, archives, checkouts, lines atomic.Int64
}

func (c *churn) steady(n string, i int) string {
	return filepath.Join(c.folder(n), "steady", fmt.Sprint(i))
}

// save replaces a steady file by one that says itself whether it is whole.
func (c *churn) save(n string, i, version int) error {
	body := bytes.Repeat(fmt.Appendf(nil, "file %d version %d\n", i, version), 1+(i*37+version)%4000)
	sum := sha256.Sum256(body)
	path := c.steady(n, i)
	aside := filepath.Join(c.members[n].dir, "aside-steady")
	c.saves.Add(1)
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(aside, append([]byte(hex.EncodeToString(sum[:])+"\n"), body...), 0o640),
		os.Rename(aside, path))
}

func whole(b []byte) bool {
	head, body, ok := bytes.Cut(b, []byte("\n"))
	sum := sha256.Sum256(body)
	return ok && string(head) == hex.EncodeToString(sum[:])
}

func (c *churn) saver(ctx context.Context, n string) error {
	for version := 1; ctx.Err() == nil; version++ {
		if err := c.save(n, version%steadyFiles, version); err != nil {
			return err
		}
		pause(ctx, 5*time.Millisecond)
	}
	return nil
}

// read opens steady files again and again. Each must be there and whole, with the mode that it was made with.
func (c *churn) read(ctx context.Context, n string) {
	for i := 0; ctx.Err() == nil; i++ {
		path := c.steady(n, i%steadyFiles)
		b, err := os.ReadFile(path)
		if err != nil {
			c.t.Errorf("%s: a file that exists all the time: %v", n, err)
			return
		}
		if !whole(b) {
			c.t.Errorf("%s: %s is not whole: %d bytes, %.80q", n, path, len(b), b)
			return
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
			c.t.Errorf("%s: %s: mode %v, %v", n, path, info, err)
			return
		}
		c.reads.Add(1)
		pause(ctx, 200*time.Microsecond)
	}
}

// unpacker unpacks an archive and deletes it, again and again, the last time without deleting.
func (c *churn) unpacker(ctx context.Context, n string) error {
	archive := archiveOf(c.t, 400)
	for {
		cmd := exec.Command("tar", "-x", "-C", c.folder(n))
		cmd.Stdin = bytes.NewReader(archive)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("tar: %w: %s", err, out)
		}
		c.archives.Add(1)
		pause(ctx, 50*time.Millisecond)
		if ctx.Err() != nil {
			return nil
		}
		if err := os.RemoveAll(filepath.Join(c.folder(n), "unpacked")); err != nil {
			return err
		}
	}
}

// brancher checks out two branches of a repository in turn.
func (c *churn) brancher(ctx context.Context, n string) error {
	tree := filepath.Join(c.folder(n), "site")
	repo := filepath.Join(c.members[n].dir, "repository")
	git := func(args ...string) error {
		cmd := exec.Command("git", append([]string{"--git-dir", repo, "--work-tree", tree, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME="+c.members[n].dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("git %v: %w: %s", args, err, out)
		}
		return nil
	}
	fill := func(branch string, files int) error {
		var err error
		for i := range files {
			dir := filepath.Join(tree, fmt.Sprint(i%7), branch[:1+i%len(branch)])
			err = errors.Join(err, os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), fmt.Appendf(nil, "%s %d\n", branch, i), 0o644))
		}
		return errors.Join(err, git("add", "-A"), git("commit", "-q", "-m", branch))
	}
	if err := errors.Join(os.MkdirAll(tree, 0o755), git("init", "-q"), git("checkout", "-q", "-b", "main"), fill("main", 120),
		git("checkout", "-q", "-b", "next"), fill("next", 200)); err != nil {
		return err
	}
	for i := 0; ctx.Err() == nil; i++ {
		if err := git("checkout", "-q", "-f", []string{"main", "next"}[i%2]); err != nil {
			return err
		}
		c.checkouts.Add(1)
		pause(ctx, 100*time.Millisecond)
	}
	return nil
}

// editors save files as editors do: in place, by a new file that takes the name, with a backup, by deleting first.
func (c *churn) editors(ctx context.Context, n string) error {
	dir := filepath.Join(c.folder(n), "edited")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(3, 4))
	for i := 0; ctx.Err() == nil; i++ {
		path := filepath.Join(dir, fmt.Sprint(i%5))
		text := fmt.Appendf(nil, "edit %d\n", i)
		var err error
		switch random.IntN(4) {
		case 0:
			err = os.WriteFile(path, text, 0o644)
		case 1:
			err = errors.Join(os.WriteFile(path+".new", text, 0o644), os.Rename(path+".new", path))
		case 2:
			_ = os.Rename(path, path+"~") // the first time there is nothing to keep
			err = os.WriteFile(path, text, 0o644)
		case 3:
			_ = os.Remove(path)
			err = os.WriteFile(path, text, 0o644)
		}
		if err != nil {
			return err
		}
		pause(ctx, 20*time.Millisecond)
	}
	return nil
}

// logger appends to a file that it keeps open.
func (c *churn) logger(ctx context.Context, n string) error {
	file, err := os.OpenFile(filepath.Join(c.folder(n), "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	for ctx.Err() == nil && err == nil {
		_, err = fmt.Fprintf(file, "line %d\n", c.lines.Add(1))
		pause(ctx, 3*time.Millisecond)
	}
	return errors.Join(err, file.Close())
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// TestOverflow: so much happens while the daemon is stopped that the system drops notifications. It says so, looks at
// everything, and nothing is missed.
func TestOverflow(t *testing.T) {
	need(t, "rsync")
	f := newFarm(t, "web1", "web2")
	f.found("\n[folder.www]\npath = \"/var/www\"\nwatch = \"inotify\"\n", nil)
	f.inSync("web1", "web2")
	dir := filepath.Join(f.folder("web1"), "d")
	for i := range 100 {
		f.write(filepath.Join(dir, fmt.Sprint(i)), "before\n")
	}
	f.inSync("web1", "web2")
	since := time.Now()
	_ = f.members["web1"].cmd.Process.Signal(syscall.SIGSTOP)
	for i := range 60_000 {
		if err := os.Chmod(filepath.Join(dir, fmt.Sprint(i%100)), os.FileMode(0o600+i%64)); err != nil {
			t.Fatal(err)
		}
	}
	f.write(filepath.Join(dir, "last"), "after the notifications ran over\n")
	_ = f.members["web1"].cmd.Process.Signal(syscall.SIGCONT)
	f.arrives("web2", "d/last", "after the notifications ran over\n")
	f.inSync("web1", "web2")
	f.equal("web1", "web2")
	if len(f.events("web1", "folder.overflow", since)) == 0 {
		t.Error("there was no overflow, so this test has shown nothing")
	}
}
