//go:build linux

package e2e

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// equal waits until the folders of two nodes are the same in the eyes of rsync, which knows nothing of Tandem. Times of
// directories are each node's own, as designed.
func (f *farmUnderTest) equal(a, b string, exclude ...string) {
	f.t.Helper()
	args := []string{"-naciHAX", "--delete", "--exclude=/.tandem"}
	for _, e := range exclude {
		args = append(args, "--exclude="+e)
	}
	f.await(60*time.Second, fmt.Sprintf("%s and %s have the same files", a, b), func() error {
		out, err := exec.Command("rsync", append(args, f.folder(a)+"/", f.folder(b)+"/")...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("rsync: %w: %s", err, out)
		}
		var differ []string
		for line := range strings.Lines(string(out)) {
			if !strings.HasPrefix(line, ".d..t...... ") {
				differ = append(differ, line)
			}
		}
		if len(differ) > 0 {
			return fmt.Errorf("%d differ:\n%s", len(differ), strings.Join(differ[:min(10, len(differ))], ""))
		}
		return nil
	})
}

// tree is what a folder shows to applications: a line of attributes and content by path.
type tree map[string]string

// treeOf reads a folder, without what is private to Tandem or excluded.
func treeOf(root string, excluded func(path string) bool) (tree, error) {
	t := tree{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if rel == ".tandem" || excluded(rel) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if rel == "." {
			return nil
		}
		t[rel], err = describe(path)
		return err
	})
	return t, err
}

func describe(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	st := info.Sys().(*syscall.Stat_t)
	line := fmt.Sprintf("%s %d:%d", info.Mode(), st.Uid, st.Gid)
	switch {
	case info.IsDir():
		return line, nil
	case info.Mode()&fs.ModeSymlink != 0:
		text, err := os.Readlink(path)
		return line + " -> " + text, err
	}
	b, err := os.ReadFile(path)
	return fmt.Sprintf("%s %s %d %x", line, info.ModTime().UTC().Format(time.RFC3339Nano), len(b), sha256.Sum256(b)), err
}

// diff says how other differs from t; empty: not at all.
func (t tree) diff(other tree) string {
	var lines []string
	all := maps.Clone(t)
	maps.Copy(all, other)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if t[path] != other[path] {
			lines = append(lines, fmt.Sprintf("%s: %q, want %q", path, other[path], t[path]))
		}
	}
	return strings.Join(lines[:min(10, len(lines))], "\n")
}
