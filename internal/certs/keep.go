package certs

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"os"
	"path/filepath"
)

// What was good is kept outside of the store, too, so that a bad file does not take its place by way of a restart.

// kept is the copy of the last good certificate of the files; empty: none is kept. Those that package acme writes need none.
func (f *file) kept() string {
	if f.dir.store.cfg.Keep == "" || f.dir.Origin == ACME {
		return ""
	}
	sum := sha256.Sum256([]byte(f.paths[0]))
	return filepath.Join(f.dir.store.cfg.Keep, hex.EncodeToString(sum[:8])+".pem")
}

// keep writes the copy. That it can't is no fault of the certificate: it is served all the same.
func (f *file) keep(c *tls.Certificate) {
	path := f.kept()
	content, err := Encode(c)
	if path == "" || err != nil {
		return
	}
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return
	}
	_ = Write(filepath.Dir(path), path, content)
}

// recall is the copy; nil: there is none.
func (f *file) recall() *tls.Certificate {
	path := f.kept()
	if path == "" {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	cert, err := Parse("", content)
	if err != nil {
		return nil
	}
	return cert
}

// sweep removes the copies of files that are gone. It does nothing while a directory can't be listed.
func (s *Store) sweep() {
	known := map[string]bool{}
	for _, d := range s.dirs {
		d.mu.Lock()
		listed, files := !d.changed.IsZero(), d.files
		d.mu.Unlock()
		if d.Origin != ACME && !listed {
			return
		}
		for _, f := range files {
			known[filepath.Base(f.kept())] = true
		}
	}
	entries, err := os.ReadDir(s.cfg.Keep)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !known[e.Name()] {
			_ = os.Remove(filepath.Join(s.cfg.Keep, e.Name())) // the next survey tries again
		}
	}
}
