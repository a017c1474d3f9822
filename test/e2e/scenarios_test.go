//go:build linux

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestScenarios does to a node's files what is hard to notice or to repeat, and wants the other node to have the same
// after each step: writers, trees and names, by both ways to notice changes.
func TestScenarios(t *testing.T) {
	need(t, "rsync", "tar", "mount")
	for _, watch := range []string{"fanotify", "inotify"} {
		t.Run(watch, func(t *testing.T) {
			f := newFarm(t, "web1", "web2")
			f.found(fmt.Sprintf("\n[folder.www]\npath = \"/var/www\"\nwatch = %q\n", watch), nil)
			f.inSync("web1", "web2")
			s := &scenario{replication{f}}
			for _, list := range [][]step{s.writers(), s.trees(), s.names()} {
				for _, st := range list {
					began := time.Now()
					if err := st.do(); err != nil {
						t.Fatalf("%s: %v", st.name, err)
					}
					s.settled(st.name, s.tree("web1"))
					t.Logf("%s: %s", st.name, time.Since(began).Round(time.Millisecond))
				}
			}
			f.inSync("web1", "web2")
			f.equal("web1", "web2")
		})
	}
}

type step struct {
	name string
	do   func() error
}

// scenario works on web1's files.
type scenario struct{ replication }

func (s *scenario) at(name string) string { return filepath.Join(s.folder("web1"), name) }

func (s *scenario) file(name, text string) error {
	return errors.Join(os.MkdirAll(filepath.Dir(s.at(name)), 0o755), os.WriteFile(s.at(name), []byte(text), 0o644))
}

func (s *scenario) writers() []step {
	return []step{
		{"sizes around the limits", func() error {
			var err error
			for _, size := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 256<<10 - 1, 256 << 10, 256<<10 + 1, 1<<20 + 1} {
				err = errors.Join(err, s.file(fmt.Sprintf("sizes/%d", size), strings.Repeat("x", size)))
			}
			return err
		}},
		{"write through a mapping whose descriptor is closed", s.mapped},
		{"truncate without opening", func() error { return os.Truncate(s.at("sizes/65537"), 100) }},
		{"punch a hole", func() error {
			return s.opened("sizes/1048577", func(f *os.File) error {
				return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 4096, 8192)
			})
		}},
		{"same size, time forced back", func() error {
			info, err := os.Stat(s.at("sizes/1"))
			if err != nil {
				return err
			}
			return errors.Join(os.WriteFile(s.at("sizes/1"), []byte("y"), 0), os.Chtimes(s.at("sizes/1"), info.ModTime(), info.ModTime()))
		}},
		{"same size within a tick of the clock", func() error {
			var err error
			for i := range 20 {
				err = errors.Join(err, os.WriteFile(s.at("sizes/1"), []byte{byte('a' + i)}, 0))
			}
			return err
		}},
		{"several processes append", s.appenders},
		{"a slow writer who does not close", func() error {
			f, err := os.Create(s.at("slow"))
			if err != nil {
				return err
			}
			s.t.Cleanup(func() { _ = f.Close() })
			for range 5 {
				if _, err := f.WriteString("line\n"); err != nil {
					return err
				}
				<-time.After(20 * time.Millisecond)
			}
			return nil
		}},
		{"one file replaced a thousand times", func() error {
			var err error
			for i := range 1000 {
				err = errors.Join(err, s.file("fast.new", fmt.Sprint(i)), os.Rename(s.at("fast.new"), s.at("fast")))
			}
			return err
		}},
		{"made and deleted at once", func() error {
			var err error
			for i := range 300 {
				name := fmt.Sprintf("short-lived-%d", i)
				err = errors.Join(err, s.file(name, "x"), os.Remove(s.at(name)))
			}
			return err
		}},
		{"unlinked while it is written", func() error {
			f, err := os.Create(s.at("unlinked"))
			if err != nil {
				return err
			}
			_, err = f.WriteString("one")
			err = errors.Join(err, os.Remove(s.at("unlinked")))
			_, werr := f.WriteString("two")
			return errors.Join(err, werr, f.Close())
		}},
		{"hard links, one side edited by a new file", func() error {
			return errors.Join(s.file("links/a", "linked"), os.Link(s.at("links/a"), s.at("links/b")), os.Mkdir(s.at("links/d"), 0o755),
				os.Link(s.at("links/a"), s.at("links/d/c")), s.file("links/new", "edited"), os.Rename(s.at("links/new"), s.at("links/b")))
		}},
		{"hard links, edited in place", func() error { return s.file("links/a", "in place") }},
		{"hard links, attributes", func() error { return os.Chmod(s.at("links/d/c"), 0o600) }},
	}
}

