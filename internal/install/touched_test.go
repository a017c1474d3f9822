package install

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"tandem/internal/vfs"
)

// changes tells whether a call would change the disk.
func changes(op vfs.Op) bool {
	switch op.Name {
	case "temp.readat", "temp.stat", "temp.xattrs", "temp.close", "log.close":
		return false
	case "exchange", "rename", "mkdir", "symlink", "remove", "rmdir", "setattr", "openlog", "partial", "sync", "temp":
		return true
	}
	return strings.HasPrefix(op.Name, "temp.") || strings.HasPrefix(op.Name, "log.")
}

// unswept are calls that no plan of the sweeps makes, and who makes them.
var unswept = map[string]string{
	"prepare":        "the start, before there is a keeper",
	"checkroot":      "scans",
	"close":          "the end",
	"openlog":        "the start",
	"sync":           "the group sync, which the simulator has fail",
	"file.read":      "contents that others ask for",
	"file.xattrs":    "looks at files, in scans",
	"log.reset":      "the start, and logs that have grown",
	"log.close":      "the end",
	"temp.writeat":   "contents that arrive in parts",
	"temp.truncate":  "contents that arrive in parts, and files with holes",
	"temp.copyrange": "contents that arrive in parts",
	"partial":        "contents that arrive in parts",
}

// A method that is added to the file system is swept, or it is said here who else tries it.
func TestEveryCallIsSwept(t *testing.T) {
	touched := map[string]bool{}
	for _, s := range scenarios() {
		b := newBox(vfs.MemConfig{})
		b.set(s)
		b.startThrough(func(_ int, op vfs.Op) error { touched[op.Name] = true; return nil })
		b.k.Install(context.Background(), s.plan(b.mem), s.src)
		b.k.Sweep(context.Background())
		b.k.Sweep(context.Background())
	}
	names := map[string]string{"renamenoreplace": "rename", "removedir": "rmdir"}
	for prefix, of := range map[string]reflect.Type{
		"": reflect.TypeFor[vfs.FS](), "file.": reflect.TypeFor[vfs.File](), "temp.": reflect.TypeFor[vfs.Temp](), "log.": reflect.TypeFor[vfs.Log](),
	} {
		for i := range of.NumMethod() {
			name := strings.ToLower(of.Method(i).Name)
			if short := names[name]; short != "" {
				name = short
			}
			name = prefix + name
			switch why := unswept[name]; {
			case !touched[name] && why == "":
				t.Errorf("no sweep has touched %s", name)
			case touched[name] && why != "":
				t.Errorf("%s is touched: take it out of unswept", name)
			}
		}
	}
}
