package edge

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/DeRuina/timberjack"

	"tandem/internal/farm"
)

const (
	// logBufferBytes is how much of the access log waits for the disk at most; lines beyond it are left out.
	logBufferBytes = 4 << 20
	// logPause is how long lines are gathered before they are written.
	logPause = 100 * time.Millisecond
)

// LogFile says where an access log goes.
type LogFile struct {
	Path   string // empty: nowhere
	Format string // "combined", "json" or "w3c"
	Size   int64  // bytes at which a new file is begun
	Age    time.Duration
	Keep   int // old files, compressed
}

// AccessLog writes a line about each request, and never has a visitor wait for a disk.
type AccessLog struct {
	sink farm.Sink

	on   atomic.Bool // there is a file
	mu   sync.Mutex
	file LogFile
	add  func(b []byte, a *Access) []byte
	next []byte // gathered
	lost int    // lines since the last write
	poke chan struct{}

	out  io.WriteCloser // of Run
	open LogFile        // what out is
	bad  bool           // the last write failed or lines were lost
}

// NewAccessLog returns a log without a file. Nothing is written before Run.
func NewAccessLog(sink farm.Sink) *AccessLog {
	return &AccessLog{sink: sink, poke: make(chan struct{}, 1)}
}

// Set changes where the lines to come go.
func (l *AccessLog) Set(f LogFile) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f == l.file {
		return
	}
	l.file = f
	l.add = formats[f.Format]
	l.on.Store(f.Path != "" && l.add != nil)
	select {
	case l.poke <- struct{}{}:
	default:
	}
}

// On tells whether lines are written at all.
func (l *AccessLog) On() bool { return l.on.Load() }

// Write adds a line about a request that is over.
func (l *AccessLog) Write(a Access) {
	if !l.on.Load() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.add == nil {
		return
	}
	if len(l.next) >= logBufferBytes {
		l.lost++
		return
	}
	if len(l.next) == 0 {
		select {
		case l.poke <- struct{}{}:
		default:
		}
	}
	l.next = l.add(l.next, &a)
}

// Run writes until ctx ends, and then what is left.
func (l *AccessLog) Run(ctx context.Context) error {
	var spare []byte
	for {
		select {
		case <-ctx.Done():
			l.flush(spare)
			l.close()
			return nil
		case <-l.poke:
		}
		timer := time.NewTimer(logPause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		spare = l.flush(spare)
	}
}

// flush writes what was gathered, and returns a buffer for the next time.
func (l *AccessLog) flush(spare []byte) []byte {
	l.mu.Lock()
	lines, lost, file := l.next, l.lost, l.file
	l.next, l.lost = spare[:0], 0
	l.mu.Unlock()
	var err error
	if file != l.open {
		l.close()
		err = l.begin(file)
	}
	if err == nil && len(lines) > 0 && l.out != nil {
		_, err = l.out.Write(lines)
	}
	l.tell(file, lost, err)
	return lines
}

// begin opens a file.
func (l *AccessLog) begin(f LogFile) error {
	l.open = f
	if f.Path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return err
	}
	const mb = 1 << 20
	t := &timberjack.Logger{
		Filename: f.Path, MaxSize: max(1, int((f.Size+mb-1)/mb)), MaxBackups: f.Keep, RotationInterval: f.Age, LocalTime: true, Compression: "gzip", FileMode: 0o640,
	}
	l.out = t
	if f.Format == "w3c" {
		t.RotationInterval = 0
		l.out = &headed{Logger: t, file: f, begun: time.Now()}
	}
	if was := formatOf(f.Path); was == "" || was == f.Format {
		return nil
	}
	return t.Rotate() // no file has lines of two formats
}

// formatOf tells in which format a file has begun; empty if there is nothing in it.
func formatOf(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	var first [1]byte
	if _, err := f.Read(first[:]); err != nil {
		return ""
	}
	switch first[0] {
	case '{':
		return "json"
	case '#':
		return "w3c"
	}
	return "combined"
}

func (l *AccessLog) close() {
	if l.out != nil {
		_ = l.out.Close() // whom it would matter to is told by writes
		l.out = nil
	}
}

// tell raises an event when lines begin to be lost, and when none are any more.
func (l *AccessLog) tell(f LogFile, lost int, err error) {
	bad := lost > 0 || err != nil
	if bad == l.bad {
		return
	}
	l.bad = bad
	e := farm.Event{ID: farm.EventEdgeCrowded, Severity: farm.Healed, Subject: f.Path, Message: "the access log is whole again"}
	if bad {
		e.Severity, e.Fields = farm.Warning, map[string]string{"lost": strconv.Itoa(lost)}
		e.Message, e.Next = "the access log can't be written as fast as visitors come: lines are left out", "look at its disk"
		if err != nil {
			e.Message = "the access log can't be written: " + err.Error()
		}
	}
	l.sink(e)
}

// headed begins each file of a W3C log with its directives. So it has to decide itself when a file is begun.
type headed struct {
	*timberjack.Logger
	file  LogFile
	begun time.Time
}

// Write implements io.Writer.
func (h *headed) Write(p []byte) (int, error) {
	size := int64(0)
	if info, err := os.Stat(h.file.Path); err == nil {
		size = info.Size()
	}
	if size > 0 && (size+int64(len(p)) > h.file.Size || time.Since(h.begun) > h.file.Age) {
		if err := h.Rotate(); err != nil {
			return 0, err
		}
		size = 0
	}
	if size == 0 {
		h.begun = time.Now()
		if _, err := h.Logger.Write([]byte(w3cHead)); err != nil {
			return 0, err
		}
	}
	return h.Logger.Write(p)
}
