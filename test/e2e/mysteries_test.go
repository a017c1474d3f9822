//go:build linux

package e2e

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	mysteryRounds = flag.Int("mysteries", 3, "rounds of TestMysteries")
	mysterySeed   = flag.Uint64("mysteries-seed", 0, "seed of TestMysteries; 0: one of the day")
)

// TestMysteries is the black-box property test of Hughes, Pierce, Arts and Norell, "Mysteries of Dropbox" (2016): few
// paths, random operations and pauses on real daemons, every value unique. When all has calmed down, the nodes are
// equal, and every value that was ever written is current, or was taken away by an application that had it before its
// eyes, or is preserved; nothing else is there.
//
// What an application took away is known exactly: it swaps files by an atomic exchange and looks at what it got.
func TestMysteries(t *testing.T) {
	need(t)
	seed := *mysterySeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("replay: go test ./test/e2e -run TestMysteries -mysteries %d -mysteries-seed %d", *mysteryRounds, seed)
	f := newFarm(t, "web1", "web2", "web3")
	f.found("\n[folder.www]\npath = \"/var/www\"\n", nil)
	f.inSync("web1", "web2", "web3")
	m := &mystery{farmUnderTest: f, written: map[string]bool{}, taken: map[string]bool{}, moved: map[string]bool{}}
	for round := range *mysteryRounds {
		m.round(round, seed)
		if t.Failed() {
			for _, line := range m.story {
				t.Log(line)
			}
			return
		}
	}
	t.Logf("%d values written, %d taken away, %d operations", len(m.written), len(m.taken), len(m.story))
}

// mystery is a farm and what its applications have done to it.
type mystery struct {
	*farmUnderTest

	mu      sync.Mutex
	written map[string]bool // values that an application wrote
	taken   map[string]bool // values that an application overwrote or deleted, having them before its eyes
	moved   map[string]bool // values that were renamed: they may have come to more than one path
	story   []string
}

