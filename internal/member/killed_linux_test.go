package member

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
	"tandem/internal/index"
	"tandem/internal/install"
	"tandem/internal/replica"
	"tandem/internal/scan"
	"tandem/internal/vfs"
)

var (
	killEvery = flag.Int("kill-every", 67, "of TestKilledAtEveryCall: kill ahead of every so manyth call only; 1: of each")
	killFrom  = flag.Int("kill-from", 0, "of TestKilledAtEveryCall: the first call that is killed; 0: any")
)

const (
	killDirEnv   = "TANDEM_KILL_DIR"   // set in the child: where it keeps its folder and its index
	killAtEnv    = "TANDEM_KILL_AT"    // the call ahead of which it dies; 0: none
	killDoneEnv  = "TANDEM_KILL_DONE"  // steps of the script that are done
	killStartEnv = "TANDEM_KILL_START" // of the script, nanoseconds since 1970
)

// victim is a folder as a member holds it: the real disk, index, keeper, scanner and engine.
type victim struct {
	*killWorld
	root   string
	fs     vfs.FS
	index  *index.Index
	keeper *install.Keeper
	runner *replica.Runner

	calls sync.Mutex // held while the process may die, and by applications while it must not
}

// openVictim opens the folder in dir and brings it to order after whatever end it had. The process dies ahead of its
// call killAt to the file system; with 0 it does not.
func openVictim(dir string, script *killScript, killAt int) (_ *victim, err error) {
	v := &victim{killWorld: &killWorld{script, make(chan replica.Noticed, 16), make(chan uint64, 1)}, root: filepath.Join(dir, "www")}
	v.barrier <- 1
	if err = os.MkdirAll(v.root, 0o755); err != nil {
		return nil, err
	}
	if v.index, err = index.Open(filepath.Join(dir, "index"), "www"); err != nil {
		return nil, err
	}
	real, err := vfs.Open(v.root)
	if err != nil {
		return nil, err
	}
	v.fs = vfs.Fault(real, func(op vfs.Op) error {
		v.calls.Lock()
		defer v.calls.Unlock()
		if op.N == killAt {
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
			select {} // until it has come
		}
		return nil
	})
	if err = v.fs.Prepare("www"); err != nil {
		return nil, err
	}
	holder := &folder{index: v.index, scanner: scan.New(v.fs, scan.Config{Recipes: v.index})}
	v.keeper = install.New(v.fs, install.Config{Folder: "www", KeepDeleted: true, Moved: holder.moved, Recipes: v.index, PartialBytes: 1})
	if err = v.keeper.Recover(); err != nil {
		return nil, err
	}
	meta, err := v.index.Meta()
	if err != nil {
		return nil, err
	}
	if meta.Actor.Epoch == 0 {
		meta.Actor = farm.Actor{Member: "web1", Epoch: 1}
	}
	v.runner = replica.NewRunner(replica.RunnerConfig{
		Folder: "www", Machine: replica.Config{Folder: "www", Meta: meta, Finished: v.keeper.Finished()},
		Log: logPort{v.index}, Watcher: v, Scanner: walker{scanPort{holder}}, Installer: installPort{v.keeper, &folder{fs: v.fs}}, Transport: v,
		Parts: v.keeper, Fetcher: v, Publish: func(farm.FolderState, replica.Summary) {}, Sink: func(farm.Event) {},
		Logger: slog.New(slog.DiscardHandler),
	})
	return v, errors.Join(v.index.Commit(index.Batch{Meta: &meta}), v.index.Sync())
}

// walker is scanPort without a count of what is not kept.
type walker struct{ scanPort }

func (w walker) Walk(ctx context.Context, dir farm.Path, deep bool, log replica.Log, report func(farm.Path) error) error {
	if !deep {
		return w.f.scanner.List(ctx, dir, log, report)
	}
	return w.f.scanner.Walk(ctx, dir, log, report)
}

// play runs the script to its end. Of the steps that are done, what other members wrote is said again. Did is called with
// the number of steps done, and at the latest before the process can die again.
func (v *victim) play(ctx context.Context, done int, did func(int)) error {
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- v.runner.Run(ctx) }()
	err := v.follow(ctx, done, did)
	stop()
	return errors.Join(err, <-ended)
}

func (v *victim) follow(ctx context.Context, done int, did func(int)) error {
	ctx, cancel := context.WithTimeout(ctx, 6*settleTime)
	defer cancel()
	for n, step := range v.steps {
		switch {
		case step.change != nil:
			v.runner.Deliver(ctx, replica.Arrived{From: "web2", Change: *step.change})
			if err := v.runner.Wait(ctx, step.change.Entry.Version.Dot); err != nil {
				return fmt.Errorf("step %d, %s: %w", n+1, step.path, err)
			}
		case n >= done:
			v.calls.Lock()
			if err := step.app(v.root); err != nil {
				return err
			}
			did(n + 1)
			v.calls.Unlock()
			v.noticed <- replica.Noticed{Dirty: []farm.Path{farm.MustPath(step.path)}}
			if _, err := v.runner.Barrier(ctx); err != nil {
				return fmt.Errorf("step %d, %s: %w", n+1, step.path, err)
			}
		}
		if n >= done {
			did(n + 1)
		}
	}
	err := v.settle(ctx)
	v.keeper.Sweep(ctx)
	return err
}

// settle waits until the scan of the start has ended and nothing is left to do.
func (v *victim) settle(ctx context.Context) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if _, is := v.runner.State(); is.Trusted && is.Waiting == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (v *victim) close() error {
	return errors.Join(v.keeper.Close(), v.index.Close(), v.fs.Close())
}

