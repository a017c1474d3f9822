package index

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tandem/internal/farm"
)

func TestContract(t *testing.T) {
	p := farm.MustPath
	tests := []struct {
		name string
		do   func(*testing.T, *Index)
	}{
		{"a new index is empty", func(t *testing.T, x *Index) {
			if m, err := x.Meta(); err != nil || !reflect.DeepEqual(m, farm.Meta{}) {
				t.Errorf("meta %+v, %v", m, err)
			}
			if _, ok, err := x.Get(p("a")); ok || err != nil {
				t.Errorf("a: %v, %v", ok, err)
			}
			if rs := all(t, x, farm.Path{}); len(rs) != 0 {
				t.Errorf("holds %v", rs)
			}
			wantCounts(t, x, 0, 0)
		}},
		{"put, get, replace, drop", func(t *testing.T, x *Index) {
			commit(t, x, Batch{Put: []farm.Record{photo("a", 1), photo("b", 2)}})
			commit(t, x, Batch{Put: []farm.Record{photo("a", 3)}, Drop: []farm.Path{p("b"), p("never")}})
			if r, ok, err := x.Get(p("a")); !ok || err != nil || !reflect.DeepEqual(r, photo("a", 3)) {
				t.Errorf("a: %+v, %v, %v", r, ok, err)
			}
			if _, ok, err := x.Get(p("b")); ok || err != nil {
				t.Errorf("b: %v, %v", ok, err)
			}
			wantCounts(t, x, 1, 3)
		}},
		{"a path dropped and put is put", func(t *testing.T, x *Index) {
			commit(t, x, Batch{Put: []farm.Record{photo("a", 1)}, Drop: []farm.Path{p("a")}})
			wantPaths(t, all(t, x, farm.Path{}), "a")
		}},
		{"the root has a record too", func(t *testing.T, x *Index) {
			commit(t, x, Batch{Put: []farm.Record{dir("."), photo("a", 1)}})
			if r, ok, err := x.Get(farm.Path{}); !ok || err != nil || !reflect.DeepEqual(r, dir(".")) {
				t.Errorf("root: %+v, %v, %v", r, ok, err)
			}
			wantPaths(t, all(t, x, farm.Path{}), ".", "a")
			wantChildren(t, x, ".", "a")
		}},
		{"meta", func(t *testing.T, x *Index) {
			want := farm.Meta{Actor: web1, Seq: 5, Known: farm.VectorOf(farm.Position{Actor: web1, Seq: 5}), Boot: "b"}
			commit(t, x, Batch{Meta: &want})
			commit(t, x, Batch{Put: []farm.Record{photo("a", 1)}}) // leaves it
			if m, err := x.Meta(); err != nil || !reflect.DeepEqual(m, want) {
				t.Errorf("meta %+v, %v", m, err)
			}
		}},
		{"all in order, of a subtree", func(t *testing.T, x *Index) {
			commit(t, x, Batch{Put: []farm.Record{
				photo("ab", 1), photo("a-", 1), photo("a/b/c", 1), dir("a/b"), dir("a"), photo("a/b-", 1), photo("a/\x01", 1), photo("\xff", 1),
			}})
			wantPaths(t, all(t, x, farm.Path{}), "a", "a/\x01", "a/b", "a/b/c", "a/b-", "a-", "ab", "\xff")
			wantPaths(t, all(t, x, p("a")), "a", "a/\x01", "a/b", "a/b/c", "a/b-")
			wantPaths(t, all(t, x, p("a/b/c")), "a/b/c")
			wantPaths(t, all(t, x, p("none")))
		}},
		{"children are direct and on disk", func(t *testing.T, x *Index) {
			commit(t, x, Batch{Put: []farm.Record{
				dir("a"), photo("a/1", 1), dir("a/2"), photo("a/2/x", 1), photo("a/2/y/z", 1), photo("a/2-", 1), deleted("a/3"), photo("b", 1),
				photo("unknown/child", 1),
			}})
			wantChildren(t, x, "a", "1", "2", "2-")
			wantChildren(t, x, ".", "a", "b")
			wantChildren(t, x, "a/1")
			wantChildren(t, x, "none")
		}},
		{"live", func(t *testing.T, x *Index) {
			known := photo("known/1", 1)
			known.Disk.Attr = farm.Attr{}
			onDisk := photo("disk/1", 1)
			onDisk.Known = nil
			commit(t, x, Batch{Put: []farm.Record{known, onDisk, deleted("dead/1"), deleted("dead/2"), deleted("deep/1"), photo("deep/1/2", 1)}})
			for dir, want := range map[string]bool{"known": true, "disk": true, "dead": false, "deep": false, "deep/1": true, "none": false, ".": false} {
				if got, err := x.Live(p(dir)); got != want || err != nil {
					t.Errorf("%s: %v, %v, want %v", dir, got, err, want)
				}
			}
		}},
		{"by digest", func(t *testing.T, x *Index) {
			b := Batch{Put: []farm.Record{photo("z", 7), photo("a/z", 7), photo("other", 8), dir("d")}}
			near := photo("near", 7) // shares what the look-up goes by, and no more
			near.Disk.Digest[31]++
			b.Put = append(b.Put, near)
			commit(t, x, b)
			wantByDigest(t, x, 7, "a/z", "z")
			wantByDigest(t, x, 9)
			gone := photo("z", 7)
			gone.Disk.Attr = farm.Attr{}
			commit(t, x, Batch{Put: []farm.Record{gone, photo("other", 7)}})
			wantByDigest(t, x, 7, "a/z", "other")
			b = Batch{}
			for i := range 3 * maxByDigest {
				b.Put = append(b.Put, photo("many/"+string(rune('A'+i)), 5))
			}
			commit(t, x, b)
			if ps, err := x.ByDigest(photo("x", 5).Disk.Digest); len(ps) != maxByDigest || err != nil {
				t.Errorf("%d paths, %v", len(ps), err)
			}
		}},
		{"names of an inode", func(t *testing.T, x *Index) {
			linked := func(path string, ino uint64) farm.Record {
				r := photo(path, 7)
				r.Disk.Stat.Dev, r.Disk.Stat.Ino = 3, ino
				return r
			}
			commit(t, x, Batch{Put: []farm.Record{linked("a", 1), linked("b/c", 1), linked("equal", 2), photo("other", 8)}})
			ps, err := x.Names(linked("a", 1).Disk)
			if got := []farm.Path{p("a"), p("b/c")}; !slices.Equal(ps, got) || err != nil {
				t.Errorf("%v, %v", ps, err)
			}
		}},
		{"a record that contradicts itself changes nothing", func(t *testing.T, x *Index) {
			bad := photo("b", 1)
			bad.Path = p("c")
			err := x.Commit(Batch{Put: []farm.Record{photo("a", 1), bad}})
			if farm.KindOf(err) != farm.Invalid {
				t.Errorf("commit: %v", err)
			}
			wantPaths(t, all(t, x, farm.Path{}))
			wantCounts(t, x, 0, 0)
		}},
		{"an iteration sees its beginning and blocks nobody", func(t *testing.T, x *Index) {
			commit(t, x, Batch{Put: []farm.Record{photo("a", 1), photo("b", 1), photo("c", 1)}})
			var seen []farm.Record
			for r, err := range x.All(farm.Path{}) {
				if err != nil {
					t.Fatal(err)
				}
				seen = append(seen, r)
				commit(t, x, Batch{Put: []farm.Record{photo("d", 1)}, Drop: []farm.Path{p("c")}})
				for range x.All(farm.Path{}) { // another one inside, broken off
					break
				}
				if err := x.Sync(); err != nil {
					t.Fatal(err)
				}
			}
			wantPaths(t, seen, "a", "b", "c")
			wantPaths(t, all(t, x, farm.Path{}), "a", "b", "d")
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.do(t, openTest(t, quickDir(t))) })
	}
}

