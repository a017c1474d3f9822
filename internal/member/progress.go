package member

import (
	"fmt"
	"sync"
	"time"

	"tandem/internal/control"
	"tandem/internal/farm"
	"tandem/internal/scan"
)

const (
	rateSamples   = 10 // one a second, from which the rate is taken
	progressEvery = 30 // samples between two events
)

// progressSample is how far the folder was at a moment.
type progressSample struct {
	at             time.Time
	entries, bytes int64
}

// meter measures how far a folder has come that is behind, or that is being scanned.
type meter struct {
	mu      sync.Mutex
	samples []progressSample
	taken   int // in this stretch of work
	last    *control.Progress
	scan    scan.Progress
}

// scanned is told by scans how far they are.
func (t *meter) scanned(p scan.Progress) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.scan = p
}

// now is the latest measurement; nil: nothing is under way.
func (t *meter) now() *control.Progress {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// rest says that nothing is under way.
func (t *meter) rest() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last, t.samples, t.taken = nil, nil, 0
}

// take adds a measurement, makes rate and estimate of the latest ones, and tells whether it is time for an event.
func (t *meter) take(at time.Time, p control.Progress) (tell bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last != nil && t.last.What != p.What {
		t.samples, t.taken = nil, 0
	}
	t.samples = append(t.samples, progressSample{at, p.Entries, p.Bytes})
	t.samples = t.samples[max(0, len(t.samples)-rateSamples):]
	first := t.samples[0]
	if d := at.Sub(first.at).Seconds(); d > 0 {
		p.EntriesRate = float64(max(0, p.Entries-first.entries)) / d
		p.BytesRate = float64(max(0, p.Bytes-first.bytes)) / d
		p.EstimateSec = estimate(p)
	}
	t.last = &p
	t.taken++
	return t.taken%progressEvery == 0
}

// estimate is the seconds that the rest takes at the present rate; nil: nothing tells.
func estimate(p control.Progress) *float64 {
	longest, known := 0.0, false
	for _, of := range []struct {
		left int64
		rate float64
	}{{p.EntriesTotal - p.Entries, p.EntriesRate}, {p.BytesTotal - p.Bytes, p.BytesRate}} {
		if of.left <= 0 {
			continue
		}
		if of.rate == 0 {
			return nil
		}
		longest, known = max(longest, float64(of.left)/of.rate), true
	}
	if !known {
		return nil
	}
	return &longest
}

// measure looks how far the folder is. Once a second.
func (f *folder) measure() {
	s, sum := f.runner.State()
	entries, bytes := f.index.Counts()
	p := control.Progress{Entries: entries, Bytes: bytes, EntriesTotal: entries, BytesTotal: bytes}
	for _, h := range f.m.holders(f.spec.id) {
		l := f.m.links.get(h)
		if theirs := l.state.Folders[f.spec.id]; h != f.m.self && l.up && !s.Applied.CoversAll(theirs.Applied) {
			p.What = "catching up"
			p.EntriesTotal, p.BytesTotal = max(p.EntriesTotal, theirs.Entries), max(p.BytesTotal, theirs.Bytes)
		}
	}
	switch {
	case sum.Seeding:
		p.What = "seeding"
	case !sum.Trusted:
		f.meter.mu.Lock()
		p.What, p.Entries, p.Bytes, p.BytesTotal = "scanning", int64(f.meter.scan.Entries), 0, 0
		f.meter.mu.Unlock()
	case p.What == "" && s.Waiting > 0:
		p.What = "catching up"
	}
	if p.What == "" {
		f.meter.rest()
		return
	}
	if p.What != "scanning" {
		p.EntriesTotal = max(p.EntriesTotal, p.Entries+s.Waiting)
	}
	if f.meter.take(time.Now(), p) {
		now := f.meter.now()
		f.m.sink(farm.Event{ID: farm.EventFolderProgress, Severity: farm.Info, Folder: f.spec.id, Subject: string(f.spec.id),
			Message: now.What + ": " + ofTotal(now.Entries, now.EntriesTotal) + " entries",
			Fields: map[string]string{"entries": fmt.Sprint(now.Entries), "entries_total": fmt.Sprint(now.EntriesTotal),
				"bytes": fmt.Sprint(now.Bytes), "bytes_total": fmt.Sprint(now.BytesTotal)}})
	}
}

func ofTotal(n, total int64) string {
	if total <= 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d of %d", n, total)
}
