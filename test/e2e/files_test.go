//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"tandem/internal/control"
)

// A node that may have only 64 files open runs without its folders, says how many it needs, and loses nothing; when it may
// have so many, and no more, it works.
func TestFewOpenFiles(t *testing.T) {
	need(t, "rsync")
	f := newFarm(t, "web1", "web2")
	few := filepath.Join(t.TempDir(), "few")
	allow := func(files string) {
		if err := os.WriteFile(few, []byte("#!/bin/sh\nulimit -n "+files+"\nexec "+program+" \"$@\"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	allow("64")
	f.members["web2"].program = few
	f.write(filepath.Join(f.folder("web2"), "mine"), "1")
	f.found("\n[folder.www]\npath = \"/var/www\"\n", nil)
	limit := ""
	f.await(30*time.Second, "web2 says what it needs", func() error {
		st, err := f.status("web2")
		if err != nil {
			return err
		}
		for _, fault := range st.Faults.Open {
			if m := regexp.MustCompile(`open files to (\d+) or more`).FindStringSubmatch(fault.Event.Next); m != nil && fault.Event.Folder == "www" {
				limit = m[1]
				return nil
			}
		}
		return fmt.Errorf("%+v", st.Faults)
	})
	for i := range 1500 {
		f.write(filepath.Join(f.folder("web1"), fmt.Sprintf("d%d/%d", i%7, i)), strings.Repeat("n", 1000))
	}
	for i := range 20 {
		f.write(filepath.Join(f.folder("web1"), fmt.Sprintf("large/%d", i)), strings.Repeat(strconv.Itoa(i), 1<<20))
	}
	st, err := f.status("web2")
	if err != nil || st.Folders[len(st.Folders)-1].State != control.FolderHalted {
		t.Errorf("without files to open: %+v, %v", st.Folders, err)
	}
	f.stop("web2")
	allow(limit)
	f.start("web2")
	f.await(20*time.Second, "the folder runs", func() error {
		st, err := f.status("web2")
		if err == nil && st.Folders[len(st.Folders)-1].State == control.FolderHalted {
			err = fmt.Errorf("%+v", st.Folders)
		}
		return err
	})
	f.tandem("web2", "folder", "seed", "www", "--extra", "push", "--yes")
	for i := range 1500 {
		f.write(filepath.Join(f.folder("web2"), fmt.Sprintf("e%d/%d", i%7, i)), strings.Repeat("m", 1000))
	}
	f.inSync("web1", "web2")
	f.equal("web1", "web2")
	if _, err := os.Stat(filepath.Join(f.folder("web1"), "mine")); err != nil {
		t.Error(err)
	}
	st, err = f.status("web2")
	if err != nil || len(st.Faults.Open) > 0 {
		t.Errorf("at the end: %+v, %v", st.Faults, err)
	}
}
