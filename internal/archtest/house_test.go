package archtest

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// maxFileLines is where a file is too long to be read in one go.
const maxFileLines = 600

// headings are what every doc.go answers, in this order.
var headings = []string{"# Owns", "# Does not own", "# Invariants", "# Concurrency"}

func TestEveryPackageIsExplained(t *testing.T) {
	for _, p := range load(t) {
		var comments []string
		for _, f := range p.files {
			if f.ast.Doc != nil && (!f.test || onlyTests(p)) {
				comments = append(comments, f.name)
				if strings.HasSuffix(f.name, "/doc.go") && !command(p) && !testOnly(p.name) {
					checkHeadings(t, f)
				}
			}
		}
		if len(comments) != 1 {
			t.Errorf("%s has %d package comments, want one: %v", p.name, len(comments), comments)
		} else if !strings.HasSuffix(comments[0], "/doc.go") && !command(p) && !testOnly(p.name) && !onlyTests(p) {
			t.Errorf("%s: the package comment belongs into doc.go", comments[0])
		}
	}
}

func command(p *goPackage) bool { return strings.HasPrefix(p.name, "cmd/") }

func onlyTests(p *goPackage) bool {
	return !slices.ContainsFunc(p.files, func(f *goFile) bool { return !f.test })
}

func checkHeadings(t *testing.T, f *goFile) {
	t.Helper()
	var found []string
	for line := range strings.Lines(f.ast.Doc.Text()) {
		if line = strings.TrimSpace(line); slices.Contains(headings, line) {
			found = append(found, line)
		}
	}
	if !slices.Equal(found, headings) {
		t.Errorf("%s has the headings %q, want %q", f.name, found, headings)
	}
}

func TestFilesAreShort(t *testing.T) {
	for _, p := range load(t) {
		for _, f := range p.files {
			if f.lines > maxFileLines && !f.generated {
				t.Errorf("%s has %d lines, more than %d", f.name, f.lines, maxFileLines)
			}
		}
	}
}

// initAllowed lists the files that may have an init function, and why.
var initAllowed = map[string]string{
	"internal/wire/pb/tandem.pb.go": "generated: registers the messages with the protobuf library",
}

func TestNothingHappensAtImport(t *testing.T) {
	unused := keys(initAllowed)
	for _, p := range load(t) {
		for _, f := range p.files {
			for _, d := range f.ast.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || fn.Recv != nil || fn.Name.Name != "init" {
					continue
				}
				if initAllowed[f.name] == "" {
					t.Errorf("%v: no init functions: let the constructor do it, or give a reason here", position(fn))
				}
				delete(unused, f.name)
			}
		}
	}
	for name := range unused {
		t.Errorf("%s has no init function and needs no leave", name)
	}
}

// Tests wait for what they want. Only in a synctest bubble, where it lets virtual time pass, may they sleep.
func TestTestsDoNotSleep(t *testing.T) {
	for _, p := range load(t) {
		for _, f := range p.files {
			if !f.test && !testOnly(p.name) {
				continue
			}
			_, virtual := f.imports(t)["testing/synctest"]
			ast.Inspect(f.ast, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if ok && calls(call, "synctest", "Test") {
					return false // a bubble
				}
				if ok && calls(call, "time", "Sleep") && !(virtual && f.says(position(call).Line, "// virtual")) {
					t.Errorf("%v: no sleep in tests, except inside synctest.Test, or with the comment \"// virtual\" in what runs there", position(call))
				}
				return true
			})
		}
	}
}

// says tells whether the line ends with the comment.
func (f *goFile) says(line int, comment string) bool {
	return slices.ContainsFunc(f.ast.Comments, func(c *ast.CommentGroup) bool {
		return position(c).Line == line && c.List[0].Text == comment
	})
}

func calls(c *ast.CallExpr, pkg, name string) bool {
	sel, ok := c.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == pkg
}

func keys(m map[string]string) map[string]bool {
	k := map[string]bool{}
	for name := range m {
		k[name] = true
	}
	return k
}

func position(n ast.Node) token.Position { return fileSet.Position(n.Pos()) }
