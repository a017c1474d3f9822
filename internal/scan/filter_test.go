package scan_test

import (
	"strings"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/scan"
)

// excluding is a filter of exclude patterns alone.
func excluding(patterns ...string) *scan.Filter {
	var rules []scan.Rule
	for _, p := range patterns {
		rules = append(rules, scan.Rule{Pattern: p})
	}
	return scan.NewFilter(rules, 0)
}

// rules reads "-pattern" and "+pattern".
func rules(s string) (all []scan.Rule) {
	for i, f := range strings.Fields(s) {
		all = append(all, scan.Rule{Pattern: f[1:], Include: f[0] == '+', Line: i + 1})
	}
	return all
}

// The nearest path that a rule matches decides, and include wins over exclude there.
func TestFilterNearestDecides(t *testing.T) {
	for _, tt := range []struct {
		rules             string
		in, out, passages string
	}{
		{rules: "-cache/** +cache/keep/**", in: "cache cache/keep/a cache/keep/a/b x", out: "cache/a cache/a/b", passages: "cache/keep"},
		{rules: "-cache +cache/keep", in: "cache/keep cache/keep/a/b", out: "cache/a other/cache", passages: "cache"},
		{rules: "-*.log +logs", in: "logs logs/a x", passages: "a.log logs/a.log"},
		{rules: "-*.log +logs +logs/**", in: "logs/a.log logs/b/a.log", passages: "a.log"},
		{rules: "-** +*.jpg", in: "a.jpg a/b.jpg a/b/c.jpg", passages: "a a/b x.txt"},
		{rules: "-a +a/b/c/d", in: "a/b/c/d a/b/c/d/e", out: "a/c a/b/d a/b/c/e", passages: "a a/b a/b/c"},
		{rules: "-a +a/*/keep -secret", in: "a/x/keep a/x/keep/f", out: "a/x/keep/secret a/x/keep/secret/f a/x/y", passages: "a a/x"},
		{rules: "-*.tmp +*.tmp", in: "a.tmp"},
	} {
		f := scan.NewFilter(rules(tt.rules), 0)
		check := func(paths string, excluded, passage bool) {
			for p := range strings.FieldsSeq(paths) {
				path := farm.MustPath(p)
				if f.Excluded(path) != excluded || f.Passage(path) != passage {
					t.Errorf("%s: %s: excluded %v, passage %v", tt.rules, p, f.Excluded(path), f.Passage(path))
				}
				if passage && (!f.LeavesOut(path, farm.Attr{Type: farm.File}) || f.LeavesOut(path, farm.Attr{Type: farm.Dir})) {
					t.Errorf("%s: %s: a passage takes directories alone", tt.rules, p)
				}
			}
		}
		check(tt.in, false, false)
		check(tt.out, true, false)
		check(tt.passages, false, true)
	}
}

func TestFilterDefaults(t *testing.T) {
	f := scan.NewFilter(scan.Defaults(), 0)
	for p := range strings.FieldsSeq(".index.php.swp a/.x.swo .#x #x# ~$report.docx .~lock.a.odt# .DS_Store a/._x Thumbs.db " +
		".nfs000000000001a2b300000001 .fuse_hidden0000 lost+found lost+found/x .goutputstream-AB12CD a/.x.un~") {
		if r, excluded := f.Decides(farm.MustPath(p)); !excluded || !r.Default || r.Why == "" {
			t.Errorf("%s is replicated", p)
		}
	}
	for p := range strings.FieldsSeq("index.php x~ x.tmp x.bak x.swp .htaccess .swap a/lost+found .git/index .nfs x.DS_Store _x ~x .env desktop.ini cache/.x.sw") {
		if f.Excluded(farm.MustPath(p)) {
			t.Errorf("%s is not replicated", p)
		}
	}
	again := scan.NewFilter(append(scan.Defaults(), rules("+Thumbs.db")...), 0)
	if again.Excluded(farm.MustPath("a/Thumbs.db")) {
		t.Error("include does not win over a default")
	}
}

// What is left out is neither read nor, if the index does not know it, reported.
func TestLeftOut(t *testing.T) {
	f := scan.NewFilter(rules("-d +d/in"), 4)
	each(t, scan.Config{Filter: f}, func(r *rig) {
		r.mkdir("d")
		r.write("big", "12345")
		r.write("small", "1234")
		r.write("d/in", "x")
		r.write("d/out", "x")
		if got, err := r.walk(r.s, ".", catalogue{}); err != nil || strings.Join(got, " ") != "d small d/in" {
			r.Errorf("walk: %q, %v", got, err)
		}
		o, err := r.s.Examine(r.Context(), farm.MustPath("big"), farm.Disk{})
		if err != nil || !o.LeftOut || o.Content != nil {
			r.Errorf("%+v, %v", o, err)
		}
		r.s.SetFilter(nil)
		if o, err = r.s.Examine(r.Context(), farm.MustPath("big"), farm.Disk{}); err != nil || o.LeftOut || string(o.Content) != "12345" {
			r.Errorf("after the filter went: %+v, %v", o, err)
		}
	})
}

func BenchmarkFilter(b *testing.B) {
	f := scan.NewFilter(append(scan.Defaults(), rules("-cache/** -*.log -a/*/tmp")...), 0)
	p := farm.MustPath("src/runtime/internal/atomic/types.go")
	for b.Loop() {
		f.Excluded(p)
	}
}
