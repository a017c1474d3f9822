package vfs_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

func openWith(t *testing.T, root string, opt vfs.Options) vfs.FS {
	t.Helper()
	fs, err := vfs.OpenWith(root, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fs.Close() })
	if err := fs.Prepare("site"); err != nil {
		t.Fatal(err)
	}
	return fs
}

func attrs(t *testing.T, list ...farm.XAttr) *farm.XAttrs {
	t.Helper()
	x, err := farm.MakeXAttrs(list)
	if err != nil {
		t.Fatal(err)
	}
	return &x
}

// Setuid and setgid of files are neither seen nor set unless the folder says so, and never on directories.
func TestSpecialBits(t *testing.T) {
	for _, special := range []bool{false, true} {
		root := t.TempDir()
		fs := openWith(t, root, vfs.Options{Special: special})
		if err := os.WriteFile(filepath.Join(root, "f"), nil, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Chmod(filepath.Join(root, "f"), 0o6755); err != nil {
			t.Fatal(err)
		}
		want := uint32(0o755)
		if special {
			want = 0o6755
		}
		if got := must(fs.Lstat(path("f"))).Attr().Mode; got != want {
			t.Errorf("special %v: mode is %o", special, got)
		}
		mode := uint32(0o6711)
		tmp := must(fs.Temp())
		if err := tmp.SetAttr(vfs.SetAttr{Mode: &mode}); err != nil {
			t.Fatal(err)
		}
		if got := must(tmp.Stat()).Mode & 0o7777; got != mode&(want|0o777) {
			t.Errorf("special %v: set to %o", special, got)
		}
		_ = tmp.Close()
		if err := fs.Mkdir(path("d"), 0o755); err != nil {
			t.Fatal(err)
		}
		mode = 0o2755
		if err := fs.SetAttr(path("d"), vfs.SetAttr{Mode: &mode}); err != nil {
			t.Fatal(err)
		}
		if got := must(fs.Lstat(path("d"))).Mode & 0o7777; got != 0o755 {
			t.Errorf("special %v: a directory became %o", special, got)
		}
		if err := unix.Chmod(filepath.Join(root, "d"), 0o2700); err != nil {
			t.Fatal(err)
		}
		mode = 0o755
		if err := fs.SetAttr(path("d"), vfs.SetAttr{Mode: &mode}); err != nil {
			t.Fatal(err)
		}
		if st := must(fs.Lstat(path("d"))); st.Mode&0o7777 != 0o2755 || st.Attr().Mode != 0o755 {
			t.Errorf("special %v: the directory's own setgid bit: %o", special, st.Mode)
		}
	}
}

// Labels, capabilities and trusted attributes are seen, set and taken away only where the folder says so, on symlinks too.
func TestPrivilegedXAttrs(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "f")
	if err := os.WriteFile(file, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	capability := binary.LittleEndian.AppendUint32(nil, 0x02000001)  // revision 2, effective
	capability = binary.LittleEndian.AppendUint64(capability, 1<<10) // net_bind_service permitted
	capability = binary.LittleEndian.AppendUint64(capability, 0)
	if err := unix.Setxattr(file, "security.capability", capability, 0); err != nil {
		t.Skip("no right to give capabilities: ", err)
	}
	some := vfs.Options{}
	fs := openWith(t, root, some)
	if x := must(fs.XAttrs(path("f"))); !x.IsZero() {
		t.Errorf("sees %v", x)
	}
	if err := fs.SetAttr(path("f"), vfs.SetAttr{XAttrs: attrs(t, farm.XAttr{Name: "trusted.t", Value: "1"})}); err != nil {
		t.Fatal(err)
	}
	_ = fs.Close()
	all := openWith(t, root, vfs.Options{XAttrs: vfs.XAttrsAll})
	x := must(all.XAttrs(path("f")))
	if v, ok := x.Get("security.capability"); !ok || v != string(capability) || len(x.Names()) != 1 {
		t.Errorf("sees %v", x)
	}
	owner, mode := farm.Owner{UID: 4242, GID: 4242}, uint32(0o755)
	tmp := must(all.Temp())
	if err := tmp.SetAttr(vfs.SetAttr{Owner: &owner, Mode: &mode, XAttrs: &x}); err != nil {
		t.Fatal(err)
	}
	if got := must(tmp.XAttrs()); got != x {
		t.Errorf("the copy has %v: a change of the owner takes capabilities away", got)
	}
	_ = tmp.Close()
	if err := all.Symlink("f", path("l")); err != nil {
		t.Fatal(err)
	}
	mark := attrs(t, farm.XAttr{Name: "trusted.t", Value: "of the link"})
	if err := all.SetAttr(path("l"), vfs.SetAttr{XAttrs: mark}); err != nil {
		t.Fatal(err)
	}
	if got := must(all.XAttrs(path("l"))); got != *mark {
		t.Errorf("the link has %v", got)
	}
	if got := must(all.XAttrs(path("f"))); got != x {
		t.Errorf("the link was followed: %v", got)
	}
	none := vfs.Options{XAttrs: vfs.XAttrsNone}
	_ = all.Close()
	if got := must(openWith(t, root, none).XAttrs(path("f"))); !got.IsZero() {
		t.Errorf("sees %v", got)
	}
}

// A root with a list for new files gives it to the private area too: what is prepared there must not get it.
func TestPrivateAreaInheritsNoList(t *testing.T) {
	root := t.TempDir()
	fs := openWith(t, root, vfs.Options{})
	list := attrs(t, farm.XAttr{Name: farm.XAttrDefaultACL, Value: "u=7,g=7,m=7,o=0,u:4242=7"})
	if err := fs.SetAttr(farm.Path{}, vfs.SetAttr{XAttrs: list}); err != nil {
		t.Fatal(err)
	}
	if x := must(fs.XAttrs(farm.Path{})); x.IsZero() {
		t.Skip("no access control lists here")
	}
	if err := os.RemoveAll(filepath.Join(root, farm.PrivateDir)); err != nil {
		t.Fatal(err)
	}
	_ = fs.Close()
	fs = openWith(t, root, vfs.Options{})
	for _, p := range []string{farm.PrivateDir, vfs.StagingDir, vfs.PreservedDir} {
		if x := must(fs.XAttrs(path(p))); !x.IsZero() {
			t.Errorf("%s has %v", p, x)
		}
	}
	mode := uint32(0o660)
	tmp := must(fs.Temp())
	defer tmp.Close()
	if err := tmp.SetAttr(vfs.SetAttr{Mode: &mode}); err != nil {
		t.Fatal(err)
	}
	if x := must(tmp.XAttrs()); !x.IsZero() {
		t.Errorf("what is prepared has %v", x)
	}
}

// BenchmarkListXAttr is what each look at a new file costs more since there are extended attributes.
func BenchmarkListXAttr(b *testing.B) {
	root := b.TempDir()
	if err := os.WriteFile(filepath.Join(root, "f"), []byte("x"), 0o644); err != nil {
		b.Fatal(err)
	}
	fs := must(vfs.Open(root))
	defer fs.Close()
	f := must(fs.Open(path("f")))
	defer f.Close()
	b.Run("stat", func(b *testing.B) {
		for b.Loop() {
			_, _ = f.Stat()
		}
	})
	b.Run("xattrs of none", func(b *testing.B) {
		for b.Loop() {
			_, _ = f.XAttrs()
		}
	})
}
