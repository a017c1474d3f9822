package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata")

// golden runs fn on each archive of testdata/dir and compares what it returns with the archive's last files, those whose
// names begin with "want".
func golden(t *testing.T, dir string, fn func(t *testing.T, files map[string][]byte) []txtar.File) {
	t.Helper()
	archives, err := filepath.Glob(filepath.Join("testdata", dir, "*.txtar"))
	if err != nil || len(archives) == 0 {
		t.Fatalf("no testdata/%s: %v", dir, err)
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			in := map[string][]byte{}
			input := txtar.Archive{Comment: a.Comment}
			var want txtar.Archive
			for _, f := range a.Files {
				if strings.HasPrefix(f.Name, "want") {
					want.Files = append(want.Files, f)
					continue
				}
				in[f.Name] = f.Data
				input.Files = append(input.Files, f)
			}
			got := txtar.Archive{Files: fn(t, in)}
			if g, w := string(txtar.Format(&got)), string(txtar.Format(&want)); g != w {
				if *update {
					input.Files = append(input.Files, got.Files...)
					if err := os.WriteFile(name, txtar.Format(&input), 0o644); err != nil {
						t.Fatal(err)
					}
					return
				}
				t.Errorf("got:\n%s\nwant:\n%s", g, w)
			}
		})
	}
}

func faultsFile(fs Faults) txtar.File {
	f := txtar.File{Name: "want"}
	if len(fs) > 0 {
		f.Data = []byte(fs.Error() + "\n")
	}
	return f
}

func TestParse(t *testing.T) {
	golden(t, "parse", func(t *testing.T, files map[string][]byte) []txtar.File {
		c, faults := Parse(files)
		if (c == nil) != (faults.Err() != nil) {
			t.Errorf("config %v with faults %v", c, faults)
		}
		return []txtar.File{faultsFile(faults)}
	})
}

func TestLoadMember(t *testing.T) {
	golden(t, "member", func(t *testing.T, files map[string][]byte) []txtar.File {
		m, faults := LoadMember(files[MemberFileName])
		if faults.Err() == nil {
			again, faults := LoadMember(m.Write())
			if faults.Err() != nil {
				t.Errorf("written file is not good: %v\n%s", faults, m.Write())
			}
			if got, want := string(again.Write()), string(m.Write()); got != want {
				t.Errorf("written file reads back as\n%s\nwant\n%s", got, want)
			}
		}
		return []txtar.File{faultsFile(faults)}
	})
}

// TestMerge has files base/NAME, early/NAME and late/NAME, and expects conflicts and the merged files.
func TestMerge(t *testing.T) {
	golden(t, "merge", func(t *testing.T, files map[string][]byte) []txtar.File {
		side := func(dir string) map[string][]byte {
			out := map[string][]byte{}
			for name, data := range files {
				if rest, ok := strings.CutPrefix(name, dir+"/"); ok {
					out[rest] = data
				}
			}
			return out
		}
		var base Revision
		var parents = []Revision{}
		if f := side("base"); len(f) > 0 {
			base = revision(t, nil, "web1", 1, f)
			parents = append(parents, base)
		}
		early := revision(t, parents, "web2", 2, side("early"))
		late := revision(t, parents, "web1", 3, side("late"))
		merged, conflicts := Merge(base, early, late)
		swapped, _ := Merge(base, late, early)
		if swapped.Digest != merged.Digest {
			t.Error("merge is not commutative")
		}
		var text strings.Builder
		for _, c := range conflicts {
			text.WriteString(c.File + " [" + c.Table + "]: " + string(c.Winner.Author) + " wins over " + string(c.Loser.Author) + "\n")
		}
		out := []txtar.File{{Name: "want conflicts", Data: []byte(text.String())}}
		for _, f := range txtar.Parse(merged.Encode()).Files {
			out = append(out, txtar.File{Name: "want " + f.Name, Data: f.Data})
		}
		return out
	})
}
