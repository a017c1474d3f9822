package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// liveRounds is how often each application writes.
const liveRounds = 150

// liveFile is a file on a real disk that an application and plans of ours write at the same time.
type liveFile struct {
	name  string // on the system
	p     farm.Path
	write func(f *liveFile, value string) error

	mu     sync.Mutex
	wrote  []string
	passed map[string]bool // values that somebody had before his eyes when he wrote over them
}

func (f *liveFile) value(i int) string {
	return fmt.Sprintf("<%s of application, round %d %s>", f.p, i, strings.Repeat(".", i%200))
}

// pass notes that content was seen by who writes over it now.
func (f *liveFile) pass(content string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.passed[content] = true
}

// TestLiveWriters has applications replace, rewrite and append to files on a real disk while plans replace them, and
// looks that every value is current, was seen by who wrote over it, or is preserved; and that readers of a file that is
// only ever replaced see it whole at every moment.
func TestLiveWriters(t *testing.T) {
	fs, w := disk(t)
	k := New(fs, Config{Folder: "site"})
	check(k.Recover())
	defer k.Close()
	files := []*liveFile{
		{p: path("renamed"), write: (*liveFile).renameOver},
		{p: path("rewritten"), write: (*liveFile).rewrite},
		{p: path("appended"), write: (*liveFile).add},
	}
	var apps, plans sync.WaitGroup
	stop := make(chan struct{})
	for _, f := range files {
		f.name, f.passed = w.at(f.p), map[string]bool{}
		check(os.WriteFile(f.name, []byte("<begin>"), 0o644))
		apps.Go(func() { f.application(t) })
		plans.Go(func() { f.plans(t, fs, k, stop) })
	}
	plans.Go(func() { files[0].reader(t, stop) })
	apps.Wait()
	close(stop)
	plans.Wait()
	k.Sweep(context.Background())
	if left := staged(fs); len(left) > 0 {
		t.Errorf("left in staging: %v", left)
	}
	for _, f := range files {
		for _, v := range f.wrote {
			if !f.passed[v] && !survives(fs, k, v) {
				t.Errorf("%s is lost", v)
			}
		}
	}
}

func (f *liveFile) application(t *testing.T) {
	for i := range liveRounds {
		if err := f.write(f, f.value(i)); err != nil {
			t.Error(err)
			return
		}
		f.wrote = append(f.wrote, f.value(i))
	}
}

// renameOver replaces the file as rename does, and knows what it replaced.
func (f *liveFile) renameOver(value string) error {
	tmp := f.name + ".tmp"
	if err := os.WriteFile(tmp, []byte(value), 0o644); err != nil {
		return err
	}
	if err := unix.Renameat2(unix.AT_FDCWD, tmp, unix.AT_FDCWD, f.name, unix.RENAME_EXCHANGE); err != nil {
		return err
	}
	replaced, err := os.ReadFile(tmp)
	f.pass(string(replaced))
	return errors.Join(err, os.Remove(tmp))
}

// rewrite reads the file and writes it anew, in place.
func (f *liveFile) rewrite(value string) error {
	h, err := os.OpenFile(f.name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	seen, err := io.ReadAll(h)
	f.pass(string(seen))
	err = errors.Join(err, h.Truncate(0))
	_, e := h.WriteAt([]byte(value), 0)
	return errors.Join(err, e, h.Close())
}

func (f *liveFile) add(value string) error {
	h, err := os.OpenFile(f.name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = h.WriteString(value)
	return errors.Join(err, h.Close())
}

// plans replaces the file with content of another member, again and again, each time expecting what is there.
func (f *liveFile) plans(t *testing.T, fs vfs.FS, k *Keeper, stop chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		seen, err := os.ReadFile(f.name)
		if err != nil {
			t.Error(err)
			return
		}
		st, err := fs.Lstat(f.p)
		check(err)
		a := st.Attr()
		known := fileAttr(string(seen), a.Mode, a.MTime)
		known.Owner = a.Owner
		if known.Size != a.Size {
			continue // written between the two looks
		}
		st.Racy = true
		text := fmt.Sprintf("<%s of another member, %d>", f.p, i)
		r := k.Install(context.Background(), farm.Plan{
			Path: f.p, Want: fileAttr(text, 0o644, int64(i)), Content: []byte(text),
			Expect: farm.Disk{Attr: known, Stat: st.Fingerprint},
		}, nil)
		switch r.Outcome {
		case farm.Done:
			for v := range strings.SplitAfterSeq(string(seen), ">") {
				f.pass(v)
			}
		case farm.Changed:
		default:
			if farm.KindOf(r.Err) != farm.Unstable {
				t.Errorf("%v, %v", r.Outcome, r.Err)
				return
			}
		}
		if i%10 == 0 {
			k.Sweep(context.Background())
		}
	}
}

func (f *liveFile) reader(t *testing.T, stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		b, err := os.ReadFile(f.name)
		if err != nil || len(b) < 2 || b[0] != '<' || b[len(b)-1] != '>' {
			t.Errorf("a reader saw %q, %v", b, err)
			return
		}
	}
}
