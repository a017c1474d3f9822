package web

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
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

// certLookTime is how long the store trusts what it knows of a file or of its directory.
const certLookTime = time.Second

// maxCertBytes bounds a file of the store.
const maxCertBytes = 1 << 20

// CertConfig is what a CertStore needs.
type CertConfig struct {
	Dir string // host.pem (key and chain), or host.crt and host.key; _.example.com.* is *.example.com
	// Fallback gives the certificate for names that the store has none for: the farm's own.
	Fallback func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Sink     farm.Sink
	Now      func() time.Time
}

// CertStore finds certificates by host name in a directory that others write: the file of the name, then one that has
// the name among its own, then the same for the wildcard. Files are read when they are asked for, and again when they
// change; one that is bad never replaces one that was good.
type CertStore struct {
	cfg CertConfig

	mu     sync.Mutex
	looked time.Time // at the directory
	dir    time.Time // its modification time then
	files  map[string]*certFile
	names  map[string]string // from a name in a certificate ("*.example.com" too) to its file; nil: to be made
}

// certFile is a certificate by its file name without extension.
type certFile struct {
	paths  [2]string // certificate, key
	looked time.Time // at the files
	stamp  certStamp
	leaf   *x509.Certificate // of the file as it is; nil: unreadable
	named  certStamp         // that leaf is of
	cert   *tls.Certificate  // the last good one; nil: none yet
	told   []string          // what was said to be wrong with the file as it is
}

// certStamp changes whenever one of the two files does.
type certStamp struct {
	times [2]time.Time
	sizes [2]int64
}

// NewCertStore returns a store that has not looked at anything yet.
func NewCertStore(cfg CertConfig) *CertStore {
	return &CertStore{cfg: cfg, files: map[string]*certFile{}}
}

// Changed says that a file in the directory may have changed: the next handshake looks, however short ago the last
// look was.
func (s *CertStore) Changed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked, s.dir, s.names = time.Time{}, time.Time{}, nil
	for _, f := range s.files {
		f.looked = time.Time{}
	}
}

// GetCertificate is for tls.Config.
func (s *CertStore) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cert := s.find(normalHost(hello.ServerName)); cert != nil {
		return cert, nil
	}
	if s.cfg.Fallback == nil {
		return nil, farm.Errorf("find certificate", hello.ServerName, farm.NotFound, "the certificate store has none for this name")
	}
	return s.cfg.Fallback(hello)
}

func (s *CertStore) find(host string) *tls.Certificate {
	if host == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	s.list(now)
	_, parent, _ := strings.Cut(host, ".")
	for _, try := range []struct{ file, name string }{{host, host}, {"_." + parent, "*." + parent}} {
		if cert := s.load(try.file, host, now); cert != nil {
			return cert
		}
		if file, ok := s.namesOf(now)[try.name]; ok {
			if cert := s.load(file, host, now); cert != nil {
				return cert
			}
		}
	}
	return nil
}

// list looks which files there are. Only names found here are ever opened, whatever a visitor asks for.
func (s *CertStore) list(now time.Time) {
	if now.Sub(s.looked) < certLookTime && !s.looked.After(now) {
		return
	}
	s.looked = now
	info, err := os.Stat(s.cfg.Dir)
	if err != nil || info.ModTime().Equal(s.dir) {
		return
	}
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return
	}
	s.dir, s.names = info.ModTime(), nil
	there := map[string]*certFile{}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		base := strings.TrimSuffix(e.Name(), ext)
		if e.IsDir() || base == "" || ext != ".pem" && ext != ".crt" {
			continue
		}
		paths := [2]string{filepath.Join(s.cfg.Dir, e.Name()), filepath.Join(s.cfg.Dir, e.Name())}
		if ext == ".crt" {
			paths[1] = filepath.Join(s.cfg.Dir, base+".key")
		}
		if there[strings.ToLower(base)] != nil && ext == ".crt" {
			continue // host.pem comes before host.crt
		}
		f := s.files[strings.ToLower(base)]
		if f == nil || f.paths != paths {
			f = &certFile{paths: paths}
		}
		f.looked = time.Time{}
		there[strings.ToLower(base)] = f
	}
	s.files = there
}

// load returns the certificate of a file if it is good for the host.
func (s *CertStore) load(file, host string, now time.Time) *tls.Certificate {
	f := s.files[file]
	if f == nil {
		return nil
	}
	if now.Sub(f.looked) >= certLookTime || f.looked.After(now) {
		f.looked = now
		if stamp, err := stampOf(f.paths); err != nil || stamp != f.stamp || f.cert == nil && f.told == nil {
			f.stamp = stamp
			cert, err := readPair(f.paths)
			if err == nil {
				f.cert = cert
			}
			s.tell(file, f, err)
		}
	}
	if f.cert == nil {
		return nil
	}
	if err := f.cert.Leaf.VerifyHostname(host); err != nil {
		if host == file {
			s.tell(file, f, fmt.Errorf("the certificate is not for %s", host))
		}
		return nil
	}
	if now.After(f.cert.Leaf.NotAfter) {
		s.tell(file, f, fmt.Errorf("the certificate has expired on %s", f.cert.Leaf.NotAfter.Format(time.DateOnly)))
	}
	return f.cert
}

// tell raises an event for each thing that is wrong with a file, once, and one when all is well again.
func (s *CertStore) tell(file string, f *certFile, err error) {
	e := farm.Event{ID: farm.EventCertRefused, Subject: filepath.Base(f.paths[0]), Folder: farm.FolderCerts}
	if err == nil {
		if f.told == nil {
			return
		}
		f.told = nil
		e.Severity, e.Message = farm.Healed, "the certificate for "+file+" is in use"
	} else {
		if slices.Contains(f.told, err.Error()) {
			return
		}
		f.told = append(f.told, err.Error())
		e.Severity, e.Message = farm.Warning, err.Error()
		e.Next = "replace the file; until then the last good certificate is used, or the farm's own"
	}
	s.cfg.Sink(e)
}

// namesOf is the index of names in certificates. It is made of all files, when a name has no file of its own.
func (s *CertStore) namesOf(now time.Time) map[string]string {
	if s.names != nil {
		return s.names
	}
	s.names = map[string]string{}
	for file, f := range s.files {
		stamp, err := stampOf(f.paths)
		if err == nil && stamp != f.named {
			f.named, f.leaf = stamp, readLeaf(f.paths[0])
		}
		if f.leaf == nil {
			continue
		}
		for _, name := range f.leaf.DNSNames {
			name = strings.ToLower(name)
			// Of several, the one that is valid longest; of those, the one whose file comes first.
			if other := s.files[s.names[name]]; other != nil {
				if d := other.leaf.NotAfter.Compare(f.leaf.NotAfter); d > 0 || d == 0 && s.names[name] < file {
					continue
				}
			}
			s.names[name] = file
		}
	}
	return s.names
}

func stampOf(paths [2]string) (certStamp, error) {
	var st certStamp
	for i, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return certStamp{}, err
		}
		st.times[i], st.sizes[i] = info.ModTime(), info.Size()
	}
	return st, nil
}

func readPair(paths [2]string) (*tls.Certificate, error) {
	chain, err := readBounded(paths[0])
	if err != nil {
		return nil, err
	}
	key, err := readBounded(paths[1])
	if err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "tls: "))
	}
	return &cert, nil
}

func readLeaf(path string) *x509.Certificate {
	rest, err := readBounded(path)
	for err == nil {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			leaf, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil
			}
			return leaf
		}
	}
	return nil
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxCertBytes {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", filepath.Base(path), maxCertBytes)
	}
	return os.ReadFile(path)
}
