package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// module is the path of the module, root its directory.
const (
	module = "tandem"
	root   = "../.."
)

// goPackage is the source of one directory: all files, for whatever system.
type goPackage struct {
	name  string // as the rules have it: "farm", "wire/pb", "cmd/tandem"
	files []*goFile
}

type goFile struct {
	name      string // relative to the module's root
	test      bool
	generated bool
	lines     int
	ast       *ast.File
}

// sources parses the module once.
var sources = sync.OnceValues(func() ([]*goPackage, error) {
	byDir := map[string]*goPackage{}
	var all []*goPackage
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipDir(path, d.Name())
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parse(path)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(f.name))
		p := byDir[dir]
		if p == nil {
			p = &goPackage{name: ruleName(module + "/" + dir)}
			byDir[dir] = p
			all = append(all, p)
		}
		p.files = append(p.files, f)
		return nil
	})
	return all, err
})

var fileSet = token.NewFileSet()

func skipDir(path, name string) error {
	if path == root {
		return nil
	}
	if name == "testdata" || name == "node_modules" || name[0] == '.' || name[0] == '_' {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
		return filepath.SkipDir // a module of its own
	}
	return nil
}

func parse(path string) (*goFile, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(root, path)
	if err != nil {
		return nil, err
	}
	name := filepath.ToSlash(rel)
	tree, err := parser.ParseFile(fileSet, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	return &goFile{
		name: name, test: strings.HasSuffix(name, "_test.go"), generated: ast.IsGenerated(tree),
		lines: strings.Count(string(src), "\n"), ast: tree,
	}, nil
}

// ruleName is the import path as the rules have it; empty if it is not of this module.
func ruleName(path string) string {
	if name, ok := strings.CutPrefix(path, module+"/internal/"); ok {
		return name
	}
	name, ok := strings.CutPrefix(path, module+"/")
	if !ok {
		return ""
	}
	return name
}

func load(t *testing.T) []*goPackage {
	t.Helper()
	all, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d packages are found below %s", len(all), root)
	}
	return all
}

// imports are the paths that the file imports, with their places.
func (f *goFile) imports(t *testing.T) map[string]token.Position {
	t.Helper()
	m := map[string]token.Position{}
	for _, i := range f.ast.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		m[path] = fileSet.Position(i.Pos())
	}
	return m
}