func TestReopen(t *testing.T) {
	d := filepath.Join(quickDir(t), "a ?odd#%41 näme") // SQLite knows directories by URI
	x := openTest(t, d)
	m := farm.Meta{Actor: web1, Seq: 2}
	commit(t, x, Batch{Put: []farm.Record{dir("a"), photo("a/b", 2)}, Meta: &m})
	closeTest(t, x)
	if err := x.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if err := x.Commit(Batch{}); farm.KindOf(err) != farm.Unavailable {
		t.Errorf("commit after close: %v", err)
	}
	x = openTest(t, d)
	wantPaths(t, all(t, x, farm.Path{}), "a", "a/b")
	wantCounts(t, x, 2, 2)
	if got, err := x.Meta(); err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("meta %+v, %v", got, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	d := quickDir(t)
	x := openTest(t, d)
	if _, err := Open(d, "shop"); farm.KindOf(err) != farm.Conflict {
		t.Errorf("open twice: %v", err)
	}
	if _, err := Reset(d, time.Unix(0, 0)); farm.KindOf(err) != farm.Conflict {
		t.Errorf("reset while open: %v", err)
	}
	closeTest(t, x)
	if _, err := Open(d, "wiki"); farm.KindOf(err) != farm.Invalid {
		t.Errorf("open for another folder: %v", err)
	}
	newer(t, d)
	if _, err := Open(d, "shop"); farm.KindOf(err) != farm.Unsupported {
		t.Errorf("open one of a newer version: %v", err)
	}
	if _, err := Open(filepath.Join(d, lockName), "shop"); err == nil {
		t.Error("opened a file as a directory")
	}
}

func newer(t *testing.T, dir string) {
	t.Helper()
	c, err := connect(dir, filesName)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.run("PRAGMA user_version = 99"), c.close()); err != nil {
		t.Fatal(err)
	}
}

