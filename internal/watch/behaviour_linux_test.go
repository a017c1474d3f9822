package watch_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
	"tandem/internal/watch"
	"tandem/internal/watch/watchtest"
)

// shell changes the folder from another process.
func shell(r *watchtest.Rig, script string) {
	r.Helper()
	c := exec.Command("sh", "-ec", script)
	c.Dir = r.Root
	if out, err := c.CombinedOutput(); err != nil {
		r.Fatalf("%s: %v: %s", script, err, out)
	}
}

func TestAuto(t *testing.T) {
	r := watchtest.New(t, watch.Auto, watch.Options{Own: true}, nil)
	mode, why := r.W.Mode()
	want := watch.Fanotify
	if os.Geteuid() != 0 {
		want = watch.Inotify
	}
	if mode != want || why == "" {
		t.Errorf("%s because %s, want %s", mode, why, want)
	}
	r.Write("f", "x")
	r.Settle()
	r.Want("f")
}

func TestForcedFanotifyIsRefused(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may use fanotify")
	}
	if _, err := watch.Open(t.TempDir(), watch.Fanotify, watch.Options{}); farm.KindOf(err) != farm.Denied {
		t.Errorf("got %v", err)
	}
}

func TestOpenMissing(t *testing.T) {
	if _, err := watch.Open(t.TempDir()+"/none", watch.Auto, watch.Options{}); farm.KindOf(err) != farm.NotFound {
		t.Errorf("got %v", err)
	}
}

// TestOwnChanges: fanotify says who did it, and what this process did is not reported.
func TestOwnChanges(t *testing.T) {
	needFanotify(t)
	r := watchtest.New(t, watch.Fanotify, watch.Options{}, nil)
	r.Mkdir("d/e")
	r.Write("d/e/ours", "x")
	r.Must(os.Chmod(r.Path("d/e/ours"), 0o600))
	r.Must(os.Remove(r.Path("d/e/ours")))
	r.Settle()
	if len(r.Dirty) > 0 {
		t.Errorf("our own changes were reported: %v", r.Dirty)
	}
	shell(r, "echo x > d/e/theirs")
	r.Settle()
	r.Want("d/e/theirs")
	r.WantNot("d/e/ours")
}

// TestOwnMoveOfDirectory: what others did in a directory just before we moved it is not lost.
func TestOwnMoveOfDirectory(t *testing.T) {
	needFanotify(t)
	r := watchtest.Open(t, watch.Fanotify, watch.Options{}, nil)
	r.Mkdir("d")
	shell(r, "echo x > d/f")
	r.Must(os.Rename(r.Path("d"), r.Path("e")))
	r.Run()
	r.Settle()
	r.Want("d", "e/f")
	r.Forget()
	shell(r, "echo y > e/f")
	r.Settle()
	r.Want("e/f")
	r.WantNot("d")
}

// TestMoveOutside: a move that does not touch the folder costs nothing, and one of the folder itself loses nothing.
func TestMoveOutside(t *testing.T) {
	for _, mode := range []watch.Mode{watch.Fanotify, watch.Inotify} {
		t.Run(string(mode), func(t *testing.T) {
			if mode == watch.Fanotify {
				needFanotify(t)
			}
			top := t.TempDir()
			r := watchtest.OpenIn(t, top+"/old", mode, watch.Options{Own: true}, func(root string) {
				if err := os.Mkdir(filepath.Join(root, "d"), 0o755); err != nil {
					t.Fatal(err)
				}
			})
			r.Run()
			r.Write("d/f", "x")
			r.Must(os.Rename(top+"/old", top+"/new"))
			r.Root = top + "/new/root"
			r.Write("d/g", "x")
			r.Mkdir("n")
			r.Write("n/h", "x")
			r.Settle()
			r.Want("d/f", "d/g", "n", "n/h")
		})
	}
}

