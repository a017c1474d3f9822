package install

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// BenchmarkInstall measures what a plan takes on a real disk, without the sweep.
func BenchmarkInstall(b *testing.B) {
	text := strings.Repeat("4 KiB of content", 256)
	for _, kind := range []string{"create", "replace", "remove"} {
		b.Run(kind, func(b *testing.B) {
			fs := must(vfs.Open(b.TempDir()))
			defer fs.Close()
			check(fs.Prepare("site"))
			k := New(fs, Config{Folder: "site"})
			check(k.Recover())
			defer k.Close()
			content := []byte(text)
			plan := farm.Plan{Path: path("f"), Want: fileAttr(text, 0o644, mtime), Content: content}
			var was farm.Installed
			for i := 0; b.Loop(); i++ {
				switch kind {
				case "create":
					plan.Path = path(fmt.Sprint("f", i))
				case "replace":
					text := fmt.Sprintf("%08d%s", i, text[8:])
					plan.Want, plan.Content = fileAttr(text, 0o644, mtime), []byte(text)
					plan.Expect = farm.Disk{Attr: was.Attr, Stat: was.Stat}
					plan.Expect.Stat.Racy = false
				case "remove":
					b.StopTimer()
					r := k.Install(context.Background(), plan, nil)
					b.StartTimer()
					r.Stat.Racy = false
					if r = k.Install(context.Background(), farm.Plan{Path: plan.Path, Expect: farm.Disk{Attr: r.Attr, Stat: r.Stat}}, nil); r.Outcome != farm.Done {
						b.Fatal(r.Outcome, r.Err)
					}
					continue
				}
				if was = k.Install(context.Background(), plan, nil); was.Outcome != farm.Done {
					b.Fatal(was.Outcome, was.Err)
				}
			}
		})
	}
}

// BenchmarkBare is the floor under BenchmarkInstall/create: a file is made with its content and attributes, 200 of them in a
// directory, and nothing is noted, compared or made durable.
func BenchmarkBare(b *testing.B) {
	fs := must(vfs.Open(b.TempDir()))
	defer fs.Close()
	check(fs.Prepare("site"))
	content, mode, when := []byte(strings.Repeat("13 KB of content", 800)), uint32(0o644), int64(1)
	for i := 0; b.Loop(); i++ {
		dir := fmt.Sprint("d", i/200)
		if i%200 == 0 {
			check(fs.Mkdir(path(dir), 0o755))
		}
		f := must(fs.Temp())
		must(f.Write(content))
		check(f.SetAttr(vfs.SetAttr{Mode: &mode, MTime: &when}))
		check(f.Link(path(fmt.Sprint(dir, "/", i))))
		check(f.Close())
	}
}