// TestModel compares an index with a map under random batches, reopening and syncing between them.
func TestModel(t *testing.T) {
	d := quickDir(t)
	x := openTest(t, d)
	rapid.Check(t, func(rt *rapid.T) {
		var old Batch
		for r, err := range x.All(farm.Path{}) {
			if err != nil {
				rt.Fatal(err)
			}
			old.Drop = append(old.Drop, r.Path)
		}
		if err := x.Commit(old); err != nil {
			rt.Fatal(err)
		}
		model := map[farm.Path]farm.Record{}
		rt.Repeat(map[string]func(*rapid.T){
			"commit": func(rt *rapid.T) {
				var b Batch
				for range rapid.IntRange(0, 2).Draw(rt, "drops") {
					p := genPath(rt)
					b.Drop = append(b.Drop, p)
					delete(model, p)
				}
				for range rapid.IntRange(0, 4).Draw(rt, "puts") {
					r := genRecord(rt, genPath(rt))
					b.Put = append(b.Put, r)
					model[r.Path] = r
				}
				if err := x.Commit(b); err != nil {
					rt.Fatal(err)
				}
			},
			"sync": func(rt *rapid.T) {
				if err := x.Sync(); err != nil {
					rt.Fatal(err)
				}
			},
			"reopen": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "now") != 0 {
					return
				}
				if err := x.Close(); err != nil {
					rt.Fatal(err)
				}
				x = openTest(t, d)
			},
			"": func(rt *rapid.T) { compare(rt, x, model, genPath(rt)) },
		})
	})
}

// compare checks all that can be asked about p.
func compare(t *rapid.T, x *Index, model map[farm.Path]farm.Record, p farm.Path) {
	var want []farm.Record
	children, live := map[string]farm.Disk{}, false
	var entries, bytes int64
	for _, q := range slices.SortedFunc(maps.Keys(model), farm.Path.Compare) {
		r := model[q]
		if q == p || q.Under(p) {
			want = append(want, r)
		}
		onDisk := r.Disk.Type != farm.Absent
		if onDisk {
			entries, bytes = entries+1, bytes+r.Disk.Size
		}
		if q.IsRoot() || q.Parent() != p {
			continue
		}
		if onDisk {
			children[q.Base()] = r.Disk
		}
		live = live || onDisk || slices.ContainsFunc(r.Known, func(e farm.Entry) bool { return e.Type != farm.Absent })
	}
	var got []farm.Record
	for r, err := range x.All(p) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("all of %s:\n got %+v\nwant %+v", p, got, want)
	}
	if got, ok, err := x.Get(p); err != nil || ok != hasKey(model, p) || !reflect.DeepEqual(got, model[p]) {
		t.Fatalf("get %s: %+v, %v, %v", p, got, ok, err)
	}
	if got, err := x.Children(p); err != nil || !reflect.DeepEqual(got, children) {
		t.Fatalf("children of %s: %+v, %v, want %+v", p, got, err, children)
	}
	if got, err := x.Live(p); err != nil || got != live {
		t.Fatalf("live %s: %v, %v", p, got, err)
	}
	if e, b := x.Counts(); e != entries || b != bytes {
		t.Fatalf("counts %d, %d, want %d, %d", e, b, entries, bytes)
	}
}

func hasKey(m map[farm.Path]farm.Record, p farm.Path) bool { _, ok := m[p]; return ok }

// quickDir is a directory whose syncs cost nothing, where the system has such. What a sync is good for is another matter;
// see TestPowerCut.
func quickDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "index-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func openTest(t testing.TB, dir string) *Index {
	t.Helper()
	x, err := Open(dir, "shop")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeTest(t, x) })
	return x
}

func closeTest(t testing.TB, x *Index) {
	t.Helper()
	if err := x.Close(); err != nil {
		t.Error(err)
	}
}

func commit(t testing.TB, x *Index, b Batch) {
	t.Helper()
	if err := x.Commit(b); err != nil {
		t.Fatal(err)
	}
}

func all(t testing.TB, x *Index, under farm.Path) (rs []farm.Record) {
	t.Helper()
	for r, err := range x.All(under) {
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	return rs
}

func wantPaths(t testing.TB, rs []farm.Record, want ...string) {
	t.Helper()
	var got []string
	for _, r := range rs {
		got = append(got, r.Path.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("paths %q, want %q", got, want)
	}
}

func wantChildren(t *testing.T, x *Index, dir string, want ...string) {
	t.Helper()
	m, err := x.Children(farm.MustPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(m)); !slices.Equal(got, want) {
		t.Errorf("children of %s %q, want %q", dir, got, want)
	}
}

func wantByDigest(t *testing.T, x *Index, i int, want ...string) {
	t.Helper()
	ps, err := x.ByDigest(photo("x", i).Disk.Digest)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range ps {
		got = append(got, p.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("with content %d %q, want %q", i, got, want)
	}
}

func wantCounts(t testing.TB, x *Index, entries, bytes int64) {
	t.Helper()
	if e, b := x.Counts(); e != entries || b != bytes {
		t.Errorf("counts %d, %d, want %d, %d", e, b, entries, bytes)
	}
}