// TestOverflow: more is changed than the system's queue holds, and nobody reads.
func TestOverflow(t *testing.T) {
	t.Parallel()
	r := watchtest.OpenIn(t, inMemory(t), watch.Inotify, watch.Options{}, nil)
	for i := range 10_000 { // two or three notifications each; the queue holds 16,384
		r.Write(fmt.Sprintf("f%d", i%100), "x")
	}
	r.Mkdir("late/r") // its notification is lost
	id, err := r.W.Barrier()
	r.Must(err)
	r.Run()
	for passed := false; !passed; {
		b := r.Next()
		passed = len(b.Barriers) > 0 && b.Barriers[len(b.Barriers)-1] >= id
	}
	if s := r.W.Stats(); r.Rescans == 0 || s.Losses == 0 || s.LastLoss == "" {
		t.Errorf("%d rescans, %+v", r.Rescans, s)
	}
	r.Forget()
	r.Write("late/r/f", "x") // the directory was found all the same
	r.Settle()
	r.Want("late/r/f")
}

// TestTooManyPaths: the consumer is slow, and memory is bounded.
func TestTooManyPaths(t *testing.T) {
	r := watchtest.Open(t, watch.Inotify, watch.Options{MaxDirty: 50}, nil)
	for i := range 200 {
		r.Write(fmt.Sprintf("f%d", i), "x")
	}
	r.Run()
	for r.W.Stats().Losses == 0 { // nobody takes anything
		runtime.Gosched()
	}
	r.Settle()
	if s := r.W.Stats(); r.Rescans == 0 {
		t.Errorf("%d rescans, %+v", r.Rescans, s)
	}
}

