package web

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// This file is about answers that edges may keep: see docs/adr/0015.

// Contents knows what files of folders are.
type Contents interface {
	// Digest is that of the file's content, if the file is in a folder, and on disk as the folder's index has it.
	Digest(path string) (farm.Digest, bool)
	// Applied is what this member has on disk of the folder.
	Applied(f farm.FolderID) farm.Vector
	// Settled tells whether every other node has all that may be visible here.
	Settled(f farm.FolderID) bool
}

// maxCacheBytes is the most that a site may take of each edge's memory.
const maxCacheBytes = 64 << 30

// readCache reads: cache SIZE.
func readCache(d *caddyfile.Dispenser, o *config.EdgeSite) error {
	size, err := config.ParseSize(strings.Join(d.RemainingArgs(), " "))
	if err != nil || size > maxCacheBytes {
		return errors.New("it takes a size, such as 64MiB")
	}
	o.CacheBytes = int64(size)
	return nil
}

// etagsFS is the name of the file system with which the file servers of a site make ETags of digests. etagFile is what they
// look for beside each file; no request gets there (see private).
const (
	etagsFS  = "tandem"
	etagFile = "/" + farm.PrivateDir + "/etag"
)

// etags is the system's file system, and has beside each file of a folder one with its ETag.
type etags struct {
	digest func(path string) (farm.Digest, bool)
}

// Open implements fs.FS for absolute paths, as Caddy uses it.
func (e etags) Open(name string) (fs.File, error) {
	path, wanted := strings.CutSuffix(name, etagFile)
	if !wanted {
		return os.Open(name)
	}
	d, ok := e.digest(path)
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &etag{bytes.NewReader([]byte(`"` + d.String() + `"`))}, nil
}

// etag is a file in memory.
type etag struct{ *bytes.Reader }

func (f *etag) Stat() (fs.FileInfo, error) { return f, nil }
func (f *etag) Close() error               { return nil }
func (f *etag) Name() string               { return "etag" }
func (f *etag) Mode() fs.FileMode          { return 0o400 }
func (f *etag) ModTime() time.Time         { return time.Time{} }
func (f *etag) IsDir() bool                { return false }
func (f *etag) Sys() any                   { return nil }

// vouch stands before the handlers of a block whose answers edges may keep. It says as of which positions an answer is right.
type vouch struct {
	env     *environment
	folders []farm.FolderID
}

func newVouch(env *environment, m *missing, o *config.EdgeSite) *vouch {
	if m == nil || o == nil || o.CacheBytes == 0 {
		return nil
	}
	v := &vouch{env: env}
	for _, in := range m.roots {
		if !slices.Contains(v.folders, in.folder) {
			v.folders = append(v.folders, in.folder)
		}
	}
	return v
}

// wrap returns where to write the answer. What is on disk now is in it, whatever else comes meanwhile; but that others might
// not have yet, and nobody may see it vanish again, so that it must have settled before the answer is kept for all.
func (v *vouch) wrap(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	if v == nil || r.Header.Get(farm.CacheHeader) == "" {
		return w
	}
	asOf := farm.Session{}
	for _, f := range v.folders {
		asOf[f] = v.env.consistency.Applied(f)
	}
	return newMarked(w, func() {
		if !slices.ContainsFunc(v.folders, func(f farm.FolderID) bool { return !v.env.consistency.Settled(f) }) {
			w.Header().Set(farm.CacheHeader, asOf.String())
		}
	})
}
