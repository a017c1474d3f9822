package control

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"tandem/internal/farm"
)

// Limits of a journal.
const (
	KeepEvents      = 4096     // in memory: what a follower may lag behind
	MaxJournalBytes = 16 << 20 // of each of the two files
	MaxPageEvents   = 10_000
	defaultPage     = 100
	maxBatchEvents  = 256 // written or sent at once
)

// Recorded is an event with its place in a member's journal.
type Recorded struct {
	Seq uint64 `json:"seq"`
	farm.Event
}

// Query selects events. The zero value selects the latest 100.
type Query struct {
	After  uint64        // only events with a greater sequence number; then the first ones, otherwise the latest ones
	Since  time.Time     // only events of this time or later
	Folder farm.FolderID // only events about this folder
	ID     string        // only events with this id, or with ids that begin with it and a dot: "file", "config.refused"
	Limit  int           // at most so many; 0: 100
}

func (q Query) limit() int {
	if q.Limit <= 0 {
		return defaultPage
	}
	return min(q.Limit, MaxPageEvents)
}

func (q Query) matches(e *Recorded) bool {
	return e.Seq > q.After && !e.Time.Before(q.Since) && (q.Folder == "" || e.Folder == q.Folder) && idMatches(string(e.ID), q.ID)
}

func idMatches(id, want string) bool {
	rest, ok := strings.CutPrefix(id, want)
	return ok && (want == "" || rest == "" || rest[0] == '.')
}

// Page is a piece of the journal, oldest event first (GET /v1/events).
type Page struct {
	Events []Recorded `json:"events"`
	Next   uint64     `json:"next"` // to be passed as after for what follows
}

// JournalOptions are what a journal needs.
type JournalOptions struct {
	Path   string        // of the newer file, which ends in ".jsonl"; the older one has ".1" before that
	Member farm.MemberID // put into every event
	Log    *slog.Logger
	Now    func() time.Time // nil: time.Now
	// MaxBytes of each file; 0: MaxJournalBytes.
	MaxBytes int64
}

// Journal takes every event of a member: it keeps the latest in memory, writes all to a file of bounded size, serves
// them to readers and followers, and knows which faults are open.
//
// What was written survives the end of the process, not a power cut: nothing is synced.
type Journal struct {
	opt  JournalOptions
	file *journalFile

	mu     sync.Mutex
	ring   *ring
	seq    uint64 // of the latest event
	wake   chan struct{}
	faults *faultView
	counts map[Count]uint64

	written uint64 // place in the ring up to which the file has it; owned by Run
}

// Count is what events are counted by.
type Count struct {
	ID       farm.EventID
	Severity farm.Severity
}

// OpenJournal reads what an earlier life left. It starts nothing: events are kept from now on, and written by Run.
func OpenJournal(o JournalOptions) (*Journal, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	j := &Journal{
		opt:    o,
		file:   newJournalFile(o.Path, cmp.Or(o.MaxBytes, MaxJournalBytes)),
		ring:   newRing(KeepEvents),
		wake:   make(chan struct{}),
		faults: newFaultView(),
		counts: map[Count]uint64{},
	}
	old, err := j.file.tail(KeepEvents)
	if err != nil {
		return nil, &farm.Error{Op: "open journal", Path: o.Path, Kind: farm.Other, Err: err}
	}
	for _, e := range old {
		j.ring.add(e)
		j.seq = e.Seq
	}
	if len(old) > 0 {
		// A killed process has perhaps shown events that it had not yet written. Their numbers must not come again.
		j.seq += KeepEvents
	}
	j.written = j.ring.next
	return j, nil
}

// Sink takes an event; it is a farm.Sink. It waits for no disk and no reader.
func (j *Journal) Sink(e farm.Event) {
	e.Member = j.opt.Member
	j.mu.Lock()
	defer j.mu.Unlock()
	e.Time = j.opt.Now() // under the lock, so that times are in the order of the sequence numbers
	j.seq++
	j.ring.add(Recorded{j.seq, e})
	j.faults.add(e)
	j.counts[Count{e.ID, e.Severity}]++
	close(j.wake)
	j.wake = make(chan struct{})
}

// Keep sets how many events are kept on disk, at least, as far as MaxBytes allows; twice as many before the older file
// goes. 0 is as many as fit.
func (j *Journal) Keep(events int) { j.file.keep.Store(int64(events)) }