// TestWatchesRunOut: what has no watch is polled, barriers include it, and status says so.
func TestWatchesRunOut(t *testing.T) {
	var events []farm.Event
	sink := func(e farm.Event) { events = append(events, e) }
	opts := watch.Options{MaxWatches: 5, Interval: 20 * time.Millisecond, Folder: "site", Events: sink}
	r := watchtest.Open(t, watch.Inotify, opts, func(root string) {
		for i := range 10 {
			if err := os.MkdirAll(filepath.Join(root, fmt.Sprintf("d%d/e", i)), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	})
	s := r.W.Stats()
	if s.Watches != 5 || len(s.Unwatched) == 0 {
		t.Errorf("%+v", s)
	}
	if len(events) != 1 || events[0].ID != farm.EventFolderUnwatched || events[0].Next == "" {
		t.Errorf("events: %+v", events)
	}
	r.Run()
	for i := range 10 {
		p := fmt.Sprintf("d%d/e/f", i)
		r.Write(p, "x")
		r.Settle()
		r.Want(p)
		r.Forget()
	}
	r.Write("d0/e/g", "x")
	for len(r.Trees) < len(s.Unwatched) { // all of them come without a barrier
		r.Next()
	}
	for i := range 9 {
		r.Must(os.RemoveAll(r.Path(fmt.Sprintf("d%d", i))))
	}
	for r.W.Stats().Unwatched != nil { // the rest fits
		r.Next()
	}
	r.Settle()
	r.Forget()
	r.Write("d9/e/f", "y")
	r.Settle()
	if r.Dirty["d9/e/f"] == 0 || len(r.Trees) > 0 {
		t.Errorf("dirty %v, trees %v, %+v", r.Dirty, r.Trees, r.W.Stats())
	}
}

// TestManyUnwatched: the list of what is not watched is bounded, too.
func TestManyUnwatched(t *testing.T) {
	r := watchtest.New(t, watch.Inotify, watch.Options{MaxWatches: 3}, func(root string) {
		for i := range 1500 {
			if err := os.MkdirAll(filepath.Join(root, fmt.Sprintf("a/d%d", i)), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	})
	if s := r.W.Stats(); len(s.Unwatched) > 1024 {
		t.Errorf("%d subtrees", len(s.Unwatched))
	}
	r.Write("a/d1499/f", "x")
	r.Write("a/d0/f", "x")
	r.Settle()
	r.Want("a/d1499/f", "a/d0/f")
}

// inNamespace runs f on a thread with a mount namespace of its own, which ends with it.
func inNamespace(t *testing.T, f func()) {
	if os.Geteuid() != 0 {
		t.Skip("a mount needs root")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			t.Errorf("unshare: %v", err)
			return
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Errorf("mount: %v", err)
			return
		}
		f()
	}()
	<-done
}

// TestBindMount: changes through a bind mount are seen, and so are those of a folder that is one.
func TestBindMount(t *testing.T) {
	for _, mode := range []watch.Mode{watch.Fanotify, watch.Inotify} {
		t.Run(string(mode), func(t *testing.T) {
			dir := t.TempDir()
			for _, d := range []string{"a/root/d", "b", "a/outside"} {
				if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			var origin, mounted *watchtest.Rig
			inNamespace(t, func() {
				if err := unix.Mount(dir+"/a", dir+"/b", "", unix.MS_BIND, ""); err != nil {
					t.Errorf("mount: %v", err)
					return
				}
				origin = watchtest.OpenIn(t, dir+"/a", mode, watch.Options{Own: true}, nil)
				mounted = watchtest.OpenIn(t, dir+"/b", mode, watch.Options{Own: true}, nil)
				mounted.Write("d/through-the-mount", "x")
				origin.Write("d/direct", "x")
			})
			if t.Failed() {
				return
			}
			for _, r := range []*watchtest.Rig{origin, mounted} {
				r.Run()
				r.Settle()
				r.Want("d/through-the-mount", "d/direct")
			}
		})
	}
}

// TestOverlay: whether or not fanotify works there, auto finds what does.
func TestOverlay(t *testing.T) {
	dir := t.TempDir()
	var r *watchtest.Rig
	inNamespace(t, func() {
		// An overlay can't lie on every file system, but it can on a tmpfs.
		if err := unix.Mount("watch", dir, "tmpfs", 0, ""); err != nil {
			t.Errorf("mount: %v", err)
			return
		}
		for _, d := range []string{"lower/root/d", "lower/outside", "upper", "work", "merged"} {
			if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
				t.Errorf("mkdir: %v", err)
				return
			}
		}
		opts := "lowerdir=" + dir + "/lower,upperdir=" + dir + "/upper,workdir=" + dir + "/work"
		if err := unix.Mount("watch", dir+"/merged", "overlay", 0, opts); err != nil {
			t.Logf("no overlay here: %v", err)
			return
		}
		r = watchtest.OpenIn(t, dir+"/merged", watch.Auto, watch.Options{Own: true}, nil)
		r.Write("d/f", "x")
		r.Mkdir("d/n/m")
		r.Write("d/n/m/g", "x")
	})
	if r == nil {
		return
	}
	mode, why := r.W.Mode()
	t.Logf("on an overlay: %s, %s", mode, why)
	r.Run()
	r.Settle()
	r.Want("d/f", "d/n/m", "d/n/m/g")
}

// TestNoise: other folders on the same file system are none of our business, and are counted as such.
func TestNoise(t *testing.T) {
	needFanotify(t)
	r := watchtest.New(t, watch.Fanotify, watch.Options{}, nil)
	shell(r, "cd ../outside; for i in 1 2 3 4 5 6 7 8 9; do mkdir d$i; echo x > d$i/f; mv d$i e$i; rm -r e$i; done")
	r.Settle()
	if s := r.W.Stats(); s.Foreign < 9 || len(r.Dirty) > 0 {
		t.Errorf("%+v, dirty %v", s, r.Dirty)
	}
}

// TestRenamedDirectory: a directory that is renamed within the folder is reported with both names; one that comes or goes is
// not, and neither is a file.
func TestRenamedDirectory(t *testing.T) {
	for _, mode := range []watch.Mode{watch.Fanotify, watch.Inotify} {
		t.Run(string(mode), func(t *testing.T) {
			if mode == watch.Fanotify {
				needFanotify(t)
			}
			r := watchtest.New(t, mode, watch.Options{}, nil)
			shell(r, "mkdir -p d/e a; echo x > d/e/f; echo x > g")
			r.Settle()
			r.Forget()
			shell(r, "mv d/e a/n; mv g h; mv a/n ../outside; mv ../outside/n back; echo y > back/f; mv back d/e")
			r.Settle()
			if len(r.Moves) != 2 || r.Moves["d/e"] != "a/n" || r.Moves["back"] != "d/e" {
				t.Errorf("moves %v", r.Moves)
			}
			r.Want("g", "h", "back/f")
		})
	}
}
