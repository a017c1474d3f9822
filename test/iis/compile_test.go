// Package iis tests that what is imported from IIS passes the check of a configuration, and does what IIS did.
package iis

import (
	"testing"

	"tandem/internal/config"
	"tandem/internal/iis"
	"tandem/internal/iis/iistest"
	"tandem/internal/member"
)

const farmWithAMember = `[member.web1]
address = "127.0.0.1:7443"
key = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
`

// TestImportedFilesCheck: what tandem config check says of each imported server is nothing.
func TestImportedFilesCheck(t *testing.T) {
	for _, s := range iistest.Servers(t, "../../internal/iis/testdata/import") {
		t.Run(s.Name, func(t *testing.T) {
			res, err := iis.Import(s.Options())
			if err != nil {
				t.Skipf("it can't be imported: %v", err)
			}
			files := map[string][]byte{config.FarmFile: []byte(farmWithAMember)}
			for _, f := range res.Folders {
				if files[config.FarmFile], err = config.AddFolder(files[config.FarmFile], f); err != nil {
					t.Fatal(err)
				}
			}
			for _, site := range res.Sites {
				name := site.File
				if site.Disabled != "" {
					name = name[:len(name)-len(".disabled")] // it has to be right once it is served
				}
				files[name] = []byte(site.Source)
			}
			for _, f := range member.CheckConfig(t.Context(), files) {
				t.Error(f)
			}
		})
	}
}
