// Package iistest reads what the tests of importing from IIS share: servers as txtar archives, with their disks.
package iistest

import (
	"bytes"
	"errors"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"tandem/internal/iis"
)

// Server is an archive: the files of an IIS server, and what an import of it is to make.
type Server struct {
	Name    string // of the archive
	Path    string
	Archive *txtar.Archive
}

// Servers are the archives in a directory.
func Servers(t testing.TB, dir string) []Server {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no archives in %s: %v", dir, err)
	}
	var all []Server
	for _, p := range paths {
		a, err := txtar.ParseFile(p)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Server{strings.TrimSuffix(filepath.Base(p), ".txtar"), p, a})
	}
	return all
}

// Options are what an import of the server is asked for. The comment of the archive says more, a line each: "map
// FROM=TO", "site NAME". The first file is the one to import; those called C/... are on the server's disk, others are
// beside it.
func (s Server) Options() iis.Options {
	d := disk{}
	var first *txtar.File
	for i, f := range s.Archive.Files {
		if strings.HasPrefix(f.Name, "want") {
			continue
		}
		if first == nil {
			first = &s.Archive.Files[i]
		}
		d[strings.ToLower(f.Name)] = f.Data
	}
	opts := iis.Options{File: first.Name, Data: first.Data, Disk: d, Beside: func(name string) ([]byte, error) {
		data, _, err := d.ReadFile(name)
		return data, err
	}}
	for line := range strings.Lines(string(s.Archive.Comment)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch from, to, _ := strings.Cut(rest, "="); word {
		case "map":
			opts.Map = append(opts.Map, iis.Mapping{From: from, To: to})
		case "site":
			opts.Site = rest
		}
	}
	return opts
}

// Want returns the archive with these files as what is wanted.
func (s Server) Want(files []txtar.File) []byte {
	a := txtar.Archive{Comment: s.Archive.Comment}
	for _, f := range s.Archive.Files {
		if !strings.HasPrefix(f.Name, "want") {
			a.Files = append(a.Files, f)
		}
	}
	a.Files = append(a.Files, files...)
	return txtar.Format(&a)
}

// disk is the server's disk: names in lower case, with slashes and drives without a colon.
type disk map[string][]byte

func (disk) name(p string) string {
	return strings.ToLower(strings.Replace(strings.ReplaceAll(p, `\`, "/"), ":", "", 1))
}

// WebConfigs implements iis.Disk.
func (d disk) WebConfigs(dir string) []string {
	var found []string
	for name := range d {
		if rest, ok := strings.CutPrefix(name, d.name(dir)+"/"); ok && path.Base(rest) == "web.config" {
			found = append(found, path.Dir(rest))
		}
	}
	slices.Sort(found)
	return found
}

// ReadFile implements iis.Disk.
func (d disk) ReadFile(p string) ([]byte, string, error) {
	data, ok := d[d.name(p)]
	if !ok {
		return nil, p, errors.New("there is no such file")
	}
	return bytes.Clone(data), d.name(p), nil
}
