package certs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/internal/farm"
)

// warnDays are the days before its end at which a certificate is told of, and 0 when it has ended.
var warnDays = []int{0, 1, 7, 14, 30}

// acmeDays is from when on one that the farm orders itself is told of: it should have been renewed before.
const acmeDays = 14

// Expiry tells of certificates that end soon, once for each of the days. It is not safe for use by several goroutines.
type Expiry struct {
	Path string // of the file in which it remembers what was told
	Sink farm.Sink
	Now  func() time.Time

	told map[string]toldEnd // by fingerprint; nil: not read yet
}

// toldEnd is up to which of the days a certificate was told of.
type toldEnd struct {
	Days    int    `json:"days"`
	Subject string `json:"subject"`
	Raised  bool   `json:"raised"` // by this member
}

// Used is a certificate that is served for hosts.
type Used struct {
	Info
	Hosts []string
}

// Check looks at the certificates that are served. Members of a farm all see the same shared ones: only one of them, the
// speaker, raises events for these; the others note that it did.
func (e *Expiry) Check(used []Used, speaker bool) error {
	if e.told == nil {
		e.load()
	}
	now, next, changed := e.Now(), map[string]toldEnd{}, false
	for _, u := range used {
		level, due := levelOf(u, now)
		if !due {
			continue
		}
		was, known := e.told[u.Fingerprint]
		if known && was.Days <= level {
			next[u.Fingerprint] = was
			continue
		}
		t := toldEnd{Days: level, Subject: u.Hosts[0], Raised: was.Raised || speaker || u.Origin == Local}
		next[u.Fingerprint], changed = t, true
		if speaker || u.Origin == Local {
			e.Sink(endEvent(u, level, now))
		}
	}
	for print, t := range e.told {
		if _, ok := next[print]; ok {
			continue
		}
		changed = true
		if t.Raised && t.Days <= 1 && !slices.ContainsFunc(used, func(u Used) bool { return next[u.Fingerprint].Subject == t.Subject }) {
			e.Sink(farm.Event{ID: farm.EventCertExpiring, Severity: farm.Healed, Subject: t.Subject, Folder: farm.FolderCerts,
				Message: "the certificate was replaced, or is not in use any more"})
		}
	}
	e.told = next
	if !changed {
		return nil
	}
	return e.save()
}

// levelOf is the smallest of the days that the certificate has reached.
func levelOf(u Used, now time.Time) (days int, due bool) {
	left := u.NotAfter.Sub(now)
	for _, d := range warnDays {
		if left <= time.Duration(d)*24*time.Hour {
			return d, u.Origin != ACME || d <= acmeDays
		}
	}
	return 0, false
}

func endEvent(u Used, level int, now time.Time) farm.Event {
	ev := farm.Event{ID: farm.EventCertExpiring, Severity: farm.Warning, Subject: u.Hosts[0], Folder: farm.FolderCerts,
		Fields: map[string]string{"file": u.File, "until": u.NotAfter.UTC().Format(time.RFC3339), "days": strconv.Itoa(level), "hosts": strings.Join(u.Hosts, ",")},
		Next:   "get a new one and: tandem cert import FILE",
	}
	if u.Origin == ACME {
		ev.Next = "it is renewed by itself, but that does not work: see the events acme.failed"
	}
	if level <= 1 {
		ev.Severity = farm.Fault
	}
	left := u.NotAfter.Sub(now)
	switch until := u.NotAfter.UTC().Format(time.DateOnly); {
	case left <= 0:
		ev.Message = fmt.Sprintf("the certificate in %s has expired on %s", u.File, until)
	case left <= 24*time.Hour:
		ev.Message = fmt.Sprintf("the certificate in %s ends in less than a day, on %s", u.File, until)
	default:
		ev.Message = fmt.Sprintf("the certificate in %s ends in %d days, on %s", u.File, int(left.Hours())/24, until)
	}
	return ev
}

// load reads what was told; without the file, or with one that is damaged, all is told anew.
func (e *Expiry) load() {
	e.told = map[string]toldEnd{}
	if b, err := os.ReadFile(e.Path); err == nil && json.Unmarshal(b, &e.told) != nil {
		e.told = map[string]toldEnd{}
	}
	for print, t := range e.told {
		if t.Raised && t.Days <= 1 { // open faults are not remembered either
			delete(e.told, print)
		}
	}
}

func (e *Expiry) save() error {
	b, err := json.Marshal(e.told)
	if err != nil {
		return &farm.Error{Op: "note", Path: e.Path, Kind: farm.Internal, Err: err}
	}
	return Write(filepath.Dir(e.Path), e.Path, b)
}

// InUse is which of the surveyed certificates are served for the hosts, the one that ends first first.
func (s *Store) InUse(hosts []string) []Used {
	at := map[string]int{}
	var used []Used
	for _, h := range hosts {
		v := s.Explain(h)
		if v.Served == nil {
			continue
		}
		i, ok := at[v.Served.File]
		if !ok {
			i = len(used)
			at[v.Served.File] = i
			used = append(used, Used{Info: *v.Served})
		}
		used[i].Hosts = append(used[i].Hosts, h)
	}
	slices.SortStableFunc(used, func(a, b Used) int { return cmp.Or(a.NotAfter.Compare(b.NotAfter), cmp.Compare(a.File, b.File)) })
	return used
}
