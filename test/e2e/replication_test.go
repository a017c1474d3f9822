//go:build linux

package e2e

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/internal/farm"
)

// TestReplication: whatever applications and admins do to files on one node is on the other, by both ways to notice it.
func TestReplication(t *testing.T) {
	need(t, "rsync", "tar")
	for _, watch := range []string{"fanotify", "inotify"} {
		t.Run(watch, func(t *testing.T) {
			f := newFarm(t, "web1", "web2")
			f.found(fmt.Sprintf("\n[folder.www]\npath = \"/var/www\"\nexclude = [\"cache/**\", \"*.log\"]\nwatch = %q\n", watch), nil)
			f.inSync("web1", "web2")
			r := &replication{f}
			st, err := f.status("web1")
			if err != nil {
				t.Fatal(err)
			}
			for _, folder := range st.Folders {
				if folder.ID == "www" && folder.Watch != watch {
					t.Skipf("this system does not allow %s: the folder is watched by %s", watch, folder.Watch)
				}
			}
			for _, part := range []struct {
				name string
				do   func()
			}{
				{"edits", r.edits}, {"changes while down", r.whileDown}, {"conflict", r.conflict}, {"partition", r.partition},
				{"killed while unpacking", r.killedMidway},
			} {
				began := time.Now()
				part.do()
				t.Logf("%s: %s", part.name, time.Since(began).Round(time.Millisecond))
			}
			f.equal("web1", "web2", "/cache/*", "*.log")
		})
	}
}

// replication is a farm of web1 and web2 with the folder www.
type replication struct{ *farmUnderTest }

// edits are what can happen to files, each a step for the other node to follow.
func (r *replication) edits() {
	at := time.Date(2001, 2, 3, 4, 5, 6, 789_012_345, time.UTC)
	for i, step := range []struct {
		name string
		do   func(path func(string) string) error
	}{
		{"create", func(p func(string) string) error { return os.WriteFile(p("a"), []byte("one\n"), 0o640) }},
		{"overwrite", func(p func(string) string) error { return os.WriteFile(p("a"), []byte("two\n"), 0) }},
		{"append", func(p func(string) string) error { return appendTo(p("a"), "three\n") }},
		{"large file", func(p func(string) string) error {
			return os.WriteFile(p("large"), bytes.Repeat([]byte("0123456789abcde\n"), 1<<18), 0o644)
		}},
		{"replace by rename", func(p func(string) string) error {
			return errors.Join(os.WriteFile(p("a.new"), []byte("four\n"), 0o644), os.Rename(p("a.new"), p("a")))
		}},
		{"rename", func(p func(string) string) error { return os.Rename(p("large"), p("bulky")) }},
		{"chmod", func(p func(string) string) error { return os.Chmod(p("a"), 0o4751) }},
		{"chown", func(p func(string) string) error { return os.Chown(p("a"), 1234, 2345) }},
		{"time in nanoseconds", func(p func(string) string) error { return os.Chtimes(p("a"), at, at) }},
		{"symlink", func(p func(string) string) error { return os.Symlink("../some where/else", p("link")) }},
		{"deep directories with files at once", func(p func(string) string) error {
			dir := p("d/e/f/g/h")
			err := os.MkdirAll(dir, 0o755)
			for i := range 20 {
				err = errors.Join(err, os.WriteFile(fmt.Sprintf("%s/%d", dir, i), fmt.Appendln(nil, i), 0o600))
			}
			return err
		}},
		{"rename of a directory", func(p func(string) string) error { return os.Rename(p("d/e"), p("moved")) }},
		{"write below the new name", func(p func(string) string) error { return os.WriteFile(p("moved/f/g/h/3"), []byte("x"), 0o600) }},
		{"attributes of a directory", func(p func(string) string) error {
			return errors.Join(os.Chmod(p("moved"), 0o2711), os.Chown(p("moved"), 1234, 0))
		}},
		{"empty file", func(p func(string) string) error { return os.WriteFile(p("none"), nil, 0o444) }},
		{"file becomes directory", func(p func(string) string) error { return errors.Join(os.Remove(p("a")), os.MkdirAll(p("a/b"), 0o700)) }},
		{"symlink is replaced", func(p func(string) string) error {
			return errors.Join(os.Remove(p("link")), os.Symlink("new", p("link")))
		}},
		{"delete", func(p func(string) string) error { return os.Remove(p("bulky")) }},
		{"delete a tree", func(p func(string) string) error { return os.RemoveAll(p("moved")) }},
		{"excluded, and one that is not", func(p func(string) string) error {
			return errors.Join(os.MkdirAll(p("cache/x"), 0o755), os.WriteFile(p("cache/x/y"), []byte("here only"), 0o644),
				os.WriteFile(p("d/some.log"), []byte("here only"), 0o644), os.WriteFile(p("d/after"), []byte("everywhere"), 0o644))
		}},
	} {
		n := []string{"web1", "web2"}[i/3%2]
		if err := step.do(func(name string) string { return filepath.Join(r.folder(n), name) }); err != nil {
			r.t.Fatalf("%s: %v", step.name, err)
		}
		r.settled(step.name+" on "+n, r.tree(n))
	}
	for _, gone := range []string{"cache/x", "d/some.log"} {
		if _, err := os.Lstat(filepath.Join(r.folder("web2"), gone)); err == nil {
			if _, err := os.Lstat(filepath.Join(r.folder("web1"), gone)); err == nil {
				r.t.Errorf("%s is on both nodes, though it is excluded", gone)
			}
		}
	}
}

