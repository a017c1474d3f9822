package certs

import (
	"cmp"
	"crypto/tls"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"tandem/internal/farm"
)

// lookTime is how long the store trusts what it knows of a file or of a directory.
const lookTime = time.Second

// Origin says whose a directory is.
type Origin string

// Origins.
const (
	Local  Origin = "local"  // of this member alone
	Shared Origin = "shared" // the farm's, filled by admins
	ACME   Origin = "acme"   // the farm's, filled by package acme
)

// Dir is a directory of certificates.
type Dir struct {
	Origin Origin
	Path   string
}

// Config is what a Store needs.
type Config struct {
	Dirs     []Dir                  // one that comes earlier wins
	Keep     string                 // directory for copies of what was good, of this member alone; empty: none are made
	Password func() (string, error) // of PKCS #12 files that have none beside them; nil: none
	// Fallback gives the certificate for names that the store has none for: the farm's own.
	Fallback func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Sink     farm.Sink
	Now      func() time.Time
}

// Store finds certificates by host name: the file of the name, then one that has the name among its own, then the same
// for the wildcard.
type Store struct {
	cfg  Config
	dirs []*directory
}

// directory is what is known of a Dir.
type directory struct {
	Dir
	store *Store

	mu      sync.Mutex
	looked  time.Time // at the directory
	changed time.Time // its modification time then
	files   []*file   // by name
	stale   bool      // names may be other ones now

	reading sync.Mutex         // all files at once; taken before mu
	names   map[string][]*file // by the names in certificates ("*.example.com" too); replaced, never changed
}

// NewStore returns a store that has not looked at anything yet.
func NewStore(cfg Config) *Store {
	if cfg.Password == nil {
		cfg.Password = func() (string, error) { return "", nil }
	}
	s := &Store{cfg: cfg}
	for _, d := range cfg.Dirs {
		s.dirs = append(s.dirs, &directory{Dir: d, store: s, stale: true})
	}
	return s
}

// Changed says that a file in a directory may have changed: the next handshake looks, however short ago the last look was.
func (s *Store) Changed() {
	for _, d := range s.dirs {
		d.mu.Lock()
		d.looked, d.changed, d.stale = time.Time{}, time.Time{}, true
		for _, f := range d.files {
			f.suspect()
		}
		d.mu.Unlock()
	}
}

// GetCertificate is for tls.Config.
func (s *Store) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cert := s.Find(hello.ServerName); cert != nil {
		return cert, nil
	}
	if s.cfg.Fallback == nil {
		return nil, farm.Errorf("find certificate", hello.ServerName, farm.NotFound, "the certificate store has none for this name")
	}
	return s.cfg.Fallback(hello)
}

// Find is the certificate that is served for the host; nil: the store has none.
func (s *Store) Find(host string) *tls.Certificate {
	if c, ok := s.choose(host); ok {
		return c.cert
	}
	return nil
}

// Holds tells whether the host has a valid certificate of that origin.
func (s *Store) Holds(host string, origin Origin) bool {
	for c := range s.choices(host) {
		if c.valid && c.file.dir.Origin == origin {
			return true
		}
	}
	return false
}

// choice is a file that has a certificate for a host.
type choice struct {
	file  *file
	name  string // in the certificate: the host, or its wildcard
	named bool   // the file has the name of the host
	cert  *tls.Certificate
	valid bool // now
}

// choose is the first choice that is valid; if none is, the first at all: a visitor who knows better may still take it.
func (s *Store) choose(host string) (choice, bool) {
	var last choice
	for c := range s.choices(host) {
		if c.valid {
			return c, true
		}
		if last.cert == nil {
			last = c
		}
	}
	return last, last.cert != nil
}

// choices yields the certificates for the host, the best first, valid or not.
func (s *Store) choices(host string) func(func(choice) bool) {
	return func(yield func(choice) bool) {
		host = normal(host)
		if host == "" {
			return
		}
		now := s.cfg.Now()
		_, parent, _ := strings.Cut(host, ".")
		for _, d := range s.dirs {
			for _, name := range []string{host, "*." + parent} {
				if !d.choices(host, name, now, yield) {
					return
				}
			}
		}
	}
}

