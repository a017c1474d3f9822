package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"tandem/internal/farm"
)

var basePattern = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_.-]{0,250}[a-z0-9])?$`)

// FileName is the name of the PEM file for a host name: that of *.example.com is _.example.com.pem. Error Invalid if the
// name can't be one of a host.
func FileName(host string) (string, error) {
	base := normal(host)
	if parent, ok := strings.CutPrefix(base, "*."); ok {
		base = "_." + parent
	}
	if !basePattern.MatchString(base) || strings.Contains(base, "..") {
		return "", farm.Errorf("name certificate", host, farm.Invalid, "it is no host name")
	}
	return base + ".pem", nil
}

// Unwise says why a new certificate should not take the place of the file at path: it is not valid now, or ends before that
// one does. nil: it may.
func (s *Store) Unwise(leaf *x509.Certificate, path string) error {
	now := s.cfg.Now()
	if err := validity(leaf, now); err != nil {
		return err
	}
	for _, i := range s.Survey() {
		if i.Path == path && len(i.Faults) == 0 && i.NotAfter.After(leaf.NotAfter) {
			return fmt.Errorf("it ends on %s, before the one that is there, on %s",
				leaf.NotAfter.UTC().Format(time.DateOnly), i.NotAfter.UTC().Format(time.DateOnly))
		}
	}
	return nil
}

// Save writes a certificate as one PEM file with key and chain, and returns whether that replaced one.
func Save(stage, path string, c *tls.Certificate) (replaced bool, err error) {
	content, err := Encode(c)
	if err != nil {
		return false, &farm.Error{Op: "encode certificate", Path: filepath.Base(path), Kind: farm.Invalid, Err: err}
	}
	_, err = os.Lstat(path)
	return err == nil, Write(stage, path, content)
}

// Write puts a file of mode 0600 in its place in one step, by way of the directory stage on the same file system.
func Write(stage, path string, content []byte) error {
	fail := func(err error) error {
		return &farm.Error{Op: "write", Path: path, Kind: kindOf(err), Err: err}
	}
	for _, dir := range []string{stage, filepath.Dir(path)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fail(err)
		}
	}
	f, err := os.CreateTemp(stage, ".writing-*") // with mode 0600
	if err != nil {
		return fail(err)
	}
	defer os.Remove(f.Name()) // nothing is there after a rename
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

func kindOf(err error) farm.Kind {
	switch {
	case os.IsPermission(err):
		return farm.Denied
	case os.IsNotExist(err):
		return farm.NotFound
	}
	return farm.Other
}