func appendTo(path, text string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

func excluded(path string) bool { return path == "cache" || strings.HasSuffix(path, ".log") }

func (r *replication) tree(n string) tree {
	r.t.Helper()
	all, err := treeOf(r.folder(n), excluded)
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// settled waits until both nodes have the tree.
func (r *replication) settled(what string, want tree) {
	r.t.Helper()
	r.await(10*time.Second, what, func() error {
		for _, n := range []string{"web1", "web2"} {
			got, err := treeOf(r.folder(n), excluded)
			if err != nil {
				return err
			}
			if d := want.diff(got); d != "" {
				return fmt.Errorf("%s: %s", n, d)
			}
		}
		return nil
	})
}

// put writes a file of a node.
func (r *replication) put(n, name, text string) {
	r.t.Helper()
	r.write(filepath.Join(r.folder(n), name), text)
}

func (r *replication) drop(n, name string) {
	r.t.Helper()
	if err := os.Remove(filepath.Join(r.folder(n), name)); err != nil {
		r.t.Fatal(err)
	}
}

// whileDown changes files of a node that runs while the other does not, and of the one that does not.
func (r *replication) whileDown() {
	r.put("web1", "down/edited", "before\n")
	r.put("web1", "down/deleted", "before\n")
	r.settled("before the node stops", r.tree("web1"))
	r.stop("web2")
	r.put("web1", "down/edited", "after\n")
	r.put("web1", "down/made", "after\n")
	r.drop("web1", "down/deleted")
	want := r.tree("web1")
	r.put("web2", "down/made while down", "on the stopped node\n")
	want["down/made while down"] = r.tree("web2")["down/made while down"]
	r.start("web2")
	r.settled("changes while a node was down", want)
}

// conflict edits a file on both nodes while one is down.
func (r *replication) conflict() {
	since := time.Now()
	r.put("web1", "both", "before\n")
	r.settled("before the conflict", r.tree("web1"))
	r.stop("web2")
	r.put("web1", "both", "edited on web1\n")
	r.put("web2", "both", "edited on web2\n")
	r.start("web2")
	r.oneWinner("both", "edited on web1\n", "edited on web2\n", since)
}

// oneWinner waits until both nodes have one of two texts, and wants the other preserved on the node of its author.
func (r *replication) oneWinner(name, text1, text2 string, since time.Time) {
	r.t.Helper()
	texts := map[string]string{"web1": text1, "web2": text2}
	loser := ""
	r.await(15*time.Second, "one version of "+name, func() error {
		one, err1 := os.ReadFile(filepath.Join(r.folder("web1"), name))
		two, err2 := os.ReadFile(filepath.Join(r.folder("web2"), name))
		switch {
		case errors.Join(err1, err2) != nil:
			return errors.Join(err1, err2)
		case !bytes.Equal(one, two):
			return fmt.Errorf("web1 has %q, web2 has %q", one, two)
		case string(one) == text1:
			loser = "web2"
		case string(one) == text2:
			loser = "web1"
		default:
			return fmt.Errorf("both have %q, which nobody wrote there", one)
		}
		return nil
	})
	r.awaitEvent(loser, farm.EventFileConflict, since, func(e farm.Event) bool { return e.Subject == name })
	r.await(5*time.Second, "the losing text is preserved on "+loser, func() error {
		found := false
		err := filepath.WalkDir(filepath.Join(r.folder(loser), ".tandem", "preserved"), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			found = found || string(b) == texts[loser]
			return err
		})
		if err == nil && !found {
			err = errors.New("it is in no file there")
		}
		return err
	})
}

// partition edits on both sides of a network that is cut.
func (r *replication) partition() {
	since := time.Now()
	r.lan.cut("web2")
	r.put("web1", "apart/one", "written on web1\n")
	r.put("web2", "apart/two", "written on web2\n")
	r.put("web1", "apart/both", "web1's\n")
	r.put("web2", "apart/both", "web2's\n")
	r.await(10*time.Second, "web1 notices that web2 is away", func() error {
		if len(r.events("web1", farm.EventMemberDown, since)) == 0 {
			return errors.New("it says nothing")
		}
		return nil
	})
	want1, want2 := r.tree("web1"), r.tree("web2")
	if want1["apart/two"] != "" || want2["apart/one"] != "" {
		r.t.Error("files cross a network that is cut")
	}
	r.lan.mend("web2")
	r.oneWinner("apart/both", "web1's\n", "web2's\n", since)
	want1["apart/two"], want1["apart/both"] = want2["apart/two"], r.tree("web1")["apart/both"]
	r.settled("edits on both sides of a partition", want1)
}

// killedMidway unpacks an archive on one node, and kills first the other node and then this one while that is going on.
func (r *replication) killedMidway() {
	const files, parts, period = 3000, 100, 30 * time.Millisecond
	unpacked := r.unpack("web1", archiveOf(r.t, files), parts, period)
	arrived := func(n int) func() error {
		return func() error {
			list, err := filepath.Glob(filepath.Join(r.folder("web2"), "unpacked", "*", "*"))
			if err == nil && len(list) < n {
				err = fmt.Errorf("%d of %d files have arrived", len(list), n)
			}
			return err
		}
	}
	r.await(30*time.Second, "some of the files", arrived(files/10))
	r.kill("web2")
	r.start("web2")
	r.await(30*time.Second, "more of the files", arrived(files/4))
	r.kill("web1")
	r.start("web1")
	if err := <-unpacked; err != nil {
		r.t.Fatalf("tar: %v", err)
	}
	want := r.tree("web1")
	r.await(30*time.Second, "all of the files", arrived(files))
	r.settled("an archive that was unpacked while nodes died", want)
	r.inSync("web1", "web2")
}

// unpack lets tar unpack an archive in a node's folder as it comes, in so many parts, one a period. What is returned
// gets tar's result.
func (r *replication) unpack(n string, archive []byte, parts int, period time.Duration) <-chan error {
	r.t.Helper()
	in, out, err := os.Pipe()
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command("tar", "-x", "-C", r.folder(n))
	cmd.Stdin = in
	err = cmd.Start()
	_ = in.Close()
	if err != nil {
		r.t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		tick := time.NewTicker(period)
		defer tick.Stop()
		var err error
		for part := range slices.Chunk(archive, len(archive)/parts+1) {
			<-tick.C
			_, werr := out.Write(part)
			err = errors.Join(err, werr)
		}
		result <- errors.Join(err, out.Close(), cmd.Wait())
	}()
	return result
}

// archiveOf is a tar file with so many small files, with times and modes of their own.
func archiveOf(t *testing.T, files int) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := range files {
		text := strings.Repeat(fmt.Sprintf("file %d\n", i), i%300)
		h := &tar.Header{
			Name: fmt.Sprintf("unpacked/%d/%d", i%50, i), Mode: int64(0o600 + i%64), Size: int64(len(text)),
			ModTime: time.Unix(1_000_000_000+int64(i), 0), Format: tar.FormatGNU,
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
