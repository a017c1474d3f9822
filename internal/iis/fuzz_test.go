package iis_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"tandem/internal/iis"
	"tandem/internal/iis/iistest"
)

// FuzzImport: whatever the files hold, an import ends, says the same again, and its findings stand in the files.
func FuzzImport(f *testing.F) {
	for _, s := range iistest.Servers(f, "testdata/import") {
		for _, file := range s.Archive.Files {
			if !strings.HasPrefix(file.Name, "want") {
				f.Add(file.Data)
			}
		}
	}
	f.Add([]byte("\xff\xfe<\x00a\x00/\x00>\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		opts := iis.Options{File: "applicationHost.config", Data: data}
		res, err := iis.Import(opts)
		if err != nil {
			return
		}
		again, err := iis.Import(opts)
		if err != nil || !reflect.DeepEqual(res, again) {
			t.Fatalf("a second import differs: %v", err)
		}
		lines := bytes.Count(data, []byte("\n")) + 1
		for _, finding := range res.Findings {
			if finding.Line < 1 || finding.Line > lines || finding.File == "" || finding.What == "" || finding.Why == "" {
				t.Errorf("finding %+v in a file of %d lines", finding, lines)
			}
		}
		for _, s := range res.Sites {
			if strings.Count(s.Source, "{") == 0 || !strings.HasPrefix(s.File, "sites/") {
				t.Errorf("site %+v", s)
			}
		}
	})
}
