package scan

import (
	"fmt"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"tandem/internal/farm"
)

// Rule is a pattern that says whether the paths that it matches are replicated.
//
// A pattern is a glob (* ? [] {} and **). One without a slash matches a name at any depth, any other the path from the
// root; a leading slash ties a name to the root. "dir/**" is all in dir, but not dir.
type Rule struct {
	Pattern string
	Include bool
	Default bool   // one of Defaults
	Line    int    // of farm.toml; 0: it stands nowhere
	Why     string // of a default: whose files these are
}

// String is the rule as people know it: exclude "*.log".
func (r Rule) String() string {
	if r.Include {
		return fmt.Sprintf("include %q", r.Pattern)
	}
	return fmt.Sprintf("exclude %q", r.Pattern)
}

// Defaults are what is never replicated unless an include or "defaults = false" says otherwise: names that only editors,
// desktops and file systems give, and never an application.
func Defaults() []Rule {
	var rules []Rule
	add := func(why string, patterns ...string) {
		for _, p := range patterns {
			rules = append(rules, Rule{Pattern: p, Default: true, Why: why})
		}
	}
	add("swap file of vim", ".*.sw[a-p]", ".*.swpx", ".*.un~")
	add("lock or autosave file of Emacs", ".#*", "#*#")
	add("lock file of an office program", "~$*", ".~lock.*#")
	add("unfinished file of GNOME", ".goutputstream-*")
	add("of macOS", ".DS_Store", "._*", ".AppleDouble", ".Spotlight-V100", ".Trashes", ".fseventsd")
	add("thumbnails of Windows", "Thumbs.db", "ehthumbs.db")
	add("deleted file that is still open, of NFS", ".nfs[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]*")
	add("deleted file that is still open, of FUSE", ".fuse_hidden*")
	add("of the file system", "/lost+found")
	return rules
}

// Filter decides which paths are replicated. Of a path and the directories that it lies in, the nearest that any rule
// matches decides: there include wins over exclude. What no rule matches is replicated.
//
// So that what is included in an excluded directory has a place, such a directory is replicated as a passage: itself, but
// nothing else in it.
//
// A Filter is immutable; nil replicates all.
type Filter struct {
	rules   []Rule
	exclude globs
	include globs
	max     int64 // bytes of a file; 0: no limit
}

// NewFilter compiles rules. Whoever takes patterns from people checks them: a malformed one matches nothing.
// Files of more than max bytes are left out; 0: none is.
func NewFilter(rules []Rule, max int64) *Filter {
	f := &Filter{rules: rules, max: max}
	for i, r := range rules {
		if r.Include {
			f.include.add(r.Pattern, i)
		} else {
			f.exclude.add(r.Pattern, i)
		}
	}
	return f
}

// Rules are those that it was made of.
func (f *Filter) Rules() []Rule {
	if f == nil {
		return nil
	}
	return f.rules
}

// MaxSize is the size in bytes above which a file is left out; 0: none is.
func (f *Filter) MaxSize() int64 {
	if f == nil {
		return 0
	}
	return f.max
}

// Excluded tells whether nothing at p is replicated, whatever it is.
func (f *Filter) Excluded(p farm.Path) bool {
	if p.Private() {
		return true
	}
	if f == nil || len(f.exclude.all) == 0 {
		return false
	}
	_, excluded := f.Decides(p)
	return excluded && !f.include.below(p)
}

// Decides returns the rule that decides about p, if any does, and whether it excludes p.
func (f *Filter) Decides(p farm.Path) (r Rule, excluded bool) {
	if f == nil {
		return Rule{}, false
	}
	for ; !p.IsRoot(); p = p.Parent() {
		if i, ok := f.include.match(p); ok {
			return f.rules[i], false
		}
		if i, ok := f.exclude.match(p); ok {
			return f.rules[i], true
		}
	}
	return Rule{}, false
}

// LeavesOut tells whether what has these attributes at p, which is not excluded, is left alone: a file that is too large,
// or anything but a directory where only a passage to what is included may be.
func (f *Filter) LeavesOut(p farm.Path, a farm.Attr) bool {
	if f == nil {
		return false
	}
	if a.Type == farm.File && f.max > 0 && a.Size > f.max {
		return true
	}
	return (a.Type == farm.File || a.Type == farm.Symlink) && f.Passage(p)
}

// Passage tells whether p is excluded and yet a directory there is replicated, for what is included below it.
func (f *Filter) Passage(p farm.Path) bool {
	if f == nil || len(f.exclude.all) == 0 || len(f.include.all) == 0 {
		return false
	}
	_, excluded := f.Decides(p)
	return excluded && f.include.below(p)
}

// leavesChild tells whether nothing at p is replicated, of whose directory is known whether it is excluded.
func (f *Filter) leavesChild(p farm.Path, dirExcluded bool) bool {
	if p.Private() {
		return true
	}
	if f == nil || len(f.exclude.all) == 0 {
		return false
	}
	if _, ok := f.include.match(p); ok {
		return false
	}
	if _, ok := f.exclude.match(p); !ok && !dirExcluded {
		return false
	}
	return !f.include.below(p)
}

// glob is a pattern, ready to match.
type glob struct {
	pattern string
	rule    int
	name    bool     // it matches a name at any depth, otherwise a path from the root
	parts   []string // of the path
	prefix  string   // what all that it matches begins with: most names are told apart by it
	suffix  string   // ... and ends with
}

// meta are the bytes that mean something in a pattern.
const meta = "*?[]{}\\"

func newGlob(p string, rule int) glob {
	g := glob{pattern: strings.TrimPrefix(p, "/"), rule: rule, name: !strings.Contains(p, "/")}
	g.parts = strings.Split(g.pattern, "/")
	if i := strings.IndexAny(g.pattern, meta); i >= 0 {
		g.prefix, g.suffix = g.pattern[:i], g.pattern[strings.LastIndexAny(g.pattern, meta)+1:]
	} else {
		g.prefix = g.pattern
	}
	return g
}

func (g *glob) match(s string) bool {
	return strings.HasPrefix(s, g.prefix) && strings.HasSuffix(s, g.suffix) && doublestar.MatchUnvalidated(g.pattern, s)
}

// globs are patterns of one kind.
type globs struct{ all []glob }

func (g *globs) add(pattern string, rule int) {
	p := strings.TrimSuffix(pattern, "/")
	if p == "" || !doublestar.ValidatePattern(p) {
		return
	}
	if dir, ok := strings.CutSuffix(p, "/**"); ok {
		p = dir + "/**/*" // doublestar lets "dir/**" match dir itself
	}
	g.all = append(g.all, newGlob(p, rule))
}

// match returns the first rule that matches p itself.
func (g globs) match(p farm.Path) (rule int, ok bool) {
	name, path := p.Base(), p.String()
	for i := range g.all {
		b, subject := &g.all[i], path
		if b.name {
			subject = name
		}
		if b.match(subject) {
			return b.rule, true
		}
	}
	return 0, false
}

// below tells whether a pattern can match something below dir.
func (g globs) below(dir farm.Path) bool {
	if len(g.all) == 0 {
		return false
	}
	names := strings.Split(dir.String(), "/")
	for _, b := range g.all {
		if b.name || leads(b.parts, names) {
			return true
		}
	}
	return false
}

// leads tells whether something below the directory may match the parts of a pattern.
func leads(parts, dir []string) bool {
	for i, part := range parts {
		switch {
		case part == "**":
			return true
		case i == len(dir):
			return true // there are more parts than names
		case !doublestar.MatchUnvalidated(part, dir[i]):
			return false
		}
	}
	return false
}
