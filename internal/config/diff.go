package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

// FileDiff is how a file differs between two revisions.
type FileDiff struct {
	File string `json:"file"`
	Text string `json:"text"` // unified
}

// Diff compares the files of two revisions; files that are the same are left out.
func Diff(a, b map[string][]byte) []FileDiff {
	var all []FileDiff
	m := merger{early: Revision{Files: a}, late: Revision{Files: b}}
	for _, name := range m.names() {
		if text := diff.Diff("a/"+name, a[name], "b/"+name, b[name]); text != nil {
			all = append(all, FileDiff{name, string(text)})
		}
	}
	return all
}

// Summary says in a few words each what differs between two configurations: "member web2 added", "site sites/shop.caddy
// changed". A nil configuration has nothing.
func Summary(a, b *Config) []string {
	if a == nil {
		a = &Config{}
	}
	if b == nil {
		b = &Config{}
	}
	var all []string
	all = append(all, compare("member", a.Members, b.Members, func(m Member) string { return string(m.Name) })...)
	all = append(all, compare("folder", a.Folders, b.Folders, func(f Folder) string { return string(f.Name) })...)
	all = append(all, compare("site", a.Sites, b.Sites, func(s Site) string { return strings.TrimPrefix(s.File, SitesDir+"/") })...)
	all = append(all, compare("maintenance", a.Maintenance, b.Maintenance, func(m Maintenance) string { return m.Site })...)
	table := func(name string, same bool) {
		if !same {
			all = append(all, name+" changed")
		}
	}
	table("farm", a.Farm == b.Farm)
	table("edge", reflect.DeepEqual(a.Edge, b.Edge))
	table("events", a.Events == b.Events)
	table("certificates", a.Certificates == b.Certificates)
	table("acme", reflect.DeepEqual(a.ACME, b.ACME))
	return all
}

// compare walks two lists that are sorted by name.
func compare[T any](kind string, a, b []T, name func(T) string) []string {
	var all []string
	add := func(item T, what string) { all = append(all, fmt.Sprintf("%s %s %s", kind, name(item), what)) }
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && name(a[0]) < name(b[0]):
			add(a[0], "removed")
			a = a[1:]
		case len(a) == 0 || name(b[0]) < name(a[0]):
			add(b[0], "added")
			b = b[1:]
		default:
			if !reflect.DeepEqual(a[0], b[0]) {
				add(b[0], "changed")
			}
			a, b = a[1:], b[1:]
		}
	}
	return all
}