// choices yields the directory's certificates for the host by one of its names: files that are called so come first, then
// those that are valid longest.
func (d *directory) choices(host, name string, now time.Time, yield func(choice) bool) (more bool) {
	base := strings.Replace(name, "*", "_", 1)
	named := d.called(base, now)
	for i, files := range [][]*file{named, nil} {
		if i == 1 {
			files = d.naming(name, now)
		}
		var found []choice
		for _, f := range files {
			cert := f.load(now)
			if cert == nil || i == 1 && slices.Contains(named, f) {
				continue
			}
			if err := cert.Leaf.VerifyHostname(host); err != nil {
				if i == 0 {
					f.tell("the certificate is not for " + name)
				}
				continue
			}
			found = append(found, choice{f, name, i == 0, cert, validity(cert.Leaf, now) == nil})
		}
		slices.SortStableFunc(found, func(a, b choice) int { return b.cert.Leaf.NotAfter.Compare(a.cert.Leaf.NotAfter) })
		for _, c := range found {
			if !yield(c) {
				return false
			}
		}
	}
	return true
}

// called are the files of that base name.
func (d *directory) called(base string, now time.Time) []*file {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list(now)
	var files []*file
	for i, _ := slices.BinarySearchFunc(d.files, base, func(f *file, b string) int { return cmp.Compare(f.base, b) }); i < len(d.files) && d.files[i].base == base; i++ {
		files = append(files, d.files[i])
	}
	return files
}

// naming are the files whose certificates have the name. If something has changed they are all looked at first.
func (d *directory) naming(name string, now time.Time) []*file {
	d.mu.Lock()
	d.list(now)
	names, stale := d.names, d.stale
	d.mu.Unlock()
	if stale {
		names = d.readAll(now)
	}
	return names[name]
}

// readAll looks at all files and makes the index of names.
func (d *directory) readAll(now time.Time) map[string][]*file {
	d.reading.Lock()
	defer d.reading.Unlock()
	d.mu.Lock()
	d.list(now)
	files, names, stale := d.files, d.names, d.stale
	d.stale = false
	d.mu.Unlock()
	if !stale {
		return names // another call was faster
	}
	names = map[string][]*file{}
	for _, f := range files {
		if cert := f.load(now); cert != nil {
			for _, name := range cert.Leaf.DNSNames {
				names[strings.ToLower(name)] = append(names[strings.ToLower(name)], f)
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names = names
	return names
}

// list looks which files there are. Only names found here are ever opened, whatever a visitor asks for. The lock is held.
func (d *directory) list(now time.Time) {
	if now.Sub(d.looked) < lookTime && !d.looked.After(now) {
		return
	}
	d.looked = now
	info, err := os.Stat(d.Path)
	if err != nil || info.ModTime().Equal(d.changed) {
		return
	}
	entries, err := os.ReadDir(d.Path)
	if err != nil {
		return
	}
	old := map[string]*file{}
	for _, f := range d.files {
		old[f.paths[0]] = f
	}
	d.changed, d.stale, d.files = info.ModTime(), true, nil
	for _, e := range entries {
		f := newFile(d, e.Name())
		if f == nil || e.IsDir() {
			continue
		}
		if o := old[f.paths[0]]; o != nil {
			f = o
			f.suspect()
		}
		d.files = append(d.files, f)
	}
	slices.SortStableFunc(d.files, func(a, b *file) int { return cmp.Compare(a.base, b.base) })
}

// newFile is the certificate that the entry of a directory is, or nil if it is something else.
func newFile(d *directory, name string) *file {
	ext := filepath.Ext(name)
	base := strings.TrimSuffix(name, ext)
	if base == "" || strings.HasPrefix(base, ".") {
		return nil
	}
	f := &file{dir: d, name: name, base: strings.ToLower(base), paths: []string{filepath.Join(d.Path, name)}}
	switch strings.ToLower(ext) {
	case ".pem":
	case ".crt", ".cer":
		f.paths = append(f.paths, filepath.Join(d.Path, base+".key"))
	case ".pfx", ".p12":
		f.secret = f.paths[0] + ".pass"
	default:
		return nil
	}
	if d.Origin == ACME {
		f.name = string(ACME) + "/" + name
	} else if d.Origin == Local {
		f.name = f.paths[0]
	}
	return f
}

// normal is a host name in lower case without port and dot at its end.
func normal(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }
