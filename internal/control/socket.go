package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"tandem/internal/farm"
)

// MaxSocketPathBytes is what fits in a socket address on every system.
const MaxSocketPathBytes = 103

// staleDialTimeout is how long a daemon that may still live gets to accept a connection.
const staleDialTimeout = time.Second

// socket is a unix socket that stands under its name only while somebody listens on it.
type socket struct {
	*net.UnixListener
	path string
	made fs.FileInfo
}

// listenSocket makes the socket with mode 0600, in place of one that a dead process left. Exists: a daemon answers there.
func listenSocket(ctx context.Context, path string) (*socket, error) {
	fail := func(kind farm.Kind, next string, err error) error {
		return &farm.Error{Op: "listen", Path: path, Kind: kind, Next: next, Err: err}
	}
	// The socket gets its mode under another name, so that nobody can connect to it before.
	hidden := path + "~"
	if len(hidden) > MaxSocketPathBytes {
		return nil, fail(farm.Invalid, "choose a shorter one with --socket",
			fmt.Errorf("the path of the socket is longer than the %d bytes that a socket address holds", MaxSocketPathBytes-1))
	}
	d := net.Dialer{Timeout: staleDialTimeout}
	if c, err := d.DialContext(ctx, "unix", path); err == nil {
		return nil, errors.Join(fail(farm.Exists, "stop it first, or use another --socket", errors.New("another daemon answers there")), c.Close())
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fail(farm.Denied, "", err)
	}
	if err := os.Remove(hidden); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fail(farm.Denied, "", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		return nil, fail(farm.Denied, "", err)
	}
	l.SetUnlinkOnClose(false)
	s := &socket{UnixListener: l, path: path}
	if err = os.Chmod(hidden, 0o600); err == nil {
		err = os.Rename(hidden, path)
	}
	if err == nil {
		s.made, err = os.Lstat(path)
	}
	if err != nil {
		return nil, fail(farm.Denied, "", errors.Join(err, l.Close()))
	}
	return s, nil
}

// Close removes the name too, unless somebody else has taken it meanwhile.
func (s *socket) Close() error {
	if st, err := os.Lstat(s.path); err == nil && os.SameFile(st, s.made) {
		if err := os.Remove(s.path); err != nil {
			return errors.Join(err, s.UnixListener.Close())
		}
	}
	return s.UnixListener.Close()
}
