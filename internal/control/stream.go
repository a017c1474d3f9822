package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"tandem/internal/farm"
)

// lineWriteTimeout ends the stream of a client that takes nothing for so long.
const lineWriteTimeout = 30 * time.Second

// lines is an answer of JSON lines, each sent as soon as it is written.
type lines struct {
	rc  *http.ResponseController
	enc *json.Encoder
}

func startLines(w http.ResponseWriter) *lines {
	w.Header().Set("Content-Type", "application/jsonl")
	w.WriteHeader(http.StatusOK)
	return &lines{http.NewResponseController(w), json.NewEncoder(w)}
}

func (l *lines) send(v any) error {
	// A writer that knows no deadline is a test's.
	if err := l.rc.SetWriteDeadline(time.Now().Add(lineWriteTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return l.enc.Encode(v)
}

// events answers with a page, or with follow=1 with a stream of Recorded that begins with the page and goes on.
func (s *Server) events(w http.ResponseWriter, r *http.Request) error {
	q, err := parseQuery(r.URL.Query())
	if err != nil {
		return &farm.Error{Op: "events", Kind: farm.Invalid, Err: err}
	}
	page, err := s.opt.Journal.Page(q)
	if err != nil {
		return err
	}
	if r.URL.Query().Get("follow") == "" {
		answer(w, http.StatusOK, page)
		return nil
	}
	l, f := startLines(w), s.opt.Journal.Follow(page.Next)
	for events := page.Events; ; {
		for i := range events {
			missed := events[i].ID == farm.EventJournalMissed
			if !missed && !q.matches(&events[i]) {
				continue
			}
			if err := l.send(events[i]); err != nil {
				return nil // the client has gone
			}
		}
		if err := l.rc.Flush(); err != nil {
			return nil
		}
		if events, err = f.Next(r.Context()); err != nil {
			return nil
		}
	}
}

func parseQuery(v url.Values) (q Query, err error) {
	number := func(key string) (n uint64) {
		if s := v.Get(key); s != "" && err == nil {
			if n, err = strconv.ParseUint(s, 10, 63); err != nil {
				err = fmt.Errorf("%s=%q is not a number", key, s)
			}
		}
		return n
	}
	q = Query{After: number("after"), Limit: int(min(number("limit"), MaxPageEvents)), Folder: farm.FolderID(v.Get("folder")), ID: v.Get("id")}
	if s := v.Get("since"); s != "" && err == nil {
		if q.Since, err = time.Parse(time.RFC3339Nano, s); err != nil {
			err = fmt.Errorf("since=%q is not a time such as 2006-01-02T15:04:05Z", s)
		}
	}
	return q, err
}

func (q Query) values() url.Values {
	v := url.Values{}
	set := func(key, value string) {
		if value != "" && value != "0" {
			v.Set(key, value)
		}
	}
	set("after", strconv.FormatUint(q.After, 10))
	set("limit", strconv.Itoa(q.Limit))
	set("folder", string(q.Folder))
	set("id", q.ID)
	if !q.Since.IsZero() {
		set("since", q.Since.Format(time.RFC3339Nano))
	}
	return v
}

// probe answers with a stream of ProbeLine.
func (s *Server) probe(w http.ResponseWriter, r *http.Request) error {
	var req ProbeRequest
	if err := decode(w, r, maxBodyBytes, &req); err != nil {
		return err
	}
	if req.Count < 1 || req.Count > MaxProbeCount || req.SizeBytes < 1 || req.SizeBytes > MaxProbeSizeBytes {
		return farm.Errorf("probe", r.PathValue("id"), farm.Invalid, "a probe writes 1 to %d files of 1 to %d bytes", MaxProbeCount, MaxProbeSizeBytes)
	}
	folder := farm.FolderID(r.PathValue("id"))
	tally := newTally(folder, req)
	var l *lines
	err := s.opt.Backend.Probe(r.Context(), folder, req, func(sample ProbeSample) {
		if l == nil {
			l = startLines(w)
		}
		if tally.add(sample) {
			// A client that has gone ends the context, and with it the probe.
			_ = errors.Join(l.send(ProbeLine{Done: tally.rounds, Count: req.Count}), l.rc.Flush())
		}
	})
	if err != nil && l == nil {
		return err
	}
	if l == nil {
		l = startLines(w)
	}
	last := ProbeLine{Done: tally.rounds, Count: req.Count}
	if err != nil {
		last.Error = ErrorOf(err)
	} else {
		result := tally.result()
		last.Result = &result
	}
	_ = l.send(last) // as above
	return nil
}
