package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tandem/internal/farm"
	"tandem/internal/iis"
)

// serverDisk finds files of an IIS server on this machine: where --map says that they lie, or at their own paths if this
// is the server. It implements iis.Disk.
type serverDisk struct{ maps []iis.Mapping }

func newServerDisk(maps []iis.Mapping) *serverDisk { return &serverDisk{maps} }

// Bounds of the search for web.config files below a root.
const (
	maxWebConfigs = 1000
	maxSearched   = 200_000 // files and directories
)

// local is the path on this machine.
func (d *serverDisk) local(path string) string {
	slashed := strings.ReplaceAll(path, `\`, "/")
	best, local := -1, path
	for _, m := range d.maps {
		from := strings.TrimRight(strings.ReplaceAll(m.From, `\`, "/"), "/")
		if len(from) > best && len(slashed) >= len(from) && strings.EqualFold(slashed[:len(from)], from) &&
			(len(slashed) == len(from) || slashed[len(from)] == '/') {
			best, local = len(from), m.To+filepath.FromSlash(slashed[len(from):])
		}
	}
	return local
}

// WebConfigs implements iis.Disk.
func (d *serverDisk) WebConfigs(dir string) []string {
	root := d.local(dir)
	var found []string
	searched := 0
	// What can't be read is as if it were not there: the report says which files were read.
	_ = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if searched++; searched > maxSearched || len(found) >= maxWebConfigs {
			return filepath.SkipAll
		}
		if err == nil && !e.IsDir() && strings.EqualFold(e.Name(), "web.config") {
			if rel, err := filepath.Rel(root, filepath.Dir(path)); err == nil {
				found = append(found, filepath.ToSlash(rel))
			}
		}
		return nil
	})
	return found
}

// ReadFile implements iis.Disk. The last part of the name is found whatever its case, as on the server.
func (d *serverDisk) ReadFile(path string) ([]byte, string, error) {
	local := d.local(path)
	if entries, err := os.ReadDir(filepath.Dir(local)); err == nil {
		for _, e := range entries {
			if strings.EqualFold(e.Name(), filepath.Base(local)) {
				local = filepath.Join(filepath.Dir(local), e.Name())
				break
			}
		}
	}
	data, err := readLimited(local)
	return data, local, err
}

// readLocal reads a file that a configuration names, below the directory of that.
func readLocal(dir, name string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.Open(filepath.FromSlash(strings.ReplaceAll(name, `\`, "/")))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, iis.MaxFileBytes+1))
}

func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &farm.Error{Op: "read", Path: path, Kind: kindOfFile(err), Err: errors.Unwrap(err)}
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, iis.MaxFileBytes+1))
}