func (m *mystery) note(format string, args ...any) {
	m.story = append(m.story, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

// round lets an application run on each node while something happens to the farm, then has it calm down and looks.
func (m *mystery) round(round int, seed uint64) {
	m.t.Helper()
	const operations = 40
	var apps sync.WaitGroup
	for i, n := range m.order {
		random := rand.New(rand.NewPCG(seed, uint64(round*len(m.order)+i)))
		apps.Go(func() {
			for op := range operations {
				if err := m.operate(n, fmt.Sprintf("%s-%d-%d", n, round, op), random); err != nil {
					m.t.Errorf("application on %s: %v", n, err)
					return
				}
				<-time.After(time.Duration(random.IntN(20)) * time.Millisecond)
			}
		})
	}
	m.disturb(rand.New(rand.NewPCG(seed, ^uint64(round))))
	apps.Wait()
	m.calm()
}

// disturb does something bad to a node, and undoes it after a while.
func (m *mystery) disturb(random *rand.Rand) {
	n := m.order[random.IntN(len(m.order))]
	pause := func() { <-time.After(time.Duration(100+random.IntN(300)) * time.Millisecond) }
	pause()
	switch random.IntN(4) {
	case 0:
		m.lan.cut(n)
		pause()
		m.lan.mend(n)
	case 1:
		m.kill(n)
		pause()
		m.start(n)
	case 2:
		_ = m.members[n].cmd.Process.Signal(syscall.SIGSTOP)
		pause()
		_ = m.members[n].cmd.Process.Signal(syscall.SIGCONT)
	}
}

// operate is one step of an application.
func (m *mystery) operate(n, value string, random *rand.Rand) error {
	paths := []string{"a", "b", "d/a", "d/b"}
	p := filepath.Join(m.folder(n), paths[random.IntN(len(paths))])
	q := filepath.Join(m.folder(n), paths[random.IntN(len(paths))])
	aside := filepath.Join(m.members[n].dir, "aside")
	switch random.IntN(8) {
	case 0:
		return m.remove(p, aside)
	case 1:
		return m.rename(p, q)
	case 2, 3:
		return m.overwrite(p, value)
	default:
		return m.replace(p, aside, value+strings.Repeat(".", random.IntN(50)))
	}
}

// replace puts a new file in the place of what is there, as editors do.
func (m *mystery) replace(p, aside, value string) error {
	if err := errors.Join(os.WriteFile(aside, []byte(value), 0o644), os.MkdirAll(filepath.Dir(p), 0o755)); err != nil {
		return err
	}
	m.mu.Lock()
	m.written[value] = true // before it is there: the daemons may be faster than this test
	m.mu.Unlock()
	for {
		err := unix.Renameat2(unix.AT_FDCWD, aside, unix.AT_FDCWD, p, unix.RENAME_EXCHANGE)
		if err == nil {
			return m.take(aside, "replaced "+p+" by "+value)
		}
		if err == unix.ENOENT {
			_ = os.MkdirAll(filepath.Dir(p), 0o755) // it may be removed again: then the next round makes it
			err = unix.Renameat2(unix.AT_FDCWD, aside, unix.AT_FDCWD, p, unix.RENAME_NOREPLACE)
			if err == nil {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.note("%s: made %s", p, value)
				return nil
			}
		}
		if err != unix.EEXIST && err != unix.ENOENT {
			return err
		}
	}
}

// take notes what an application has taken out of the folder.
func (m *mystery) take(aside, how string) error {
	b, err := os.ReadFile(aside)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.taken[string(b)] = true
	m.note("%s, which took %q", how, b)
	return errors.Join(err, os.Remove(aside))
}

// overwrite writes a new value into the inode that is there.
func (m *mystery) overwrite(p, value string) error {
	file, err := os.OpenFile(p, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	b := make([]byte, 4096)
	n, _ := file.ReadAt(b, 0)
	m.mu.Lock()
	m.written[value] = true
	m.taken[string(b[:n])] = true
	m.note("overwrote %s, in place: %q by %s", p, b[:n], value)
	m.mu.Unlock()
	err = file.Truncate(0)
	if err == nil {
		_, err = file.WriteAt([]byte(value), 0)
	}
	return errors.Join(err, file.Close())
}

func (m *mystery) remove(p, aside string) error {
	err := os.Rename(p, aside)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = m.take(aside, "deleted "+p)
	_ = os.Remove(filepath.Dir(p)) // only if that is empty, and no root
	return err
}

func (m *mystery) rename(p, q string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := unix.Renameat2(unix.AT_FDCWD, p, unix.AT_FDCWD, q, unix.RENAME_NOREPLACE)
	if err != nil {
		return nil // nothing to rename, or the name is taken
	}
	b, err := os.ReadFile(q)
	if err == nil {
		m.moved[string(b)] = true
		m.note("renamed %s to %s: %q", p, q, b)
	}
	return nil // it may have been replaced already
}

// calm waits until nothing happens any more and compares what is there with what was done.
func (m *mystery) calm() {
	m.t.Helper()
	m.inSync(m.order...)
	m.await(20*time.Second, "nothing is lost, nothing invented, all nodes are equal", func() error {
		first, err := treeOf(m.folder(m.order[0]), func(string) bool { return false })
		if err != nil {
			return err
		}
		for _, n := range m.order[1:] {
			other, err := treeOf(m.folder(n), func(string) bool { return false })
			if err != nil {
				return err
			}
			if d := first.diff(other); d != "" {
				return fmt.Errorf("%s differs from %s: %s", n, m.order[0], d)
			}
		}
		current, err := valuesIn(m.folder(m.order[0]), ".tandem")
		if err != nil {
			return err
		}
		kept := map[string]bool{}
		for _, n := range m.order {
			values, err := valuesIn(filepath.Join(m.folder(n), ".tandem", "preserved"), "")
			if err != nil {
				return err
			}
			for v := range values {
				kept[v] = true
			}
		}
		return m.account(current, kept)
	})
}

// account says what is wrong with what is there.
func (m *mystery) account(current, kept map[string]bool) error {
	var wrong []string
	for v := range m.written {
		if !current[v] && !m.taken[v] && !kept[v] {
			wrong = append(wrong, v+" is lost")
		}
	}
	for v := range current {
		switch {
		case !m.written[v]:
			wrong = append(wrong, fmt.Sprintf("nobody wrote %q", v))
		case m.taken[v] && !m.moved[v]:
			wrong = append(wrong, v+" has come back")
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return errors.New(strings.Join(wrong, "; "))
}

// valuesIn are the contents of all files below a directory, which may be missing.
func valuesIn(dir, without string) (map[string]bool, error) {
	values := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir() && d.Name() == without:
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		b, err := os.ReadFile(path)
		values[string(b)] = true
		return err
	})
	return values, err
}
