package iis

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// folder is a directory that the farm replicates.
type folder struct {
	name     string
	path     string // in the farm
	existing bool
}

var envPattern = regexp.MustCompile(`%([A-Za-z0-9_()]+)%`)

// expandEnv fills in the variables that every Windows has; others stay as a name of a directory.
func expandEnv(p string) string {
	p = envPattern.ReplaceAllStringFunc(strings.TrimSpace(p), func(v string) string {
		switch strings.ToLower(strings.Trim(v, "%")) {
		case "systemdrive":
			return "C:"
		case "systemroot", "windir":
			return `C:\Windows`
		case "programfiles":
			return `C:\Program Files`
		case "programfiles(x86)":
			return `C:\Program Files (x86)`
		}
		return strings.Trim(v, "%")
	})
	return strings.TrimRight(strings.ReplaceAll(p, "/", `\`), `\`)
}

// joinPhysical appends a path with slashes to a directory of the server.
func joinPhysical(dir, rest string) string {
	rest = strings.ReplaceAll(path.Clean("/"+rest), "/", `\`)
	return dir + strings.TrimRight(rest, `\`)
}

// target is where a directory of the server lies in the farm.
func (im *importer) target(physical string) string {
	slashed := strings.ReplaceAll(physical, `\`, "/")
	best := Mapping{}
	for _, m := range im.opts.Map {
		from := strings.TrimRight(strings.ReplaceAll(expandEnv(m.From), `\`, "/"), "/")
		if _, in := below(from, slashed); in && len(from) >= len(best.From) {
			best = Mapping{from, m.To}
		}
	}
	if best.To != "" {
		rest, _ := below(best.From, slashed)
		return strings.TrimRight(best.To, `\/`) + cleanRest(rest)
	}
	im.maps[physical] = true
	if rest, in := below("C:/inetpub", slashed); in {
		return "/var/www" + cleanRest(rest)
	}
	slashed = strings.Replace(slashed, ":", "", 1)
	if len(slashed) > 0 && (len(slashed) == 1 || slashed[1] == '/') {
		slashed = strings.ToLower(slashed[:1]) + slashed[1:] // a drive
	}
	return "/srv" + cleanRest(slashed)
}

func cleanRest(rest string) string {
	if rest == "" {
		return ""
	}
	return strings.TrimRight(path.Clean("/"+strings.Map(dropControl, rest)), "/")
}

func dropControl(r rune) rune {
	if r < ' ' || r == 0x7f || r == '{' || r == '}' || r == '"' || r == '`' {
		return -1
	}
	return r
}

// placeFolders gives every root of a site a folder; one that lies in another one is a part of that.
func (im *importer) placeFolders() {
	type wanted struct{ path, name string }
	var all []wanted
	for _, f := range im.opts.Have {
		im.folders = append(im.folders, folder{string(f.Name), strings.TrimRight(strings.ReplaceAll(f.Path, `\`, "/"), "/"), true})
	}
	for _, s := range im.sites {
		for _, d := range slices.Backward(s.dirs) {
			if d.root != d {
				continue
			}
			name := s.name
			if d.url != "/" {
				name += " " + path.Base(d.url)
			}
			all = append(all, wanted{im.target(d.physical), name})
		}
	}
	slices.SortStableFunc(all, func(a, b wanted) int { return len(a.path) - len(b.path) })
	for _, w := range all {
		if _, _, ok := im.folderOf(w.path); ok {
			continue
		}
		name := slug(w.name, "-", 60)
		if name == "" {
			name = "site"
		}
		name = unique(name, "-", func(n string) bool {
			return slices.ContainsFunc(im.folders, func(f folder) bool { return f.name == n })
		})
		im.folders = append(im.folders, folder{name: name, path: w.path})
	}
}

// folderOf finds the folder that holds a directory of the farm, and the rest of the path.
func (im *importer) folderOf(target string) (f folder, rest string, ok bool) {
	for _, f := range im.folders {
		if rest, in := below(f.path, target); in {
			return f, rest, true
		}
	}
	return folder{}, "", false
}

// newFolders are those that were not there.
func (im *importer) newFolders() []config.Folder {
	var fs []config.Folder
	for _, f := range im.folders {
		if !f.existing {
			fs = append(fs, config.Folder{Name: farm.FolderID(f.name), Path: f.path})
		}
	}
	return fs
}

// putRoot names a directory of the server as the root: "{folder.shop}/public".
func (im *importer) putRoot(t *text, physical string) {
	target := im.target(physical)
	root := target
	if f, rest, ok := im.folderOf(target); ok {
		root = fmt.Sprintf("{folder.%s}%s", f.name, rest)
	}
	if strings.Contains(target, " ") {
		root = `"` + root + `"` // the value of the placeholder is put in before words are told apart
	}
	t.raw("root * " + root)
}

// inRoot is a file of the server as a path below a zone's root; false if it lies elsewhere.
func (z *zone) inRoot(physical string) (string, bool) {
	rest, in := below(strings.ReplaceAll(z.dir.root.physical, `\`, "/"), strings.ReplaceAll(expandEnv(physical), `\`, "/"))
	return rest, in && rest != ""
}
