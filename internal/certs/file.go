package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"tandem/internal/farm"
)

// maxBytes bounds a file of the store.
const maxBytes = 1 << 20

// file is a certificate of a directory, with its key.
type file struct {
	dir    *directory
	name   string   // for people
	base   string   // without extension, in lower case
	paths  []string // certificate, and key if it lies elsewhere
	secret string   // where the password may stand

	mu       sync.Mutex
	looked   time.Time
	stamp    stamp            // of the files as they were read last
	err      error            // why they can't be used, apart from time
	fresh    *tls.Certificate // what is in them; nil: err says why
	cert     *tls.Certificate // what is served: fresh, or the last good one; nil: there never was one
	told     []string         // what was said to be wrong with the files as they are
	untimely bool             // one of that is that fresh is not valid now
}

// stamp changes whenever one of the files or the password does.
type stamp struct {
	times    [3]time.Time
	sizes    [3]int64
	password string
}

// suspect says that the files may have changed.
func (f *file) suspect() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looked = time.Time{}
}

// load is the certificate that the files stand for: the last good one of theirs. nil: there never was one. It reads the
// files if they have changed, which it looks for at most once a second, and tells what is wrong with them.
func (f *file) load(now time.Time) *tls.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.looked) >= lookTime || f.looked.After(now) {
		f.looked = now
		if st, err := f.stampNow(); err != nil || st != f.stamp {
			f.reread(st, err)
		}
	}
	if f.cert == nil && (f.fresh == nil || validity(f.fresh.Leaf, now) != nil) {
		f.cert = f.recall()
	}
	if f.fresh == nil {
		return f.cert
	}
	f.checkTime(now)
	if f.cert != f.fresh && (f.cert == nil || validity(f.fresh.Leaf, now) == nil || validity(f.cert.Leaf, now) != nil) {
		f.cert = f.fresh
		f.keep(f.cert)
	}
	return f.cert
}

// reread reads the files, unless it is known already why they can't be.
func (f *file) reread(st stamp, err error) {
	f.stamp = st
	f.fresh, f.err = f.read(st, err)
	if f.err != nil {
		f.told = slices.DeleteFunc(f.told, func(s string) bool { return s != f.err.Error() })
		f.say(f.err.Error())
		return
	}
	f.untimely = len(f.told) > 0 // or else wrong; if it is not, all is well again
}

// checkTime tells whether the certificate in the files is valid now. The lock is held.
func (f *file) checkTime(now time.Time) {
	if err := validity(f.fresh.Leaf, now); err != nil {
		f.untimely = true
		f.say(err.Error())
		return
	}
	if f.untimely {
		f.told, f.untimely = nil, false
		f.dir.store.cfg.Sink(farm.Event{ID: farm.EventCertRefused, Severity: farm.Healed, Subject: f.name, Folder: farm.FolderCerts,
			Message: "the certificate for " + f.base + " is in use"})
	}
}

// tell raises an event for what is wrong with a file, once.
func (f *file) tell(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.say(what)
}

func (f *file) say(what string) {
	if slices.Contains(f.told, what) {
		return
	}
	f.told = append(f.told, what)
	f.dir.store.cfg.Sink(farm.Event{ID: farm.EventCertRefused, Severity: farm.Warning, Subject: f.name, Folder: farm.FolderCerts,
		Message: what, Next: "replace the file; until then the last good certificate is used, or another one for the name, or the farm's own"})
}

// validity says why a certificate is not valid at the time.
func validity(c *x509.Certificate, now time.Time) error {
	switch {
	case now.After(c.NotAfter):
		return fmt.Errorf("the certificate has expired on %s", c.NotAfter.UTC().Format(time.DateOnly))
	case now.Before(c.NotBefore):
		return fmt.Errorf("the certificate is valid from %s only", c.NotBefore.UTC().Format("2006-01-02 15:04 MST"))
	}
	return nil
}

func (f *file) stampNow() (stamp, error) {
	var st stamp
	for i, p := range f.paths {
		info, err := os.Stat(p)
		if err != nil {
			return stamp{}, reading(p, err)
		}
		st.times[i], st.sizes[i] = info.ModTime(), info.Size()
	}
	if f.secret == "" {
		return st, nil
	}
	if info, err := os.Stat(f.secret); err == nil && info.Size() > 0 {
		st.times[2], st.sizes[2] = info.ModTime(), info.Size()
		return st, nil
	}
	var err error
	if st.password, err = f.dir.store.cfg.Password(); err != nil {
		return stamp{}, fmt.Errorf("its password is not known here: %w", err)
	}
	return st, nil
}

// read reads the files as they are, unless it is known already why they can't be.
func (f *file) read(st stamp, err error) (*tls.Certificate, error) {
	if err != nil {
		return nil, err
	}
	var contents [][]byte
	for _, p := range f.paths {
		b, err := readBounded(p)
		if err != nil {
			return nil, err
		}
		contents = append(contents, b)
	}
	password := st.password
	if st.sizes[2] > 0 {
		b, err := readBounded(f.secret)
		if err != nil {
			return nil, err
		}
		password = strings.TrimRight(string(b), "\r\n")
	}
	cert, err := Parse(password, contents...)
	if errors.Is(err, ErrPassword) {
		err = fmt.Errorf("%w: it is taken from %s, else from password in [certificates] of farm.toml", err, filepath.Base(f.secret))
	}
	return cert, err
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, reading(path, err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxBytes {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", filepath.Base(path), maxBytes)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, reading(path, err)
	}
	return b, nil
}

func reading(path string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("read %s: %w", filepath.Base(path), err)
}