// Faults are the open ones.
func (j *Journal) Faults() Faults {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.faults.view()
}

// Counts are the events since the journal was opened.
func (j *Journal) Counts() map[Count]uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	counts := make(map[Count]uint64, len(j.counts))
	for k, n := range j.counts {
		counts[k] = n
	}
	return counts
}

// Page returns the events that q asks for. It reads the files only for what memory has no longer.
func (j *Journal) Page(q Query) (Page, error) {
	j.mu.Lock()
	events, last := j.ring.matching(q), j.seq
	oldest := Recorded{Seq: last + 1}
	if j.ring.next > 0 {
		oldest = *j.ring.at(j.ring.oldest())
	}
	j.mu.Unlock()

	inMemory := oldest.Seq <= q.After+1 || (!q.Since.IsZero() && oldest.Time.Before(q.Since)) || (q.After == 0 && len(events) >= q.limit())
	if !inMemory {
		older, err := j.file.matching(q, oldest.Seq)
		if err != nil {
			return Page{}, &farm.Error{Op: "read journal", Path: j.opt.Path, Kind: farm.Other, Err: err}
		}
		events = append(older, events...)
	}
	p := Page{Events: q.limited(events), Next: max(last, q.After)}
	if n := len(p.Events); n > 0 && len(events) > n && q.After > 0 {
		p.Next = p.Events[n-1].Seq
	}
	return p, nil
}

// Follow returns a follower that begins after the event with the sequence number, as far back as memory reaches.
func (j *Journal) Follow(after uint64) *Follower {
	j.mu.Lock()
	defer j.mu.Unlock()
	return &Follower{journal: j, place: j.ring.placeAfter(after)}
}

// Follower reads the journal as it grows. It has no buffer of its own: it reads the journal's memory, and one that
// falls behind by more than KeepEvents misses events and is told so. It belongs to one goroutine and needs no closing.
type Follower struct {
	journal *Journal
	place   uint64
}

// Next waits for events and returns some, oldest first, after saying with an event of its own how many were missed.
func (f *Follower) Next(ctx context.Context) ([]Recorded, error) {
	for {
		events, wake := f.ready()
		if len(events) > 0 {
			return events, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-wake:
		}
	}
}

// ready returns what is there, and a channel that is closed when there is more.
func (f *Follower) ready() ([]Recorded, <-chan struct{}) {
	j := f.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	events, missed, next := j.ring.take(f.place, maxBatchEvents)
	f.place = next
	if missed > 0 {
		events = append([]Recorded{j.missed(missed, events[0])}, events...)
	}
	return events, j.wake
}

// missed stands for the events before first that a follower was too slow for. It has first's number less one: the
// latest of those that are missing.
func (j *Journal) missed(n uint64, first Recorded) Recorded {
	return Recorded{first.Seq - 1, farm.Event{
		ID: farm.EventJournalMissed, Time: first.Time, Severity: farm.Warning, Member: j.opt.Member, Subject: "journal",
		Message: fmt.Sprintf("%d events were left out: they came faster than they were read", n),
		Fields:  map[string]string{"count": strconv.FormatUint(n, 10)},
	}}
}

// Run writes events to the file until ctx ends, and then what is left. A file that can't be written is logged and
// tried again with the next events; that is no reason to stop the member.
func (j *Journal) Run(ctx context.Context) error {
	if err := j.file.open(); err != nil {
		return &farm.Error{Op: "open journal", Path: j.opt.Path, Kind: farm.Other, Err: err}
	}
	f := &Follower{journal: j, place: j.written}
	failing := false
	write := func(events []Recorded) {
		err := j.file.write(events)
		if err != nil && !failing {
			j.opt.Log.Error("the event journal can't be written", "path", j.opt.Path, "err", err)
		} else if err == nil && failing {
			j.opt.Log.Info("the event journal is written again", "path", j.opt.Path)
		}
		failing = err != nil
	}
	for {
		events, err := f.Next(ctx)
		if err != nil {
			break
		}
		write(events)
	}
	for events, _ := f.ready(); len(events) > 0; events, _ = f.ready() {
		write(events)
	}
	j.written = f.place
	return j.file.close()
}