// beVictim is what the child does.
func beVictim() error {
	number := func(name string) int64 {
		n, err := strconv.ParseInt(os.Getenv(name), 10, 64)
		if err != nil {
			panic(err)
		}
		return n
	}
	script := newKillScript(time.Unix(0, number(killStartEnv)))
	v, err := openVictim(os.Getenv(killDirEnv), script, int(number(killAtEnv)))
	if err != nil {
		return err
	}
	return v.play(context.Background(), int(number(killDoneEnv)), func(n int) { fmt.Println(n) })
}

// die has a child go on with the script and die ahead of call at. It tells how many steps were done.
func die(t *testing.T, dir string, script *killScript, at, done int) (now int, killed bool) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), killDirEnv+"="+dir, killAtEnv+"="+strconv.Itoa(at), killDoneEnv+"="+strconv.Itoa(done),
		killStartEnv+"="+strconv.FormatInt(script.start.UnixNano(), 10))
	var said strings.Builder
	c.Stderr = &said
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if _, err := fmt.Sscan(lines.Text(), &done); err != nil {
			t.Errorf("the child said %q", lines.Text())
		}
	}
	err = c.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(interface{ Signal() unix.Signal }).Signal() == unix.SIGKILL {
		return done, true
	}
	if err != nil {
		t.Fatalf("killed ahead of call %d: it ended by itself: %v\n%s", at, err, &said)
	}
	return done, false
}

// TestKilledAtEveryCall has a process that runs the whole of a folder, on a real disk and a real index, kill itself ahead
// of a call to the file system, and the one that comes after it ahead of a call of its recovery or later. After each
// death the tree is as it was before or after the step that was under way, and what had been said to be visible is. The
// third process ends what was begun.
func TestKilledAtEveryCall(t *testing.T) {
	at := *killFrom
	if at == 0 {
		at = 1 + rand.IntN(*killEvery)
	}
	for ; ; at += *killEvery {
		dir := shortLived(t)
		script := newKillScript(time.Now().Add(time.Hour))
		done, killed := die(t, dir, script, at, 0)
		mustBeBetween(t, dir, script, at, done)
		if killed {
			second := 1 + at*7%60
			done, _ = die(t, dir, script, second, done)
			mustBeBetween(t, dir, script, second, done)
		}
		if err := mustEnd(t, dir, script, done); err != nil {
			t.Fatalf("killed ahead of call %d, %d steps done: %v", at, done, err)
		}
		if !killed {
			t.Logf("%d calls at most", at)
			return
		}
	}
}

// shortLived is a directory in memory, where there is one: a kill takes nothing from the system's cache.
func shortLived(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "killed-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func mustBeBetween(t *testing.T, dir string, script *killScript, at, done int) {
	t.Helper()
	is, err := lookAround(filepath.Join(dir, "www"))
	if errors.Is(err, os.ErrNotExist) && done == 0 {
		return
	}
	next := min(done+1, len(script.steps))
	if err == nil && between(is, script.tree(done, true), script.tree(next, true)) != nil {
		err = between(is, script.tree(done, false), script.tree(next, false))
	}
	if err != nil {
		t.Fatalf("killed ahead of call %d, %d steps done: %v", at, done, err)
	}
}

// mustEnd plays the rest of the script and looks at all that there is in the end.
func mustEnd(t *testing.T, dir string, script *killScript, done int) error {
	v, err := openVictim(dir, script, 0)
	if err != nil {
		return err
	}
	defer func() {
		if err := v.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := v.play(t.Context(), done, func(int) {}); err != nil {
		return err
	}
	is, err := lookAround(v.root)
	end, local := script.tree(len(script.steps), false), is["e/a"] == killFile(loserText)
	if local {
		end = script.tree(len(script.steps), true)
	}
	if err == nil {
		err = between(is, end, end)
	}
	if err != nil {
		return err
	}
	left, err := os.ReadDir(filepath.Join(v.root, vfs.StagingDir))
	if err != nil || len(left) > 0 {
		return fmt.Errorf("left in staging: %v, %w", left, err)
	}
	return errors.Join(v.preservedAll(local), v.indexAgrees(t.Context()))
}

// preservedAll tells what was not preserved and should be, or was and should not. Where the local write has won, the
// other one is kept by its author.
func (v *victim) preservedAll(local bool) error {
	list, err := v.keeper.List()
	if err != nil {
		return err
	}
	lost := map[string]farm.Reason{killFile(loserText): farm.ReasonConflict, killFile(deletedText): farm.ReasonDeleted}
	if local {
		delete(lost, killFile(loserText))
	}
	for _, p := range list {
		is := fmt.Sprintf("file of %d, %x", p.Attr.Size, [32]byte(p.Attr.Digest))
		if lost[is] == p.Reason {
			delete(lost, is)
		} else if p.Reason != farm.ReasonDeleted {
			return fmt.Errorf("preserved for no reason: %+v", p)
		}
	}
	if len(lost) > 0 {
		return fmt.Errorf("not preserved: %v, only %+v", lost, list)
	}
	return nil
}

// indexAgrees tells whether a scan finds anything that the index does not know.
func (v *victim) indexAgrees(ctx context.Context) error {
	var found []farm.Path
	err := scan.New(v.fs, scan.Config{}).Walk(ctx, farm.Path{}, logPort{v.index}, func(p farm.Path) error {
		seen, err := scan.New(v.fs, scan.Config{}).Examine(ctx, p, farm.Disk{})
		if rec, ok, _ := v.index.Get(p); err == nil && ok && seen.Attr.Same(rec.Disk.Attr) {
			return nil // racy: it was read and is the same
		}
		found = append(found, p)
		return err
	})
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("the index is not what is on disk: %v", found)
	}
	return err
}
