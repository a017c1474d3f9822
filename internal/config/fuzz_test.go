package config

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

func seeds(f *testing.F, add func(files map[string][]byte)) {
	archives, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range archives {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		files := map[string][]byte{}
		for _, file := range txtar.Parse(b).Files {
			files[filepath.Base(file.Name)] = file.Data
		}
		add(files)
	}
}

// FuzzParse: whatever is typed, each fault stands in the file, and the blocks of a file join to the file.
func FuzzParse(f *testing.F) {
	seeds(f, func(files map[string][]byte) { f.Add(files["farm.toml"], files["shop.caddy"]) })
	f.Add([]byte("[a]\nb = '''\n# x'''\n[c]\n"), []byte("{member.name}"))
	f.Fuzz(func(t *testing.T, src, site []byte) {
		c, faults := Parse(map[string][]byte{FarmFile: src, "sites/a.caddy": site})
		if (c == nil) != (faults.Err() != nil) {
			t.Fatalf("config %v with faults %v", c, faults)
		}
		of := map[string][]byte{FarmFile: src, "sites/a.caddy": site}
		for _, fault := range faults {
			if n := bytes.Count(of[fault.File], []byte("\n")) + 1; fault.Line > n || fault.Line < 0 || fault.Column < 0 {
				t.Errorf("fault %v in a file of %d lines", fault, n)
			}
		}
		if blocks, ok := splitBlocks(src); ok && !bytes.Equal(joinBlocks(blocks), src) {
			t.Errorf("blocks %q of %q", blocks, src)
		}
		LoadMember(src)
	})
}

// FuzzDecodeRevision: what is taken has one encoding only.
func FuzzDecodeRevision(f *testing.F) {
	for _, text := range awkward {
		f.Add(revision(f, nil, "web1", 1, map[string][]byte{FarmFile: []byte(text)}).Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRevision(b)
		if err == nil && !bytes.Equal(r.Encode(), b) {
			t.Errorf("%q became %q", b, r.Encode())
		}
	})
}

// FuzzEncodeRevision: whatever files hold comes back.
func FuzzEncodeRevision(f *testing.F) {
	for _, text := range awkward {
		f.Add([]byte(text), "message")
	}
	f.Fuzz(func(t *testing.T, data []byte, message string) {
		if len(data) > MaxFarmBytes {
			return
		}
		r, err := NewRevision(nil, "web1", 1, CleanMessage(message), map[string][]byte{FarmFile: data, "sites/a.caddy": data})
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeRevision(r.Encode())
		if err != nil || got.Digest != r.Digest || !bytes.Equal(got.Files[FarmFile], data) || got.Message != r.Message {
			t.Errorf("%q: %v, %q", data, err, got.Files)
		}
	})
}

// FuzzExpand: lines stay where they are, and braces that are not ours stay as they are.
func FuzzExpand(f *testing.F) {
	f.Add("a {member.name}\n{folder.shop} {member.label.x} {http.host}")
	c, _ := Parse(map[string][]byte{FarmFile: farmText(map[int]int{0: 0}, map[int]int{1: 0})})
	v := c.Vars("web0", MemberFile{})
	f.Fuzz(func(t *testing.T, source string) {
		got, faults := Expand(source, v)
		if strings.Count(got, "\n") != strings.Count(source, "\n") {
			t.Errorf("%q has other lines than %q", got, source)
		}
		if !strings.Contains(source, "{member.") && !strings.Contains(source, "{folder.") && (got != source || faults != nil) {
			t.Errorf("%q became %q, %v", source, got, faults)
		}
	})
}

// FuzzMerge: any texts merge to the same, whichever comes first.
func FuzzMerge(f *testing.F) {
	seeds(f, func(files map[string][]byte) { f.Add(files["farm.toml"], files["farm.toml"], files["farm.toml"]) })
	f.Fuzz(func(t *testing.T, was, early, late []byte) {
		if max(len(was), len(early), len(late)) > MaxFarmBytes {
			return
		}
		base := revision(t, nil, "web1", 1, map[string][]byte{FarmFile: was})
		a := revision(t, []Revision{base}, "web1", 2, map[string][]byte{FarmFile: early})
		b := revision(t, []Revision{base}, "web2", 2, map[string][]byte{FarmFile: late})
		x, _ := Merge(base, a, b)
		y, _ := Merge(base, b, a)
		if x.Digest != y.Digest {
			t.Errorf("%s\nand\n%s", x.Encode(), y.Encode())
		}
	})
}
