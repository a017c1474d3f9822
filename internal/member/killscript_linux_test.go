package member

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/zeebo/blake3"

	"tandem/internal/chunk"
	"tandem/internal/farm"
	"tandem/internal/replica"
)

// killStep is one thing that happens to the folder: a change of another member's, or something that an application does
// here. There are no two at the same time.
type killStep struct {
	path   string
	is     string // what the path is afterwards, see look
	change *farm.Change
	app    func(root string) error
}

// killScript is what happens to the folder that is killed again and again, always the same, since both processes make it.
type killScript struct {
	steps    []killStep
	contents map[farm.Digest][]byte // of other members
	start    time.Time
	rival    int // the step that is concurrent with the one before it
	seq      farm.Seq
	vectors  map[string]farm.Vector
}

const (
	loserText   = "an application wrote this, and lost"
	deletedText = "deleted on another member"
	linkedText  = "by two names"
)

// newKillScript has other members write after start, which is later than now, so that they win where nothing comes between.
func newKillScript(start time.Time) *killScript {
	s := &killScript{start: start, contents: map[farm.Digest][]byte{}, vectors: map[string]farm.Vector{}}
	large := make([]byte, 600<<10)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(large)
	edited := append([]byte("a new head"), bytes.Clone(large)...)
	copy(edited[400<<10:], "edited")

	s.mkdir("d")
	s.file("d/a", "one")
	s.file("d/large", string(large))
	s.file("d/a", "two, overwritten")
	s.file("d/large", string(edited)) // made of what is here, and a little that is fetched
	s.link("current", "d")
	s.mkdir("e") // d is renamed
	s.file("e/a", "two, overwritten")
	s.file("e/large", string(edited))
	s.link("current", "e") // flipped
	s.remove("d/a")
	s.remove("d/large")
	s.remove("d")
	s.application("e/a", killFile(loserText), func(root string) error {
		tmp := filepath.Join(root, "e", ".tmp")
		if err := os.WriteFile(tmp, []byte(loserText), 0o644); err != nil {
			return err
		}
		return os.Rename(tmp, filepath.Join(root, "e", "a"))
	})
	s.rival = len(s.steps)
	s.file("e/a", "three, and wins") // written by who had not seen it
	s.file("f", linkedText)
	s.application("g", killFile(linkedText), func(root string) error {
		return os.Link(filepath.Join(root, "f"), filepath.Join(root, "g"))
	})
	s.file("f", "by one name again")
	s.mkdir("x")
	s.remove("x")
	s.file("h", deletedText)
	s.remove("h")
	s.link("x", "where a directory was")
	s.remove("x")
	return s
}

func (s *killScript) mkdir(p string) { s.put(p, "dir", farm.Attr{Type: farm.Dir, Mode: 0o755}, nil) }

func (s *killScript) file(p, text string) {
	d := farm.Digest(blake3.Sum256([]byte(text)))
	s.contents[d] = []byte(text)
	a := farm.Attr{Type: farm.File, Mode: 0o640, MTime: 1_700_000_000_000_000_000 + int64(s.seq), Size: int64(len(text)), Digest: d}
	var content []byte
	if len(text) <= farm.InlineBytes {
		content = []byte(text)
	}
	s.put(p, killFile(text), a, content)
}

func (s *killScript) link(p, target string) {
	s.put(p, "link "+target, farm.Attr{Type: farm.Symlink, Target: target}, nil)
}

func (s *killScript) remove(p string) { s.put(p, "", farm.Attr{}, nil) }

