package web

import (
	"strings"
	"testing"
)

func FuzzPrivate(f *testing.F) {
	for _, s := range []string{"/a/.tandem/b", "/.TANDEM. /x", `\.tandem\`, "/x.tandem/.t", "/.tandem::$DATA", "..tandem"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		want := false
		for name := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
			name, _, _ = strings.Cut(name, ":")
			want = want || strings.EqualFold(strings.TrimRight(name, ". "), ".tandem")
		}
		if got := private(path); got != want {
			t.Errorf("private(%q) is %v", path, got)
		}
	})
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		"http://a.test {\n\trespond x\n}", "(s) {\n\trespond x\n}\na.test:8443 {\n\timport s\n}", "&(r) {\n\trespond x\n}\na.test {\n\tinvoke r\n}",
		"a.test\nlog {\n\toutput file /tmp/x\n}", "{\n}\n", ":80, *.b.test {\n\tbind 127.0.0.1 ::1\n\tread_your_writes blog {\n\t\twait 1s\n\t}\n}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		p, faults := compile("sites/a.caddy", source, nil)
		for _, fault := range faults {
			if fault.File != "sites/a.caddy" || fault.Message == "" || strings.Contains(fault.Message, "\n") {
				t.Errorf("fault is %+v", fault)
			}
		}
		if faults == nil && len(p.blocks) == 0 {
			t.Error("nothing is wrong, and nothing is there")
		}
	})
}
