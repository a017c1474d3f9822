package web

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// TestNoMissingFile: what has been announced is found, by file servers and by whoever looks for files.
func TestNoMissingFile(t *testing.T) {
	const php = "try_files {path} {path}/index.php /front.php\n\trespond {uri}"
	for name, tc := range map[string]struct {
		site      string // after the root
		root      string // inside the folder
		path      string
		method    string
		arriving  string // path in the folder
		comes     string // its content, when it is waited for
		holders   []farm.MemberID
		forwarded bool
		late      time.Duration // for how long it has been on its way

		want string // status and body
		seen bool   // another member was asked
	}{
		"nothing is on its way":              {site: "file_server", path: "/a.txt", want: "404"},
		"something else is":                  {site: "file_server", path: "/a.txt", arriving: "b.txt", want: "404"},
		"it comes in time":                   {site: "file_server", path: "/a.txt", arriving: "a.txt", comes: "new", want: "200 new"},
		"it does not, and a holder has it":   {site: "file_server", path: "/a.txt", arriving: "a.txt", holders: []farm.MemberID{"web2"}, want: "200 from web2", seen: true},
		"it is late, and would come":         {site: "file_server", path: "/a.txt", arriving: "a.txt", comes: "new", late: time.Minute, holders: []farm.MemberID{"web2"}, want: "200 from web2", seen: true},
		"it does not, and nobody has it":     {site: "file_server", path: "/a.txt", arriving: "a.txt", want: "404"},
		"an older one is on disk":            {site: "file_server", path: "/old.txt", arriving: "old.txt", holders: []farm.MemberID{"web2"}, want: "200 from web2", seen: true},
		"then that is better than nothing":   {site: "file_server", path: "/old.txt", arriving: "old.txt", want: "200 old"},
		"a request that was passed on":       {site: "file_server", path: "/a.txt", arriving: "a.txt", holders: []farm.MemberID{"web2"}, forwarded: true, want: "404"},
		"the index of a directory":           {site: "file_server", path: "/dir/", arriving: "dir/index.html", comes: "index", want: "200 index"},
		"a root below the folder":            {site: "file_server", root: "public", path: "/a.txt", arriving: "public/a.txt", comes: "new", want: "200 new"},
		"a prefix that is taken away":        {site: "handle_path /files/* {\n\t\tfile_server\n\t}", path: "/files/a.txt", arriving: "a.txt", comes: "new", want: "200 new"},
		"a name with a space, and dots":      {site: "file_server", path: "/x/../a%20b.txt", arriving: "a b.txt", comes: "new", want: "200 new"},
		"what is looked for before PHP":      {site: php, path: "/a.jpg", arriving: "a.jpg", comes: "new", want: "200 /a.jpg"},
		"... and is not there":               {site: php, path: "/a.jpg", want: "200 /front.php"},
		"the script of a directory":          {site: php, path: "/shop", arriving: "shop/index.php", comes: "new", want: "200 /shop/index.php"},
		"a script that takes more path":      {site: "respond app", path: "/app.php/more", arriving: "app.php", holders: []farm.MemberID{"web2"}, want: "200 from web2", seen: true},
		"writes are for this node":           {site: "respond here", method: "POST", path: "/a.txt", arriving: "a.txt", holders: []farm.MemberID{"web2"}, want: "200 here"},
		"nothing outside of the folder's":    {site: "file_server", path: "/../../etc/passwd", arriving: "a.txt", want: "404"},
		"a request without a file behind it": {site: "respond here", path: "/", arriving: "a.txt", want: "200 here"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "old.txt"), "old")
			writeFile(t, filepath.Join(dir, "front.php"), "front")
			if err := os.MkdirAll(filepath.Join(dir, "public"), 0o755); err != nil {
				t.Fatal(err)
			}
			f, members := &fakeFolders{arriving: map[string]farm.Vector{}, late: tc.late}, &fakeMembers{}
			if tc.arriving != "" {
				f.arriving["www:"+tc.arriving] = vector("web2.a.5")
			}
			if tc.comes != "" {
				f.comes = func() { writeFile(t, filepath.Join(dir, tc.arriving), tc.comes) }
			}
			f.holders = map[string][]farm.MemberID{"web2.a.5": tc.holders}
			r := newRig(t, func(c *Config) { c.Consistency, c.Forwarder = f, members })
			r.folders = []config.Folder{{Name: "www", Path: dir}}
			r.mustLoad(map[string]string{"a": "http://a.test {\n\troot * " + filepath.Join(dir, tc.root) + "\n\t" + tc.site + "\n}"})
			if tc.method == "" {
				tc.method = "GET"
			}
			req := request(t, tc.method, r.edge.URL, "a.test", tc.path)
			if tc.forwarded {
				req.Header.Set(ForwardedHeader, "web2")
			}
			res := do(t, req)
			if got := fmt.Sprint(res.StatusCode, " ", res.body); !strings.HasPrefix(got, tc.want) {
				t.Errorf("answer is %q, want %q", got, tc.want)
			}
			if (len(members.seen) > 0) != tc.seen {
				t.Errorf("passed on: %q", members.seen)
			}
		})
	}
}

// TestSiteFollowsItsFolder: a folder that comes to hold a site's root is looked after from then on.
func TestSiteFollowsItsFolder(t *testing.T) {
	dir := t.TempDir()
	f, members := &fakeFolders{arriving: map[string]farm.Vector{"www:a.txt": vector("web2.a.5")}}, &fakeMembers{}
	f.holders = map[string][]farm.MemberID{"web2.a.5": {"web2"}}
	r := newRig(t, func(c *Config) { c.Consistency, c.Forwarder = f, members })
	site := map[string]string{"a": "http://a.test {\n\troot * " + dir + "\n\tfile_server\n}"}
	for _, want := range []int{404, 200} {
		r.mustLoad(site)
		if res := r.viaEdge("a.test", "/a.txt"); res.StatusCode != want {
			t.Errorf("status %d, want %d", res.StatusCode, want)
		}
		r.folders = []config.Folder{{Name: "www", Path: dir}}
	}
}
