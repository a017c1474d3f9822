package archtest

import (
	"errors"
	"go/ast"
	"go/token"
	"go/types"
	"strings"
	"testing"
)

// globalsAllowed lists package-level variables that change, by package and name, and why they may.
var globalsAllowed = map[string]string{
	"shell.register":         "the web server knows modules by a global registry: once, when first needed",
	"shell.loggers":          "the web server makes log writers by name, without a word of whose they are",
	"shell.instances":        "tells the instances of one process apart in the web server's global tables",
	"web.registerDirectives": "the web server knows directives by a global registry: once, when first needed",
	"edge.holdBuffers":       "a pool of memory: nobody sees what another has done with it",
}

// A package-level variable is a constant that Go can't say: an error, a regular expression, a table. So nobody assigns
// to it, to an element or to a field of it, or takes its address; and it is not made to change, as what comes from
// sync, make, new and & is.
func TestGlobalsDoNotChange(t *testing.T) {
	unused := keys(globalsAllowed)
	for _, p := range load(t) {
		if testOnly(p.name) && p.name != "sim" {
			continue
		}
		g := &globals{t: t, p: p, unused: unused}
		g.check()
	}
	for name := range unused {
		t.Errorf("%s does not exist or does not change, and needs no leave", name)
	}
}

type globals struct {
	t      *testing.T
	p      *goPackage
	unused map[string]bool
	info   *types.Info
}

// nothing imports no package: names of other packages have no types, and those of this one are told apart well enough.
type nothing struct{}

func (nothing) Import(string) (*types.Package, error) { return nil, errors.New("not looked at") }

func (g *globals) check() {
	byPackage := map[string][]*ast.File{} // the package itself, and the one of its external tests
	for _, f := range g.p.files {
		if !f.generated {
			byPackage[f.ast.Name.Name] = append(byPackage[f.ast.Name.Name], f.ast)
		}
	}
	for _, files := range byPackage {
		g.info = &types.Info{Uses: map[*ast.Ident]types.Object{}}
		// Errors are expected, since nothing is imported and files for several systems declare the same names.
		conf := types.Config{Importer: nothing{}, Error: func(error) {}}
		_, _ = conf.Check(g.p.name, fileSet, files, g.info)
		for _, f := range files {
			ast.Inspect(f, g.visit)
		}
	}
	for _, f := range g.p.files {
		if f.test || f.generated {
			continue
		}
		for _, d := range f.ast.Decls {
			if decl, ok := d.(*ast.GenDecl); ok && decl.Tok == token.VAR {
				g.declared(decl)
			}
		}
	}
}

// visit looks for whatever changes a variable.
func (g *globals) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.AssignStmt:
		for _, l := range n.Lhs {
			g.changed(l)
		}
	case *ast.IncDecStmt:
		g.changed(n.X)
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			g.changed(n.Key)
			g.changed(n.Value)
		}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			g.changed(n.X)
		}
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && (f.Name == "delete" || f.Name == "clear" || f.Name == "copy") {
			g.changed(n.Args[0])
		}
	}
	return true
}

// changed complains if the expression is a package-level variable, or a part of one.
func (g *globals) changed(e ast.Expr) {
	for {
		switch x := e.(type) {
		case *ast.ParenExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.SelectorExpr:
			if id, ok := x.X.(*ast.Ident); ok {
				if _, ok := g.info.Uses[id].(*types.PkgName); ok {
					g.complain(x, id.Name+"."+x.Sel.Name, "it is another package's")
					return
				}
			}
			e = x.X
		case *ast.Ident:
			v, ok := g.info.Uses[x].(*types.Var)
			if ok && v.Parent() != nil && v.Parent() == v.Pkg().Scope() && !strings.HasSuffix(fileSet.Position(v.Pos()).Filename, "_test.go") {
				g.complain(x, g.p.name+"."+x.Name, "it is changed here")
			}
			return
		default:
			return
		}
	}
}

// declared complains of variables that are made to change.
func (g *globals) declared(d *ast.GenDecl) {
	for _, s := range d.Specs {
		spec := s.(*ast.ValueSpec)
		why := madeToChange(spec.Type)
		for _, v := range spec.Values {
			if why == "" {
				why = madeToChange(v)
			}
		}
		if why == "" {
			continue
		}
		for _, name := range spec.Names {
			g.complain(name, g.p.name+"."+name.Name, why)
		}
	}
}

func madeToChange(e ast.Expr) (why string) {
	if e == nil {
		return ""
	}
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false // what a function makes is its own
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && (x.Name == "sync" || x.Name == "atomic") {
				why = "it has state, from " + x.Name
			}
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "make" || f.Name == "new") {
				why = f.Name + " makes something to be changed"
			}
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				why = "a pointer lets others change it"
			}
		}
		return true
	})
	return why
}

func (g *globals) complain(at ast.Node, name, why string) {
	if globalsAllowed[name] != "" {
		delete(g.unused, name)
		return
	}
	g.t.Errorf("%v: %s must not change, but %s", position(at), name, why)
}
