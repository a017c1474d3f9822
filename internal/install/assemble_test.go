package install

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zeebo/blake3"

	"tandem/internal/chunk"
	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// noise is content that does not repeat itself.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func cutUp(content []byte) chunk.Recipe {
	m := chunk.NewMaker()
	_, _ = m.Write(content)
	r, _ := m.Recipe()
	return r
}

// larder is a Recipes in memory.
type larder map[farm.Digest]struct {
	recipe []byte
	marks  []uint64
}

func (s larder) Recipe(d farm.Digest) ([]byte, error) { return s[d].recipe, nil }

func (s larder) SaveRecipe(d farm.Digest, recipe []byte, marks []uint64) error {
	s[d] = struct {
		recipe []byte
		marks  []uint64
	}{recipe, marks}
	return nil
}

func (s larder) Similar(marks []uint64) (list []farm.Digest, err error) {
	for d, e := range s {
		if slices.ContainsFunc(e.marks, func(m uint64) bool { return slices.Contains(marks, m) }) {
			list = append(list, d)
		}
	}
	return list, nil
}

func (s larder) put(content []byte) {
	r := cutUp(content)
	check(s.SaveRecipe(blake3.Sum256(content), r.Encode(), r.Marks()))
}

// holder is a member that has a content, with its faults.
type holder struct {
	content []byte
	recipe  chunk.Recipe // nil: that of the content
	dies    int64        // after that many bytes it can't be reached; 0: never
	fetched atomic.Int64
}

// holders is a Source.
type holders struct {
	at     map[farm.Digest]farm.Path // what Local says
	base   chunk.Recipe              // what the members know of the receiver's own
	list   []*holder
	opened func() // called when a part is
	whole  int    // fetches of whole contents
}

var errGone = farm.Errorf("fetch", "", farm.Unavailable, "it is gone")

func (h *holders) Local(d farm.Digest) []farm.Path {
	if p, ok := h.at[d]; ok {
		return []farm.Path{p}
	}
	return nil
}

func (h *holders) Fetch(_ context.Context, d farm.Digest, _ int64) (io.ReadCloser, error) {
	for _, m := range h.list {
		if m.dies == 0 && blake3.Sum256(m.content) == d {
			h.whole++
			return io.NopCloser(bytes.NewReader(m.content)), nil
		}
	}
	return nil, errGone
}

func (h *holders) Holders() (ids []farm.MemberID) {
	for i := range h.list {
		ids = append(ids, farm.MemberID(fmt.Sprint("m", i)))
	}
	return ids
}

func (h *holders) member(id farm.MemberID) *holder { return h.list[id[1]-'0'] }

func (h *holders) Recipe(_ context.Context, from farm.MemberID, d, base farm.Digest) ([]byte, error) {
	m := h.member(from)
	r := m.recipe
	if r == nil {
		r = cutUp(m.content)
	}
	if !base.IsZero() && h.base != nil {
		return r.EncodeAgainst(h.base), nil
	}
	return r.Encode(), nil
}

