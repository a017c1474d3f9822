package scan_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/scan"
	"tandem/internal/vfs"
)

func BenchmarkExamine(b *testing.B) {
	root, s := benchRoot(b)
	p := farm.MustPath("a/b/f")
	if err := os.MkdirAll(filepath.Join(root, "a/b"), 0o755); err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
		if err := os.WriteFile(filepath.Join(root, "a/b/f"), []byte(strings.Repeat("x", size)), 0o644); err != nil {
			b.Fatal(err)
		}
		o, err := s.Examine(b.Context(), p, farm.Disk{})
		if err != nil {
			b.Fatal(err)
		}
		for name, prior := range map[string]farm.Disk{"unchanged": settled(o), "read": {}} {
			b.Run(fmt.Sprintf("%s-%dKiB", name, size>>10), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := s.Examine(b.Context(), p, prior); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// dirCatalogue is a catalogue by directory.
type dirCatalogue map[farm.Path]map[string]farm.Disk

func (c dirCatalogue) Children(dir farm.Path) (map[string]farm.Disk, error) {
	return maps.Clone(c[dir]), nil
}

// BenchmarkWalk walks 20,000 unchanged files in 200 directories.
func BenchmarkWalk(b *testing.B) {
	root, s := benchRoot(b)
	c := dirCatalogue{}
	add := func(p farm.Path) {
		o, err := s.Examine(b.Context(), p, farm.Disk{})
		if err != nil {
			b.Fatal(err)
		}
		if c[p.Parent()] == nil {
			c[p.Parent()] = map[string]farm.Disk{}
		}
		c[p.Parent()][p.Base()] = settled(o)
	}
	for d := range 200 {
		dir := farm.MustPath(fmt.Sprintf("d%d", d))
		if err := os.Mkdir(filepath.Join(root, dir.String()), 0o755); err != nil {
			b.Fatal(err)
		}
		add(dir)
		for f := range 100 {
			p, _ := dir.Join(fmt.Sprintf("f%d", f))
			if err := os.WriteFile(filepath.Join(root, p.String()), []byte("x"), 0o644); err != nil {
				b.Fatal(err)
			}
			add(p)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		err := s.Walk(b.Context(), farm.Path{}, c, func(p farm.Path) error { return fmt.Errorf("%s differs", p) })
		if err != nil {
			b.Fatal(err)
		}
	}
}

func benchRoot(b *testing.B) (string, *scan.Scanner) {
	root := b.TempDir()
	fs, err := vfs.Open(root)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { fs.Close() })
	if err := fs.Prepare("bench"); err != nil {
		b.Fatal(err)
	}
	return root, scan.New(fs, scan.Config{})
}
