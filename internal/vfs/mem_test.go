package vfs_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"tandem/internal/farm"
	"tandem/internal/vfs"
	"tandem/internal/vfs/vfstest"
)

func path(s string) farm.Path { return farm.MustPath(s) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// memApp is vfstest.App in memory.
type memApp struct{ vfs.App }

func (a memApp) Write(p, data string) error { return a.WriteFile(path(p), []byte(data)) }
func (a memApp) Mkfifo(p string) error      { return a.App.Mkfifo(path(p)) }

func (a memApp) OpenWrite(p string) (io.Closer, error) { return a.App.OpenWrite(path(p)) }

func TestMemContract(t *testing.T) {
	vfstest.Run(t, func(*testing.T) (vfs.FS, vfstest.App) {
		m := vfs.NewMem(vfs.MemConfig{})
		return m, memApp{m.App()}
	})
}

func TestWrappersKeepContract(t *testing.T) {
	vfstest.Run(t, func(*testing.T) (vfs.FS, vfstest.App) {
		m := vfs.NewMem(vfs.MemConfig{})
		return vfs.Trace(vfs.Fault(m, func(vfs.Op) error { return nil }), io.Discard), memApp{m.App()}
	})
}

func read(t *testing.T, m *vfs.Mem, p string) string {
	t.Helper()
	b, err := m.App().ReadFile(path(p))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCrash(t *testing.T) {
	m := vfs.NewMem(vfs.MemConfig{})
	app := m.App()
	if err := errors.Join(m.Prepare("site"), app.WriteFile(path("f"), []byte("one"))); err != nil {
		t.Fatal(err)
	}
	h, f, tmp := must(app.OpenWrite(path("f"))), must(m.Open(path("f"))), must(m.Temp())
	if err := m.Prepare("site"); farm.KindOf(err) != farm.Conflict {
		t.Errorf("a second daemon got in: %v", err)
	}
	m.Crash()
	if err := tmp.Link(path("g")); err == nil {
		t.Error("a temp outlived the crash")
	}
	if _, err := f.Stat(); err == nil {
		t.Error("an open file outlived the crash")
	}
	if err := h.Append([]byte(" two")); err != nil {
		t.Error(err)
	}
	if got := read(t, m, "f"); got != "one two" {
		t.Errorf("got %q", got)
	}
	if err := m.Prepare("site"); err != nil {
		t.Error(err)
	}
}

func TestPowerCut(t *testing.T) {
	m := vfs.NewMem(vfs.MemConfig{})
	app := m.App()
	if err := errors.Join(app.WriteFile(path("f"), []byte("one")), app.Link(path("f"), path("g")), m.Sync()); err != nil {
		t.Fatal(err)
	}
	h := must(app.OpenWrite(path("f")))
	if err := errors.Join(h.Append([]byte(" two")), app.WriteFile(path("new"), nil), app.Mkdir(path("d"), 0o755)); err != nil {
		t.Fatal(err)
	}
	m.PowerCut()
	if err := h.Append(nil); err == nil {
		t.Error("an application's handle outlived the power cut")
	}
	if got := fmt.Sprint(must(m.ReadDir(farm.Path{}))); got != "[{f file} {g file}]" {
		t.Errorf("left: %s", got)
	}
	if got := read(t, m, "g"); got != "one" {
		t.Errorf("got %q", got)
	}
	a, b := must(m.Lstat(path("f"))), must(m.Lstat(path("g")))
	if a.Ino != b.Ino || a.Links != 2 {
		t.Errorf("hard links came apart: %+v %+v", a, b)
	}
}

func TestMemNotRoot(t *testing.T) {
	m := vfs.NewMem(vfs.MemConfig{UID: 33, Users: map[string]uint32{"www-data": 33}})
	if err := errors.Join(m.Prepare("site"), m.Mkdir(path("d"), 0o555)); err != nil {
		t.Fatal(err)
	}
	if err := m.Mkdir(path("d/x"), 0o755); farm.KindOf(err) != farm.Denied {
		t.Errorf("made in a read-only directory: %v", err)
	}
	if err := m.SetAttr(path("d"), vfs.SetAttr{Owner: &farm.Owner{UID: 1}}); err != nil {
		t.Errorf("chown without the right to must be left: %v", err)
	}
	if o := must(m.Lstat(path("d"))).Owner; o.User != "www-data" || o.UID != 33 {
		t.Errorf("owner %+v", o)
	}
}

func TestMemFull(t *testing.T) {
	m := vfs.NewMem(vfs.MemConfig{Bytes: 10})
	if err := m.Prepare("site"); err != nil {
		t.Fatal(err)
	}
	if _, err := must(m.Temp()).Write(make([]byte, 11)); farm.KindOf(err) != farm.Full {
		t.Errorf("got %v", err)
	}
}

func TestMemTimeGrows(t *testing.T) {
	now := time.Unix(1000, 0)
	m := vfs.NewMem(vfs.MemConfig{Now: func() time.Time { return now }})
	app := m.App()
	last := int64(0)
	for range 3 {
		if err := app.WriteFile(path("f"), nil); err != nil {
			t.Fatal(err)
		}
		st := must(m.Lstat(path("f")))
		if st.CTime <= last || !st.Racy {
			t.Errorf("ctime %d after %d, racy %v", st.CTime, last, st.Racy)
		}
		last = st.CTime
	}
	now = now.Add(time.Second)
	if must(m.Lstat(path("f"))).Racy {
		t.Error("racy after a second")
	}
}

func TestFault(t *testing.T) {
	m := vfs.NewMem(vfs.MemConfig{})
	var ops []string
	full := &farm.Error{Op: "write", Kind: farm.Full}
	fs := vfs.Fault(m, func(op vfs.Op) error {
		ops = append(ops, fmt.Sprint(op.N, " ", op.Name))
		if op.Name == "temp.write" {
			return full
		}
		return nil
	})
	if err := fs.Prepare("site"); err != nil {
		t.Fatal(err)
	}
	if _, err := must(fs.Temp()).Write([]byte("x")); err != full {
		t.Errorf("got %v", err)
	}
	if got := strings.Join(ops, ", "); got != "1 prepare, 2 temp, 3 temp.write" {
		t.Errorf("got %s", got)
	}
}

func TestTrace(t *testing.T) {
	m := vfs.NewMem(vfs.MemConfig{})
	var out strings.Builder
	fs := vfs.Trace(m, &out)
	mode := uint32(0o644)
	_ = fs.Prepare("site")
	tmp := must(fs.Temp())
	_, _ = tmp.Write([]byte("abc"))
	_ = tmp.SetAttr(vfs.SetAttr{Mode: &mode, Owner: &farm.Owner{UID: 33, GID: 33}})
	_ = tmp.Link(path("a\nb"))
	_ = fs.Exchange(path("a\nb"), path("c"))
	want := `prepare site
temp
temp.write 3
temp.setattr owner=33:33 mode=0644
temp.link "a\nb"
exchange "a\nb" c: not found
`
	if out.String() != want {
		t.Errorf("got:\n%s", out.String())
	}
}
