package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tandem/internal/farm"
)

// openTest opens a journal whose clock goes on by a second with each event.
func openTest(t *testing.T, path string, maxBytes int64) *Journal {
	t.Helper()
	at := time.Unix(1_700_000_000, 0).UTC()
	j, err := OpenJournal(JournalOptions{Path: path, Member: "web1", Log: slog.New(slog.DiscardHandler), MaxBytes: maxBytes,
		Now: func() time.Time { at = at.Add(time.Second); return at }})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// flush lets Run write what the journal has, and end.
func flush(t *testing.T, j *Journal) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := j.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

func sink(j *Journal, id farm.EventID, subjects ...string) {
	for _, s := range subjects {
		j.Sink(farm.Event{ID: id, Severity: farm.Info, Subject: s, Folder: "shop", Message: "happened"})
	}
}

func subjects(events []Recorded) string {
	var s []string
	for _, e := range events {
		s = append(s, e.Subject)
	}
	return strings.Join(s, " ")
}

func page(t *testing.T, j *Journal, q Query) Page {
	t.Helper()
	p, err := j.Page(q)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestJournalSurvivesAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	j := openTest(t, path, 0)
	sink(j, farm.EventFileSent, "a", "b")
	flush(t, j)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"seq":3,"id":"file.sent","subj`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	j = openTest(t, path, 0)
	sink(j, farm.EventFileSent, "c")
	flush(t, j)
	p := page(t, openTest(t, path, 0), Query{})
	if got := subjects(p.Events); got != "a b c" {
		t.Errorf("after a torn line the journal has %q, want a b c", got)
	}
	if c := p.Events[2].Seq; c <= 3 {
		t.Errorf("the number %d may have been seen already for an event that was lost", c)
	}
}

func TestJournalRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	const maxBytes = 4 << 10
	j := openTest(t, path, maxBytes)
	for i := range 200 {
		sink(j, farm.EventFileSent, fmt.Sprint(i))
		if i%10 == 9 {
			flush(t, j)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 2 {
		t.Fatalf("there are %v, want two files; err %v", entries, err)
	}
	for _, e := range entries {
		if st, err := e.Info(); err != nil || st.Size() > maxBytes || st.Mode().Perm() != 0o600 {
			t.Errorf("%s has %d bytes and mode %v, want at most %d and 0600; err %v", e.Name(), st.Size(), st.Mode(), maxBytes, err)
		}
	}
	if p := page(t, openTest(t, path, maxBytes), Query{Limit: 3}); subjects(p.Events) != "197 198 199" {
		t.Errorf("the latest are %q", subjects(p.Events))
	}
}

func TestJournalKeepsAsManyAsAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	j := openTest(t, path, 0)
	j.Keep(50)
	for i := range 200 {
		sink(j, farm.EventFileSent, fmt.Sprint(i))
		flush(t, j)
	}
	p := page(t, openTest(t, path, 0), Query{Limit: MaxPageEvents})
	if n := len(p.Events); n < 50 || n > 100 || p.Events[n-1].Subject != "199" {
		t.Errorf("%d events are kept, up to %s; want 50 to 100, up to 199", n, p.Events[n-1].Subject)
	}
}

func TestPageReachesBackBeyondMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	j := openTest(t, path, 0)
	sink(j, farm.EventConfigLive, "first")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- j.Run(ctx) }()
	for i := range KeepEvents + 10 {
		sink(j, farm.EventFileSent, fmt.Sprint(i))
		if i%1000 == 0 { // not so fast that the file misses some
			for written := false; !written; {
				p := page(t, j, Query{Limit: 1})
				data, err := os.ReadFile(path)
				written = err == nil && strings.Contains(string(data), fmt.Sprintf(`{"seq":%d,`, p.Events[0].Seq))
			}
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]Query{
		"by id":     {ID: "config"},
		"by time":   {Since: time.Unix(1_700_000_000, 0), Limit: MaxPageEvents},
		"by folder": {Folder: "shop", Limit: MaxPageEvents},
	} {
		if p := page(t, j, q); len(p.Events) == 0 || p.Events[0].Subject != "first" {
			t.Errorf("%s: the oldest event is not found among %d", name, len(p.Events))
		}
	}
	if p := page(t, j, Query{After: 1, Limit: 2}); subjects(p.Events) != "0 1" || p.Next != 3 {
		t.Errorf("after 1 come %q and then %d, want 0 1 and 3", subjects(p.Events), p.Next)
	}
}

func TestQuery(t *testing.T) {
	j := openTest(t, filepath.Join(t.TempDir(), "events.jsonl"), 0)
	sink(j, farm.EventFileSent, "a")
	sink(j, farm.EventFileInstalled, "b")
	sink(j, farm.EventConfigLive, "c")
	j.Sink(farm.Event{ID: farm.EventFileSent, Subject: "d", Folder: "wiki"})
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{}, "a b c d"},
		{Query{ID: "file"}, "a b d"},
		{Query{ID: "file.sent"}, "a d"},
		{Query{ID: "file.s"}, ""},
		{Query{Folder: "wiki"}, "d"},
		{Query{After: 2}, "c d"},
		{Query{After: 1, Limit: 2}, "b c"},
		{Query{Limit: 2}, "c d"},
		{Query{Since: time.Unix(1_700_000_003, 0)}, "c d"},
		{Query{After: 99}, ""},
	} {
		if got := subjects(page(t, j, c.q).Events); got != c.want {
			t.Errorf("%+v gives %q, want %q", c.q, got, c.want)
		}
		back, err := parseQuery(c.q.values())
		if err != nil || !back.Since.Equal(c.q.Since) {
			t.Errorf("%+v comes back as %+v, %v", c.q, back, err)
		}
	}
}

func TestFollowerGetsEverythingInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := openTest(t, filepath.Join(t.TempDir(), "events.jsonl"), 0)
		sink(j, farm.EventFileSent, "before")
		f := j.Follow(1)
		var got []Recorded
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			for {
				events, err := f.Next(ctx)
				if err != nil {
					done <- err
					return
				}
				got = append(got, events...)
			}
		}()
		sink(j, farm.EventFileSent, "a", "b")
		synctest.Wait()
		sink(j, farm.EventFileSent, "c")
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the follower ended with %v", err)
		}
		if subjects(got) != "a b c" {
			t.Errorf("the follower got %q, want a b c", subjects(got))
		}
	})
}

func TestSlowFollowerIsToldWhatItMissed(t *testing.T) {
	j := openTest(t, filepath.Join(t.TempDir(), "events.jsonl"), 0)
	f := j.Follow(0)
	for range KeepEvents + 7 {
		sink(j, farm.EventFileSent, "x")
	}
	events, err := f.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if e := events[0]; e.ID != farm.EventJournalMissed || e.Fields["count"] != "7" || e.Seq != 7 || events[1].Seq != 8 {
		t.Errorf("the follower is told %+v, then %+v", e, events[1])
	}
}

func TestFaultsPairWithTheirHealing(t *testing.T) {
	j := openTest(t, filepath.Join(t.TempDir(), "events.jsonl"), 0)
	raise := func(id farm.EventID, sev farm.Severity, subject string) {
		j.Sink(farm.Event{ID: id, Severity: sev, Subject: subject, Message: "m"})
	}
	open := func() string {
		var s []string
		for _, f := range j.Faults().Open {
			s = append(s, fmt.Sprintf("%s %s x%d", f.Event.ID, f.Event.Subject, f.Count))
		}
		return strings.Join(s, ", ")
	}
	steps := []struct {
		id      farm.EventID
		sev     farm.Severity
		subject string
		want    string
	}{
		{farm.EventNodeDown, farm.Fault, "web2", "node.down web2 x1"},
		{farm.EventNodeDown, farm.Fault, "web2", "node.down web2 x2"},
		{farm.EventConfigRefused, farm.Fault, "farm.toml", "node.down web2 x2, config.refused farm.toml x1"},
		{farm.EventNodeUp, farm.Healed, "web3", "node.down web2 x2, config.refused farm.toml x1"},
		{farm.EventNodeUp, farm.Info, "web2", "config.refused farm.toml x1"},
		{farm.EventConfigRefused, farm.Warning, "farm.toml", "config.refused farm.toml x1"},
		{farm.EventConfigRefused, farm.Healed, "farm.toml", ""},
	}
	for i, s := range steps {
		raise(s.id, s.sev, s.subject)
		if got := open(); got != s.want {
			t.Errorf("step %d: open are %q, want %q", i, got, s.want)
		}
	}
	for i := range MaxOpenFaults + 3 {
		raise(farm.EventFileBlocked, farm.Fault, fmt.Sprint(i))
	}
	if f := j.Faults(); len(f.Open) != MaxOpenFaults || f.More != 3 {
		t.Errorf("%d faults are open and %d more, want %d and 3", len(f.Open), f.More, MaxOpenFaults)
	}
}

func TestJournalThatCantBeWrittenGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gone", "events.jsonl")
	j := openTest(t, path, 0)
	if err := j.Run(t.Context()); farm.KindOf(err) != farm.Other || !strings.Contains(fmt.Sprint(err), "events.jsonl") {
		t.Errorf("a directory that is not there gives %v", err)
	}
	sink(j, farm.EventFileSent, "a")
	if got := subjects(page(t, j, Query{}).Events); got != "a" {
		t.Errorf("memory has %q", got)
	}
}

func FuzzScanEvents(f *testing.F) {
	f.Add([]byte(`{"seq":1,"id":"file.sent"}` + "\n"))
	f.Add([]byte("{\"seq\":1}\n\x00\n{\"seq\":2}"))
	f.Add([]byte(strings.Repeat("x", maxLineBytes+10) + "\n{\"seq\":2}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var found []Recorded
		if err := scanEvents(strings.NewReader(string(data)), func(e Recorded) { found = append(found, e) }); err != nil {
			t.Fatalf("no content of a journal is an error, got %v", err)
		}
		if slices.ContainsFunc(found, func(e Recorded) bool { return e.Seq == 0 }) {
			t.Error("an event without a number came through")
		}
	})
}