// opened opens a file for writing and closes it after do.
func (s *scenario) opened(name string, do func(*os.File) error) error {
	f, err := os.OpenFile(s.at(name), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(do(f), f.Close())
}

func (s *scenario) mapped() error {
	return s.opened("sizes/65536", func(f *os.File) error {
		m, err := unix.Mmap(int(f.Fd()), 0, 64<<10, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		<-time.After(300 * time.Millisecond) // so that the closing of the descriptor is long over
		copy(m[1000:], "written through memory")
		return unix.Munmap(m)
	})
}

func (s *scenario) appenders() error {
	var group sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		group.Go(func() {
			out, err := exec.Command("sh", "-c", fmt.Sprintf("for i in 1 2 3 4 5 6 7 8 9 10; do echo %d-$i >>'%s'; done", i, s.at("appended"))).CombinedOutput()
			if err != nil {
				errs[i] = fmt.Errorf("%w: %s", err, out)
			}
		})
	}
	group.Wait()
	b, err := os.ReadFile(s.at("appended"))
	if n := bytes.Count(b, []byte("\n")); n != 40 {
		err = errors.Join(err, fmt.Errorf("%d lines", n))
	}
	return errors.Join(errors.Join(errs...), err)
}

func (s *scenario) trees() []step {
	outside := filepath.Join(s.members["web1"].dir, "outside")
	return []step{
		{"two files swap their names", func() error {
			return errors.Join(s.file("swap/a", "a"), s.file("swap/b", "b"),
				unix.Renameat2(unix.AT_FDCWD, s.at("swap/a"), unix.AT_FDCWD, s.at("swap/b"), unix.RENAME_EXCHANGE))
		}},
		{"a chain of renames", func() error {
			return errors.Join(s.file("swap/c", "c"), os.Rename(s.at("swap/c"), s.at("swap/d")), os.Rename(s.at("swap/b"), s.at("swap/c")),
				os.Rename(s.at("swap/a"), s.at("swap/b")), os.Rename(s.at("swap/d"), s.at("swap/a")))
		}},
		{"two directories swap their names", func() error {
			return errors.Join(s.file("dirs/a/x", "in a"), s.file("dirs/b/y", "in b"),
				unix.Renameat2(unix.AT_FDCWD, s.at("dirs/a"), unix.AT_FDCWD, s.at("dirs/b"), unix.RENAME_EXCHANGE))
		}},
		{"a directory moved into its neighbour, and the old name made anew", func() error {
			return errors.Join(os.Rename(s.at("dirs/a"), s.at("dirs/b/a")), s.file("dirs/a/z", "new"), s.file("dirs/b/a/y", "again"))
		}},
		{"a file becomes a directory and a directory a file", func() error {
			return errors.Join(os.Remove(s.at("swap/a")), s.file("swap/a/deep/file", "x"), os.RemoveAll(s.at("dirs")), s.file("dirs", "no more"))
		}},
		{"moved out of the folder", func() error { return os.Rename(s.at("swap"), outside) }},
		{"moved into the folder", func() error { return os.Rename(outside, s.at("back")) }},
		{"a release of hard links, and the switch of a symlink", func() error {
			cp := func(from, to string) error {
				out, err := exec.Command("cp", "-al", s.at(from), s.at(to)).CombinedOutput()
				if err != nil {
					return fmt.Errorf("cp: %w: %s", err, out)
				}
				return nil
			}
			err := errors.Join(s.file("releases/1/index.php", "one"), s.file("releases/1/lib/a", "a"), s.file("releases/1/lib/b", "b"))
			for i := range 3 {
				err = errors.Join(err, cp(fmt.Sprintf("releases/%d", i+1), fmt.Sprintf("releases/%d", i+2)),
					os.Symlink(fmt.Sprintf("releases/%d", i+2), s.at("current.new")), os.Rename(s.at("current.new"), s.at("current")))
			}
			return err
		}},
		{"a thousand directories with files at once", func() error {
			var group sync.WaitGroup
			errs := make([]error, 4)
			for g := range errs {
				group.Go(func() {
					for i := range 250 {
						errs[g] = errors.Join(errs[g], s.file(fmt.Sprintf("many/%d/%d/x/y/file", g, i), fmt.Sprint(i)))
					}
				})
			}
			group.Wait()
			return errors.Join(errs...)
		}},
		{"deleted and unpacked again at once", func() error {
			archive := archiveOf(s.t, 300)
			for range 3 {
				cmd := exec.Command("tar", "-x", "-C", s.folder("web1"))
				cmd.Stdin = bytes.NewReader(archive)
				if out, err := cmd.CombinedOutput(); err != nil {
					return fmt.Errorf("tar: %w: %s", err, out)
				}
				<-time.After(50 * time.Millisecond)
				if err := os.RemoveAll(s.at("unpacked")); err != nil {
					return err
				}
			}
			cmd := exec.Command("tar", "-x", "-C", s.folder("web1"))
			cmd.Stdin = bytes.NewReader(archive)
			return cmd.Run()
		}},
		{"five hundred directories deep", func() error {
			return s.file(strings.Repeat("d/", 500)+"file", "at the bottom")
		}},
		{"directories without permissions", func() error {
			return errors.Join(s.file("closed/a", "x"), s.file("readonly/b", "y"), os.Chmod(s.at("closed"), 0), os.Chmod(s.at("readonly"), 0o555),
				s.file("readonly/c", "z"))
		}},
		{"through a bind mount", func() error {
			if err := os.MkdirAll(outside, 0o755); err != nil {
				return err
			}
			if out, err := exec.Command("mount", "--bind", s.folder("web1"), outside).CombinedOutput(); err != nil {
				s.t.Logf("no bind mounts here: %s", out)
				return nil
			}
			return errors.Join(os.WriteFile(filepath.Join(outside, "by-another-way"), []byte("bound"), 0o644), unix.Unmount(outside, 0))
		}},
	}
}

func (s *scenario) names() []step {
	long := strings.Repeat("n", 255)
	list := []string{"new\nline", "tab\there", "-dash", "trailing space ", "dot.", "CON", "co:lon", `back\slash`, `quo"te'`, "\U0001f642", "\xff\xfe",
		"caf\u00e9", "cafe\u0301", "Twin", "twin", "TWIN", "*", "?", "[a]", "{b}", long, "sub/.tandem/private", "sub/tmp-1", "sub/new-1-ab", "\u202etxt"}
	return []step{
		{"names", func() error {
			var err error
			for i, n := range list {
				err = errors.Join(err, s.file("names/"+n, fmt.Sprint(i)))
			}
			return err
		}},
		{"a name changes its case only", func() error { return os.Rename(s.at("names/CON"), s.at("names/con")) }},
		{"edits of names", func() error {
			var err error
			for i, n := range list {
				if n != "CON" {
					err = errors.Join(err, s.file("names/"+n, fmt.Sprint("again", i)))
				}
			}
			return err
		}},
		{"symlinks", func() error {
			return errors.Join(os.Symlink("/etc/passwd", s.at("names/absolute")), os.Symlink("nowhere", s.at("names/dangling")),
				os.Symlink("loop", s.at("names/loop")), os.Symlink("../../../..", s.at("names/up")), os.Symlink(strings.Repeat("t/", 2047), s.at("names/4k")),
				os.Symlink("non\xffutf", s.at("names/bytes")))
		}},
		{"times before 1970, in 2106 and in nanoseconds", func() error {
			early, late := time.Date(1931, 1, 2, 3, 4, 5, 6, time.UTC), time.Date(2106, 2, 7, 6, 28, 17, 999_999_999, time.UTC)
			return errors.Join(os.Chtimes(s.at("names/Twin"), early, early), os.Chtimes(s.at("names/twin"), late, late))
		}},
		{"all gone, and what rsync would compare as hard links", func() error {
			return errors.Join(os.RemoveAll(s.at("names")), os.RemoveAll(s.at("links")), os.RemoveAll(s.at("releases")))
		}},
	}
}
