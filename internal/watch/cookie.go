package watch

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"

	"tandem/internal/farm"
)

// barrierDir is where cookies live.
const barrierDir = farm.PrivateDir + "/barrier"

// cookie is a file of ours that is renamed for each barrier: the new name, which holds the barrier's id, comes back as
// a notification. Renaming makes and frees no inode, which on a busy file system is what makes creating a file slow.
type cookie struct {
	root   *os.Root
	prefix string       // of all names of this cookie; random, so that nobody else's file is mistaken for it
	made   func() error // called when the directory has been opened, before a name appears in it; may be nil

	mu   sync.Mutex
	dir  *os.Root // barrierDir
	name string   // at present; "": there is no file
}

func newCookie(root *os.Root, made func() error) *cookie {
	var nonce [8]byte
	rand.Read(nonce[:])
	return &cookie{root: root, prefix: "cookie-" + hex.EncodeToString(nonce[:]) + "-", made: made}
}

// id returns the barrier that a name in barrierDir stands for.
func (c *cookie) id(name []byte) (uint64, bool) {
	digits, ok := strings.CutPrefix(string(name), c.prefix)
	if !ok {
		return 0, false
	}
	id, err := strconv.ParseUint(digits, 10, 64)
	return id, err == nil
}

// move renames the cookie to the name for id. Directory and file are made again if somebody has removed them.
func (c *cookie) move(id uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	to := c.prefix + strconv.FormatUint(id, 10)
	if c.name != "" {
		err := c.dir.Rename(c.name, to)
		if err == nil {
			c.name = to
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := c.remake(); err != nil {
		return err
	}
	if err := c.dir.Rename(c.name, to); err != nil {
		return err
	}
	c.name = to
	return nil
}

// remake opens the directory anew and puts a cookie into it. The caller holds mu.
func (c *cookie) remake() error {
	c.forget()
	for _, d := range []string{farm.PrivateDir, barrierDir} {
		if err := c.root.Mkdir(d, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	dir, err := c.root.OpenRoot(barrierDir)
	if err != nil {
		return err
	}
	c.dir = dir
	c.sweep()
	if c.made != nil {
		if err := c.made(); err != nil {
			return err
		}
	}
	name := c.prefix + "new"
	f, err := dir.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	c.name = name
	return f.Close()
}

// sweep removes the cookies of processes that were killed. One process at a time has a folder, and one Watcher of it
// at a time is the rule; should there be two, the other makes its cookie again.
func (c *cookie) sweep() {
	d, err := c.dir.Open(".")
	if err != nil {
		return
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	for _, n := range names {
		if strings.HasPrefix(n, "cookie-") {
			c.dir.Remove(n)
		}
	}
}

// forget removes the file and closes the directory. The caller holds mu.
func (c *cookie) forget() {
	if c.dir == nil {
		return
	}
	if c.name != "" {
		c.dir.Remove(c.name)
		c.name = ""
	}
	c.dir.Close()
	c.dir = nil
}

func (c *cookie) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget()
}
