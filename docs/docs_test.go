// Package docs holds no code: it tests that the documents agree with the program.
package docs

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"tandem/internal/config"
	"tandem/internal/member"
)

var update = flag.Bool("update", false, "rewrite generated documents")

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const referenceHead = `# farm.toml and member.toml

<!-- Generated from the schema by: go test ./docs -update -->

`

func TestReferenceIsCurrent(t *testing.T) {
	const name = "farm-toml.md"
	want := referenceHead + config.Reference()
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, name) != want {
		t.Errorf("%s is stale: go test ./docs -update", name)
	}
}

var requirement = regexp.MustCompile(`(?m)^\s*(?:require )?([a-z][a-z0-9.-]*\.[a-z]+/\S+) v\S+$`) // lines that end in "// indirect" don't match

func TestDependenciesAreExplained(t *testing.T) {
	listed := map[string]bool{}
	for _, row := range rows(read(t, "dependencies.md")) {
		if len(row) != 4 || row[1] == "" || row[2] == "" || row[3] == "" {
			t.Errorf("dependencies.md: the row of %s is not complete", row[0])
		}
		listed[row[0]] = true
	}
	required := requirement.FindAllStringSubmatch(read(t, "../go.mod"), -1)
	if len(required) < 10 {
		t.Fatalf("only %d direct requirements are found in go.mod", len(required))
	}
	for _, m := range required {
		if !listed[m[1]] {
			t.Errorf("dependencies.md has no row for %s", m[1])
		}
		delete(listed, m[1])
	}
	for name := range listed {
		t.Errorf("dependencies.md has a row for %s, which go.mod does not require directly", name)
	}
}

// rows are the cells of a document's tables, without heads.
func rows(doc string) [][]string {
	var all [][]string
	head := true
	for line := range strings.Lines(doc) {
		line = strings.TrimSpace(line)
		switch {
		case !strings.HasPrefix(line, "|"):
			head = true
		case strings.HasPrefix(line, "|---"):
			head = false
		case !head:
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			all = append(all, cells)
		}
	}
	return all
}

func TestEventsAreExplained(t *testing.T) {
	documented := map[string]bool{}
	for _, row := range rows(read(t, "events.md")) {
		if id := strings.Trim(row[0], "`"); strings.Contains(id, ".") {
			if len(row) != 5 || row[2] == "" {
				t.Errorf("events.md: the row of %s is not complete", id)
			}
			documented[id] = true
		}
	}
	for _, id := range eventIDs(t) {
		if !documented[id] {
			t.Errorf("events.md has no row for %s", id)
		}
		delete(documented, id)
	}
	for id := range documented {
		t.Errorf("events.md has a row for %s, which is no event", id)
	}
}

// eventIDs are the values of all constants of type EventID.
func eventIDs(t *testing.T) []string {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), "../internal/farm/event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	ast.Inspect(tree, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "EventID" {
			return true
		}
		for _, v := range spec.Values {
			id, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		return true
	})
	if len(ids) < 20 {
		t.Fatalf("only %d event ids are found", len(ids))
	}
	return ids
}

// documents are all that is written for people.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"../*.md", "*.md", "adr/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

var codeBlock = regexp.MustCompile("(?ms)^```(toml|toml member|caddyfile)\n(.*?)^```$")

// exampleFarm is what the examples are put into: a member, and a folder that site files may name.
const exampleFarm = `
[member.web1]
address = "192.0.2.11:7443"
key = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
`

const exampleFolder = `
[folder.shop]
path = "/var/www/shop"
`

func TestExamplesCheck(t *testing.T) {
	checked := 0
	for _, name := range documents(t) {
		for i, m := range codeBlock.FindAllStringSubmatch(read(t, name), -1) {
			t.Run(fmt.Sprintf("%s/%d", filepath.Base(name), i+1), func(t *testing.T) {
				checkExample(t, m[1], m[2])
			})
			checked++
		}
	}
	if checked < 2 {
		t.Errorf("only %d examples are found", checked)
	}
}

func checkExample(t *testing.T, kind, text string) {
	files := map[string][]byte{config.FarmFile: []byte(exampleFarm + text)}
	if kind == "caddyfile" {
		files = map[string][]byte{config.FarmFile: []byte(exampleFarm + exampleFolder), "sites/example.caddy": []byte(text),
			config.SecretsFile: []byte("api-key = \"sealed\"\n")}
	}
	if kind == "toml member" {
		if _, faults := config.LoadMember([]byte("name = \"web1\"\n" + text)); len(faults) > 0 {
			t.Errorf("%s\n%s", faults.Error(), text)
		}
		return
	}
	if faults := member.CheckConfig(t.Context(), files); len(faults) > 0 {
		t.Errorf("%s\n%s", faults.Error(), text)
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	for _, name := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, name), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s: %s does not exist", name, m[1])
			}
		}
	}
}
