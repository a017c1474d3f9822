package iis_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"tandem/internal/iis"
	"tandem/internal/iis/iistest"
)

var update = flag.Bool("update", false, "write testdata anew")

// TestImport compares what is made of each server with what its archive wants. That the site files compile is tested in
// test/iis.
func TestImport(t *testing.T) {
	for _, s := range iistest.Servers(t, "testdata/import") {
		t.Run(s.Name, func(t *testing.T) {
			res, err := iis.Import(s.Options())
			var files []txtar.File
			if err != nil {
				files = []txtar.File{{Name: "want error", Data: []byte(err.Error() + "\n")}}
			} else {
				files = filesOf(res)
			}
			got := s.Want(files)
			if bytes.Equal(got, txtar.Format(s.Archive)) {
				return
			}
			if *update {
				if err := os.WriteFile(s.Path, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("got:\n%s", txtar.Format(&txtar.Archive{Files: files}))
		})
	}
}

func filesOf(res *iis.Result) []txtar.File {
	var folders, report strings.Builder
	for _, f := range res.Folders {
		fmt.Fprintf(&folders, "%s %s\n", f.Name, f.Path)
	}
	for _, f := range res.Findings {
		fmt.Fprintf(&report, "%s %s\n", f.Kind, f)
	}
	files := []txtar.File{{Name: "want folders", Data: []byte(folders.String())}, {Name: "want report", Data: []byte(report.String())}}
	for _, s := range res.Sites {
		files = append(files, txtar.File{Name: "want " + s.File, Data: []byte(s.Source)})
	}
	return files
}
