package web

import (
	"context"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"tandem/internal/farm"
)

// Arrivals knows which paths are on their way: announced by another member, and not on this disk yet as they should be.
type Arrivals interface {
	// Arriving tells whether anything of the folder is on its way; it costs next to nothing.
	Arriving(f farm.FolderID) bool
	// Arrival is what a member has applied that has all of the path that is known here, and since when this disk has not;
	// false: it has.
	Arrival(f farm.FolderID, p farm.Path) (want farm.Vector, since time.Time, is bool)
	// Arrived returns when the path is on this disk as it should be, or with ctx's error.
	Arrived(ctx context.Context, f farm.FolderID, p farm.Path) error
}

// maxPrefix is how many leading elements of a request's path a site may take away before it looks for a file, as
// handle_path does.
const maxPrefix = 4

// indexNames are the files that a request for a directory may mean.
var indexNames = []string{"index.html", "index.php", "index.txt"}

// missing stands before the handlers of a block whose files are in folders. It waits a moment for a file that is on its
// way, and then has the request answered by a member that has it: file servers, and the look at what exists before PHP
// is asked, find what has been announced.
type missing struct {
	env   *environment
	roots []rootIn
}

// rootIn is a root of a site inside of a folder.
type rootIn struct {
	folder farm.FolderID
	path   string // "" or "a/b"
}

// newMissing returns nil if no root is in a folder.
func newMissing(env *environment) *missing {
	m := &missing{env: env}
	if env.consistency == nil {
		return nil
	}
	for _, root := range env.roots {
		for f, dir := range env.folders {
			if rel, inside := relative(root, dir); inside {
				if rel == "." {
					rel = ""
				}
				m.roots = append(m.roots, rootIn{f, rel})
			}
		}
	}
	if len(m.roots) == 0 {
		return nil
	}
	return m
}

// serve tells whether it has had the request answered.
func (m *missing) serve(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || !slices.ContainsFunc(m.roots, func(in rootIn) bool { return m.env.consistency.Arriving(in.folder) }) {
		return false
	}
	awaited := m.arrivals(r.URL.Path)
	if len(awaited) == 0 || m.arrive(r.Context(), awaited) {
		return false
	}
	want := farm.Session{}
	for _, a := range m.arrivals(r.URL.Path) {
		want[a.folder] = want[a.folder].Join(a.want)
	}
	return len(want) > 0 && m.env.forward(w, r, m.env.holders(want))
}

// arrival is a file that is on its way, and that a request may mean.
type arrival struct {
	folder farm.FolderID
	path   farm.Path
	want   farm.Vector
	since  time.Time
}

// arrive waits for the files, a moment in all, and tells whether they have come. What has been on its way for longer may
// take much longer still.
func (m *missing) arrive(ctx context.Context, awaited []arrival) bool {
	ctx, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	for _, a := range awaited {
		if time.Since(a.since) > moment || m.env.consistency.Arrived(ctx, a.folder, a.path) != nil {
			return false
		}
	}
	return true
}

// arrivals are the files that the path of a request may mean and that are on their way.
func (m *missing) arrivals(url string) (all []arrival) {
	for _, in := range m.roots {
		if !m.env.consistency.Arriving(in.folder) {
			continue
		}
		for _, name := range meant(url) {
			p, err := farm.ParsePath(path.Join(in.path, name))
			if err != nil {
				continue // no file has this name
			}
			if want, since, is := m.env.consistency.Arrival(in.folder, p); is {
				all = append(all, arrival{in.folder, p, want, since})
			}
		}
	}
	return all
}

// meant are the files below a root that a path in a URL may mean: itself, or the index of a directory, or the script ahead
// of more path; whatever a prefix says that the site takes away. That one of them is not meant costs no more than time.
func meant(url string) (names []string) {
	rest := strings.TrimPrefix(path.Clean("/"+url), "/")
	for range maxPrefix {
		names = append(names, rest)
		for _, index := range indexNames {
			names = append(names, path.Join(rest, index))
		}
		if script, _, more := strings.Cut(rest, ".php/"); more {
			names = append(names, script+".php")
		}
		var cut bool
		if _, rest, cut = strings.Cut(rest, "/"); !cut {
			break
		}
	}
	return names
}
