package install

import (
	"fmt"
	"testing"

	"github.com/zeebo/blake3"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// small plans to make a file in d.
func small(name, text string) farm.Plan {
	return farm.Plan{Path: farm.MustPath("d/" + name), Content: []byte(text), Want: farm.Attr{
		Type: farm.File, Mode: 0o640, Size: int64(len(text)), MTime: 1e9, Digest: blake3.Sum256([]byte(text))}}
}

func noSource(farm.Path) Source { return nil }

// TestInstallAll: each plan comes to what it would have come to alone, whatever the others do.
func TestInstallAll(t *testing.T) {
	b := newBox(vfs.MemConfig{})
	check(b.start(b.mem), b.app.Mkdir(farm.MustPath("d"), 0o755), b.app.WriteFile(farm.MustPath("d/taken"), []byte("theirs")))
	torn := small("torn", "right")
	torn.Content = []byte("wrong")
	got := b.k.InstallAll(t.Context(), []farm.Plan{small("a", "1"), small("taken", "ours"), torn, small("empty", ""), small("z", "2")}, noSource)
	var outcomes []farm.Outcome
	for _, in := range got {
		outcomes = append(outcomes, in.Outcome)
	}
	if fmt.Sprint(outcomes) != fmt.Sprint([]farm.Outcome{farm.Done, farm.Changed, farm.NoSource, farm.Done, farm.Done}) {
		t.Fatalf("came to %v", outcomes)
	}
	for p, want := range map[string]string{"d/a": "1", "d/taken": "theirs", "d/empty": "", "d/z": "2"} {
		if text := string(must(b.app.ReadFile(farm.MustPath(p)))); text != want {
			t.Errorf("%s holds %q, want %q", p, text, want)
		}
	}
	st := must(b.mem.Lstat(farm.MustPath("d/z")))
	if in := got[4]; !in.Attr.Same(in.Plan.Want) || in.Stat != st.Fingerprint {
		t.Errorf("made %+v as %+v, it is %+v", in.Attr, in.Stat, st)
	}
	if list := must(b.mem.ReadDir(farm.MustPath(vfs.StagingDir))); len(list) > 0 {
		t.Errorf("left in staging: %v", list)
	}
}

// TestInstallAllNowhere: without the directory each plan says so.
func TestInstallAllNowhere(t *testing.T) {
	b := newBox(vfs.MemConfig{})
	check(b.start(b.mem))
	for _, in := range b.k.InstallAll(t.Context(), []farm.Plan{small("a", "1"), small("b", "2")}, noSource) {
		if in.Outcome != farm.NoParent {
			t.Errorf("%s: %v, %v", in.Plan.Path, in.Outcome, in.Err)
		}
	}
}

// TestInstallAllIsNoted: the next life knows what was made, even if an application has removed it meanwhile, so that this is
// taken for a deletion and not for what was never there.
func TestInstallAllIsNoted(t *testing.T) {
	b := newBox(vfs.MemConfig{})
	check(b.start(b.mem), b.app.Mkdir(farm.MustPath("d"), 0o755))
	b.k.InstallAll(t.Context(), []farm.Plan{small("a", "1"), small("b", "2")}, noSource)
	check(b.app.Remove(farm.MustPath("d/a")), b.start(b.mem))
	if list := b.k.Finished(); len(list) != 2 || list[0].Want.Size != 1 {
		t.Errorf("finished: %+v", list)
	}
}
