package scan

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// Limits and times.
const (
	QuietTime     = 150 * time.Millisecond // without a change, until a file that is open for writing may be published
	RacyReadBytes = 1 << 20                // up to which a file is read again because its fingerprint may hide a write
	readBytes     = 256 << 10              // at a time
	maxReads      = 4                      // attempts at a stable read in one Examine
)

// Config of a Scanner. Only Filter is needed in production.
type Config struct {
	Filter   *Filter          // nil: all is replicated
	Now      func() time.Time // nil: time.Now
	Progress func(Progress)   // called by Walk after each directory; may be nil
	Log      *slog.Logger     // nil: none
	Recipes  Recipes          // nil: none are made
}

// Progress is how far a walk has come.
type Progress struct {
	Dirs     int // listed
	Entries  int // looked at
	Reported int // of them and of what is missing
}

// Scanner looks at one folder.
type Scanner struct {
	fs       vfs.FS
	filter   atomic.Pointer[Filter]
	now      func() time.Time
	progress func(Progress)
	log      *slog.Logger
	recipes  Recipes
	buffers  sync.Pool // of *[readBytes]byte

	counting sync.Mutex
	seen     *census // as of the last whole walk, and kept up by looks since; nil: there was none yet
	next     *census // of the whole walk that is under way; nil: there is none
}

// New returns a Scanner of the folder fs.
func New(fs vfs.FS, cfg Config) *Scanner {
	s := &Scanner{fs: fs, now: cfg.Now, progress: cfg.Progress, log: cfg.Log, recipes: cfg.Recipes}
	if s.now == nil {
		s.now = time.Now
	}
	if s.progress == nil {
		s.progress = func(Progress) {}
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.buffers.New = func() any { return new([readBytes]byte) }
	s.filter.Store(cfg.Filter)
	return s
}

// SetFilter decides about all looks that begin from now on.
func (s *Scanner) SetFilter(f *Filter) { s.filter.Store(f) }

// Excluded tells whether nothing at p is replicated: because the filter says so, or because it is private.
func (s *Scanner) Excluded(p farm.Path) bool { return s.filter.Load().Excluded(p) }