func (h *holders) OpenPart(_ context.Context, from farm.MemberID, _ farm.Digest, offset, n int64) (io.ReadCloser, error) {
	if h.opened != nil {
		h.opened()
	}
	m := h.member(from)
	if offset+n > int64(len(m.content)) {
		return nil, farm.Errorf("fetch", "", farm.Invalid, "out of range")
	}
	r := io.Reader(bytes.NewReader(m.content[offset : offset+n]))
	if m.dies > 0 {
		left := m.dies - m.fetched.Load()
		if left <= 0 {
			return nil, errGone
		}
		if left < n {
			r = io.MultiReader(io.LimitReader(r, left), failing{errGone})
		}
	}
	m.fetched.Add(n)
	return io.NopCloser(r), nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func (h *holders) fetched() (n int64) {
	for _, m := range h.list {
		n += m.fetched.Load()
	}
	return n
}

// large is a box with large files.
type large struct {
	*box
	t       *testing.T
	larder  larder
	partial int64
	serial  bool
}

func newLarge(t *testing.T) *large {
	l := &large{box: newBox(vfs.MemConfig{}), t: t, larder: larder{}, partial: 1 << 30}
	l.restart(l.mem)
	check(l.app.Mkdir(path("dir"), 0o755))
	return l
}

func (l *large) restart(fs vfs.FS) {
	l.k = New(fs, Config{Folder: "site", Now: func() time.Time { return l.now }, Recipes: l.larder, PartialBytes: l.partial, Serial: l.serial})
	check(l.k.Recover())
}

// has writes a file and lets it grow old.
func (l *large) has(p string, content []byte) farm.Path {
	check(l.app.WriteFile(path(p), content))
	l.now = l.now.Add(time.Second)
	l.larder.put(content)
	return path(p)
}

func (l *large) install(content []byte, src Source) farm.Installed {
	plan := farm.Plan{Path: at, Want: fileAttr(string(content), 0o644, mtime), Expect: observe(l.mem, at)}
	return l.k.Install(l.t.Context(), plan, src)
}

// gets installs content and checks that it is there, and how much was fetched for it.
func (l *large) gets(content []byte, src *holders, limit int64) {
	l.t.Helper()
	r := l.install(content, src)
	if r.Outcome != farm.Done {
		l.t.Fatalf("%v, %v", r.Outcome, r.Err)
	}
	if b := must(l.app.ReadFile(at)); !bytes.Equal(b, content) {
		l.t.Fatal("something else is there")
	}
	if n := src.fetched(); n > limit || src.whole > 0 {
		l.t.Errorf("%d bytes were fetched, and %d contents whole", n, src.whole)
	}
	if l.larder[blake3.Sum256(content)].recipe == nil {
		l.t.Error("no recipe was saved")
	}
}

func edited(old []byte, off int) []byte {
	b := bytes.Clone(old)
	copy(b[off:], "edited")
	return b
}

func TestAssemble(t *testing.T) {
	old := noise(1, 2<<20)
	small := int64(600 << 10)
	for _, serial := range []bool{false, true} {
		each := func(name string, do func(*testing.T, *large)) {
			t.Run(fmt.Sprint(name, ", serial ", serial), func(t *testing.T) {
				t.Parallel()
				l := newLarge(t)
				l.serial = serial
				l.restart(l.mem)
				do(t, l)
			})
		}
		each("created", func(t *testing.T, l *large) {
			l.gets(old, &holders{list: []*holder{{content: old}}}, 2<<20)
		})
		each("from two members", func(t *testing.T, l *large) {
			big := noise(2, 9<<20)
			src := &holders{list: []*holder{{content: big}, {content: big}}}
			l.gets(big, src, 9<<20)
			if !serial && src.list[1].fetched.Load() == 0 {
				t.Log("one member was faster than the other could begin")
			}
		})
		each("edited", func(t *testing.T, l *large) {
			l.has("dir/entry", old)
			for _, content := range [][]byte{edited(old, 1<<20), append([]byte("head"), old...), append(bytes.Clone(old), "tail"...), old[:3<<19]} {
				l.gets(content, &holders{list: []*holder{{content: content}}}, small)
				l.gets(old, &holders{list: []*holder{{content: old}}, base: cutUp(content)}, 2*small) // of one, a quarter is missing
			}
		})
		each("edited without a recipe at hand", func(t *testing.T, l *large) {
			l.has("dir/entry", old)
			clear(l.larder)
			content := edited(old, 1<<20)
			l.gets(content, &holders{list: []*holder{{content: content}}}, small)
		})
		each("similar to another", func(t *testing.T, l *large) {
			p := l.has("dir/other", old)
			content := edited(old, 1<<20)
			l.gets(content, &holders{list: []*holder{{content: content}}, at: map[farm.Digest]farm.Path{blake3.Sum256(old): p}}, small)
		})
		each("with holes", func(t *testing.T, l *large) {
			content := slices.Concat(make([]byte, 1<<20), noise(3, 1<<20), make([]byte, 3<<20))
			l.gets(content, &holders{list: []*holder{{content: content}}}, 2<<20)
		})
		each("a member dies", func(t *testing.T, l *large) {
			l.gets(old, &holders{list: []*holder{{content: old, dies: 1 << 20}, {content: old}}}, 5<<20)
		})
		each("a member lies", func(t *testing.T, l *large) {
			l.gets(old, &holders{list: []*holder{{content: edited(old, 3<<19), recipe: cutUp(old)}, {content: old}}}, 5<<20)
		})
		each("a local file is not what the index says", func(t *testing.T, l *large) {
			p := l.has("dir/other", edited(old, 3<<19))
			l.larder.put(old)
			content := edited(old, 1<<20)
			l.gets(content, &holders{list: []*holder{{content: content}}, at: map[farm.Digest]farm.Path{blake3.Sum256(old): p}}, 2*small)
		})
		each("a recipe is of another content", func(t *testing.T, l *large) {
			src := &holders{list: []*holder{{content: edited(old, 5), recipe: cutUp(edited(old, 5))}, {content: old}}}
			if r := l.install(old, src); r.Outcome != farm.Done || !bytes.Equal(must(l.app.ReadFile(at)), old) {
				t.Errorf("%v, %v", r.Outcome, r.Err)
			}
		})
		each("nobody has it", func(t *testing.T, l *large) {
			r := l.install(old, &holders{list: []*holder{{content: old, dies: 1}, {content: edited(old, 9)}}})
			if r.Outcome != farm.NoSource || len(staged(l.mem)) > 0 {
				t.Errorf("%v, %v, staged %v", r.Outcome, r.Err, staged(l.mem))
			}
		})
		each("stopped", func(t *testing.T, l *large) {
			ctx, cancel := context.WithCancel(t.Context())
			src := &holders{list: []*holder{{content: old}}, opened: cancel}
			plan := farm.Plan{Path: at, Want: fileAttr(string(old), 0o644, mtime)}
			src.list[0].dies = 1
			if r := l.k.Install(ctx, plan, src); r.Outcome != farm.NoSource {
				t.Errorf("%v, %v", r.Outcome, r.Err)
			}
		})
	}
}

// TestResume has a transfer that goes on after its holder died and after a restart, and fetches no chunk twice.
func TestResume(t *testing.T) {
	t.Parallel()
	content := append(noise(4, 12<<20), make([]byte, 1<<20)...)
	l := newLarge(t)
	l.partial = 1 << 20
	l.restart(l.mem)
	first := &holders{list: []*holder{{content: content, dies: 9 << 20}}}
	if r := l.install(content, first); r.Outcome != farm.NoSource {
		t.Fatalf("%v, %v", r.Outcome, r.Err)
	}
	if list := staged(l.mem); len(list) != 1 || !isPartial(list[0].Name) {
		t.Fatalf("staged %v", list)
	}
	if _, err := l.mem.Lstat(at); farm.KindOf(err) != farm.NotFound {
		t.Fatalf("it is visible: %v", err)
	}
	l.mem.Crash()
	check(l.mem.Prepare("site"))
	l.restart(l.mem)
	l.gets(content, &holders{list: []*holder{{content: content}}}, 5<<20)
	if list := staged(l.mem); len(list) > 0 {
		t.Errorf("staged %v", list)
	}
}

// TestResumeAfterDamage has a partial of which a power cut left something else.
func TestResumeAfterDamage(t *testing.T) {
	content := slices.Concat(noise(5, 4<<20), make([]byte, 1<<20), noise(6, 1<<20))
	for name, damage := range map[string]func([]byte) []byte{
		"shorter":   func(b []byte) []byte { return b[:3<<20] },
		"empty":     func(b []byte) []byte { return nil },
		"zeros":     func(b []byte) []byte { clear(b[1<<20 : 2<<20]); return b },
		"not zeros": func(b []byte) []byte { b[4<<20+9] = 1; return b },
		"longer":    func(b []byte) []byte { return append(b, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLarge(t)
			l.partial = 1 << 20
			d := blake3.Sum256(content)
			check(l.mem.Mkdir(path("x"), 0o755)) // any other entry
			part := path(vfs.StagingDir + "/" + partialPrefix + farm.Digest(d).String())
			f := must(l.mem.Partial(part))
			_ = must(f.WriteAt(damage(bytes.Clone(content)), 0))
			check(f.Close())
			l.restart(l.mem)
			l.gets(content, &holders{list: []*holder{{content: content}}}, 6<<20)
		})
	}
}

func TestPartialsAreBounded(t *testing.T) {
	l := newLarge(t)
	for i := range maxPartials + 3 {
		f := must(l.mem.Partial(path(fmt.Sprintf("%s/%s%02d", vfs.StagingDir, partialPrefix, i))))
		_ = must(f.Write([]byte("x")))
		check(f.Close())
		l.now = l.now.Add(time.Minute)
	}
	l.restart(l.mem)
	if list := staged(l.mem); len(list) != maxPartials || list[0].Name != partialPrefix+"03" {
		t.Errorf("%d are left: %v", len(list), list)
	}
	l.now = l.now.Add(maxPartialAge - 5*time.Minute)
	l.k.Sweep(t.Context())
	if list := staged(l.mem); len(list) != 5 {
		t.Errorf("%d are left: %v", len(list), list)
	}
}

// TestChunkedCrash kills the process, or cuts the power, at every call of a chunked installation: the path has the old or
// the new content, whole, and a second attempt succeeds.
func TestChunkedCrash(t *testing.T) {
	old := noise(7, 1<<20)
	content := edited(append(make([]byte, 200<<10), old...), 600<<10)
	for _, partial := range []int64{1, 1 << 30} {
		for _, cut := range []bool{false, true} {
			t.Run(fmt.Sprintf("partial %d, power cut %v", partial, cut), func(t *testing.T) {
				t.Parallel()
				for n := 1; ; n++ {
					l := newLarge(t)
					l.partial, l.serial = partial, true
					l.has("dir/entry", old)
					check(l.mem.Sync())
					src := &holders{list: []*holder{{content: content}}}
					calls := -1 << 30 // while it starts
					l.restart(vfs.Fault(l.mem, func(vfs.Op) error {
						if calls++; calls >= n {
							panic(died{})
						}
						return nil
					}))
					calls = 0
					finished := alive(func() {
						r := l.install(content, src)
						if r.Outcome != farm.Done {
							t.Errorf("call %d: %v, %v", n, r.Outcome, r.Err)
						}
					})
					if cut && !finished {
						l.mem.PowerCut()
					} else {
						l.mem.Crash()
					}
					check(l.mem.Prepare("site"))
					l.restart(l.mem)
					if b := must(l.app.ReadFile(at)); !bytes.Equal(b, old) && !bytes.Equal(b, content) {
						t.Fatalf("call %d: neither the old nor the new content", n)
					}
					l.k.Sweep(t.Context())
					if b := must(l.app.ReadFile(at)); bytes.Equal(b, old) {
						l.gets(content, &holders{list: []*holder{{content: content}}}, 2<<20)
					}
					l.k.Sweep(t.Context())
					for _, e := range staged(l.mem) {
						if !isPartial(e.Name) {
							t.Fatalf("call %d: left in staging: %v", n, e.Name)
						}
					}
					if finished {
						return
					}
				}
			})
		}
	}
}

// TestServeParts gives parts of what the index knows, and of nothing else.
func TestServeParts(t *testing.T) {
	content := noise(8, 1<<20)
	l := newLarge(t)
	p := l.has("dir/entry", content)
	is := observe(l.mem, p)
	r, err := l.k.OpenPart(t.Context(), p, is, 1000, 5000)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || !bytes.Equal(b, content[1000:6000]) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	for _, q := range [][2]int64{{-1, 5}, {0, -1}, {1 << 20, 1}, {1, 1 << 62}, {1 << 62, 1 << 62}} {
		if _, err := l.k.OpenPart(t.Context(), p, is, q[0], q[1]); farm.KindOf(err) != farm.Invalid {
			t.Errorf("%v: %v", q, err)
		}
	}
	if _, err := l.k.OpenPart(t.Context(), path(vfs.StagingDir+"/x"), is, 0, 1); farm.KindOf(err) != farm.Denied {
		t.Errorf("private: %v", err)
	}
	if _, err := l.k.OpenPart(t.Context(), farm.Path{}, farm.Disk{Attr: farm.Attr{Digest: farm.Digest{1}}}, 0, 1); farm.KindOf(err) != farm.NotFound {
		t.Errorf("unknown: %v", err)
	}

	for _, base := range []farm.Digest{{}, {9}, is.Digest} {
		b, err := l.k.Recipe(t.Context(), p, is, base)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := chunk.Decode(b, cutUp(content)); err != nil || !slices.Equal(got, cutUp(content)) {
			t.Errorf("base %v: %v", base, err)
		}
	}
	clear(l.larder)
	if _, err := l.k.Recipe(t.Context(), p, is, farm.Digest{}); err != nil || len(l.larder) != 1 {
		t.Errorf("made again: %v", err)
	}

	// It changes while it is read, and afterwards it is not served any more.
	r = must(l.k.OpenPart(t.Context(), p, is, 0, 1<<20))
	_ = must(io.ReadFull(r, make([]byte, 1000)))
	check(l.app.WriteFile(p, noise(9, 1<<20)))
	if _, err := io.ReadAll(r); farm.KindOf(err) != farm.Conflict {
		t.Errorf("changed while it was read: %v", err)
	}
	if _, err := l.k.OpenPart(t.Context(), p, is, 0, 1); farm.KindOf(err) != farm.Conflict {
		t.Errorf("changed: %v", err)
	}
	clear(l.larder)
	if _, err := l.k.Recipe(t.Context(), p, is, farm.Digest{}); farm.KindOf(err) != farm.Conflict || len(l.larder) > 0 {
		t.Errorf("recipe of what has changed: %v", err)
	}
}
