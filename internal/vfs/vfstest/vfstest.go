// Package vfstest holds the contract of vfs.FS as one suite that the real tree and the one in memory both pass.
//
// # Owns
//
// The suite, and App, the port through which it plays an application.
//
// # Does not own
//
// Tests of what only one of the two can do: crashes, file systems without nameless files.
//
// # Invariants
//
// A case asks nothing that the comments on vfs.FS do not promise.
//
// # Concurrency
//
// None: cases run one after the other, each on a fresh tree.
package vfstest

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// App is an application beside Tandem: what it does is not confined and not careful.
type App interface {
	Write(p, data string) error
	OpenWrite(p string) (io.Closer, error) // and keeps it open
	Mkfifo(p string) error
}

// Run runs the suite. Each case calls fresh for an empty tree that is not prepared yet.
func Run(t *testing.T, fresh func(t *testing.T) (vfs.FS, App)) {
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			f, app := fresh(t)
			x := &tester{T: t, fs: f, app: app}
			x.ok(f.Prepare("site"))
			c.run(x)
		})
	}
}

type testCase struct {
	name string
	run  func(*tester)
}

func cases() []testCase {
	return []testCase{
		{"prepare", prepare},
		{"lstat tells types", types},
		{"readdir is sorted and leaves the private area out", readDir},
		{"an open directory is as its path", openDir},
		{"names of any bytes", names},
		{"a symbolic link as parent is refused by every operation", confined},
		{"a file as parent is not found", fileParent},
		{"a missing name is not found", missing},
		{"the root is not to be made, moved or removed", rootRefused},
		{"temp appears whole, with its attributes", tempWhole},
		{"temp vanishes", tempVanishes},
		{"temp link takes no taken name", tempTaken},
		{"temp copies and reads back", tempCopies},
		{"temp takes parts at any offset", tempParts},
		{"partials stay when they are closed", partials},
		{"modes are exact", modes},
		{"times in nanoseconds, also before 1970", mtimes},
		{"symlink has a time of its own", linkTime},
		{"setattr of one inode only", setAttrIno},
		{"extended attributes", xattrs},
		{"access lists and modes do not fight", acls},
		{"a symlink has no attributes of users", linkXAttrs},
		{"rename replaces nothing", renameNoReplace},
		{"exchange swaps any types", exchange},
		{"remove and rmdir", removes},
		{"an open file outlives its name", openOutlives},
		{"open takes regular files only", openRegular},
		{"writers are seen", writers},
		{"a change changes the fingerprint", fingerprints},
		{"log appends and resets", logs},
		{"sync, free, checkroot", misc},
	}
}

// tester has what the cases share. A failed check ends the case.
type tester struct {
	*testing.T
	fs  vfs.FS
	app App
}

func (x *tester) ok(err error) {
	x.Helper()
	if err != nil {
		x.Fatal(err)
	}
}

func (x *tester) kind(err error, want farm.Kind) {
	x.Helper()
	if err == nil || farm.KindOf(err) != want {
		x.Fatalf("got error %v of kind %v, want kind %v", err, farm.KindOf(err), want)
	}
	if want == farm.NotFound && !errors.Is(err, fs.ErrNotExist) || want == farm.Exists && !errors.Is(err, fs.ErrExist) {
		x.Fatalf("errors.Is does not find the io/fs error in %v", err)
	}
}

func (x *tester) lstat(p string) vfs.Stat {
	x.Helper()
	st, err := x.fs.Lstat(farm.MustPath(p))
	x.ok(err)
	return st
}

func (x *tester) gone(p string) {
	x.Helper()
	_, err := x.fs.Lstat(farm.MustPath(p))
	x.kind(err, farm.NotFound)
}

func (x *tester) read(p string) string {
	x.Helper()
	f, err := x.fs.Open(farm.MustPath(p))
	x.ok(err)
	defer f.Close()
	b, err := io.ReadAll(f)
	x.ok(err)
	return string(b)
}

func (x *tester) holds(p, want string) {
	x.Helper()
	if got := x.read(p); got != want {
		x.Fatalf("%s holds %q, want %q", p, got, want)
	}
}

func (x *tester) write(p, data string) {
	x.Helper()
	x.ok(x.app.Write(p, data))
}

func (x *tester) mkdir(p string) {
	x.Helper()
	x.ok(x.fs.Mkdir(farm.MustPath(p), 0o755))
}

func (x *tester) symlink(target, p string) {
	x.Helper()
	x.ok(x.fs.Symlink(target, farm.MustPath(p)))
}

func (x *tester) temp(data string) vfs.Temp {
	x.Helper()
	tmp, err := x.fs.Temp()
	x.ok(err)
	x.Cleanup(func() { tmp.Close() })
	_, err = io.Copy(tmp, strings.NewReader(data))
	x.ok(err)
	return tmp
}