// put is a change of web2's, which has seen all that it wrote itself.
func (s *killScript) put(p, is string, a farm.Attr, content []byte) {
	s.seq++
	dot := farm.Position{Actor: farm.Actor{Member: "web2", Epoch: 1}, Seq: s.seq}
	own := farm.Stamp{Dot: dot, Time: farm.HLC(uint64(s.start.Add(time.Duration(s.seq)*time.Second).UnixMilli()) << 16)}
	s.vectors[p] = s.vectors[p].Join(farm.VectorOf(dot))
	if a.Type != farm.Absent {
		a.Owner = farm.Owner{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	}
	v := farm.Version{Dot: dot, Vector: s.vectors[p], Time: own.Time, Content: own, Meta: own}
	s.steps = append(s.steps, killStep{path: p, is: is, change: &farm.Change{Entry: farm.Entry{Path: farm.MustPath(p), Attr: a, Version: v}, Content: content}})
}

func (s *killScript) application(p, is string, do func(root string) error) {
	s.steps = append(s.steps, killStep{path: p, is: is, app: do})
}

// tree is what is there after the first n steps, by path. Local: a death came between the application's write and its
// version, which then is the later of the two, and wins.
func (s *killScript) tree(n int, local bool) map[string]string {
	tree := map[string]string{}
	for i, step := range s.steps[:n] {
		if local && i == s.rival {
			continue
		}
		if tree[step.path] = step.is; step.is == "" {
			delete(tree, step.path)
		}
	}
	return tree
}

func killFile(text string) string {
	return fmt.Sprintf("file of %d, %x", len(text), blake3.Sum256([]byte(text)))
}

// lookAround says what is in the folder, without the private area.
func lookAround(root string) (map[string]string, error) {
	tree := map[string]string{}
	err := filepath.Walk(root, func(name string, st os.FileInfo, err error) error {
		p, _ := filepath.Rel(root, name)
		switch {
		case err != nil:
			return err
		case p == ".":
		case p == farm.PrivateDir:
			return filepath.SkipDir
		case st.IsDir():
			tree[p] = "dir"
		case st.Mode()&os.ModeSymlink != 0:
			target, err := os.Readlink(name)
			tree[p] = "link " + target
			return err
		default:
			b, err := os.ReadFile(name)
			tree[p] = killFile(string(b))
			return err
		}
		return nil
	})
	return tree, err
}

// between tells what of the tree is neither as it was before nor as it was after a step.
func between(is, before, after map[string]string) error {
	all := maps.Clone(before)
	maps.Copy(all, after)
	maps.Copy(all, is)
	for p := range all {
		if is[p] != before[p] && is[p] != after[p] && !strings.HasSuffix(p, ".tmp") {
			return fmt.Errorf("%s is %q, neither %q nor %q", p, is[p], before[p], after[p])
		}
	}
	return nil
}

// killWorld is the rest of the farm, as the killed one sees it: web2, which has all contents, and a watcher that is told.
type killWorld struct {
	*killScript
	noticed chan replica.Noticed
	barrier chan uint64 // the next one's id
}

// Events implements replica.Watcher, as does Barrier.
func (w *killWorld) Events() <-chan replica.Noticed { return w.noticed }

func (w *killWorld) Barrier() (uint64, error) {
	id := <-w.barrier
	w.barrier <- id + 1
	w.noticed <- replica.Noticed{Barriers: []uint64{id}}
	return id, nil
}

// Fetch and what follows implement replica.Transport and replica.Fetcher.
func (w *killWorld) Fetch(ctx context.Context, _ farm.MemberID, _ farm.Path, d farm.Digest, _ int64) (io.ReadCloser, error) {
	return w.OpenPart(ctx, "", farm.Path{}, d, 0, int64(len(w.contents[d])))
}

func (w *killWorld) OpenPart(_ context.Context, _ farm.MemberID, _ farm.Path, d farm.Digest, offset, n int64) (io.ReadCloser, error) {
	b, ok := w.contents[d]
	if !ok {
		return nil, farm.Errorf("fetch", d.Short(), farm.NotFound, "nobody has it")
	}
	return io.NopCloser(bytes.NewReader(b[offset : offset+n])), nil
}

func (w *killWorld) Recipe(_ context.Context, _ farm.MemberID, _ farm.Path, d, _ farm.Digest) ([]byte, error) {
	m := chunk.NewMaker()
	_, _ = m.Write(w.contents[d])
	r, _ := m.Recipe()
	return r.Encode(), nil
}

func (w *killWorld) Linked() []farm.MemberID                                  { return []farm.MemberID{"web2"} }
func (w *killWorld) Push(farm.Change)                                         {}
func (w *killWorld) PushMove([]farm.MemberID, farm.Move) []farm.MemberID      { return nil }
func (w *killWorld) Room(context.Context)                                     {}
func (w *killWorld) Relay([]farm.MemberID, farm.Change)                       {}
func (w *killWorld) Want(farm.MemberID, farm.Vector, bool)                    {}
func (w *killWorld) CatchUp(farm.MemberID)                                    {}
func (w *killWorld) Behind(farm.MemberID, farm.Actor) (farm.Seq, bool)        { return 0, false }
func (w *killWorld) Send(context.Context, farm.MemberID, []farm.Change) error { return nil }
func (w *killWorld) Had(context.Context, farm.MemberID, farm.Vector) error    { return nil }
