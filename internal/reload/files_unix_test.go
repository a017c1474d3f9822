//go:build !windows

package reload

import (
	"os"
	"syscall"
	"testing"
)

// TestModeAndOwnerStay: who could edit a file can edit it after it was replaced.
func TestModeAndOwnerStay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const uid, gid = 1234, 2345
	g := newRig(t, "web1")
	g.write("farm.toml", farmToml)
	must(t, os.Chown(g.path("farm.toml"), uid, gid))
	must(t, os.Chmod(g.path("farm.toml"), 0o664))
	must(t, g.Boot(t.Context()))
	must(t, os.Chown(g.path("sites"), uid, gid))
	_, err := g.Update(t.Context(), "", func(files map[string][]byte) (map[string][]byte, error) {
		files["farm.toml"] = append(files["farm.toml"], "# more\n"...)
		files["sites/a.caddy"] = []byte("one\n")
		return files, nil
	})
	must(t, err)
	for name, mode := range map[string]os.FileMode{"farm.toml": 0o664, "sites/a.caddy": fileMode} {
		info, err := os.Stat(g.path(name))
		must(t, err)
		if s := info.Sys().(*syscall.Stat_t); s.Uid != uid || s.Gid != gid || info.Mode().Perm() != mode {
			t.Errorf("%s is of %d:%d, mode %v", name, s.Uid, s.Gid, info.Mode())
		}
	}
}
