package web

import (
	"fmt"
	"strings"
	"testing"

	"tandem/internal/farm"
)

func TestConfirm(t *testing.T) {
	for name, tc := range map[string]struct {
		directive string
		method    string
		path      string
		have      int  // other nodes that come to have it
		fails     bool // the barrier

		want   string // status and body
		header string
		asked  string
		events string
	}{
		"one other node has it": {directive: "confirm 1", have: 1, want: "200 here", header: "1/1", asked: "barrier blog,confirm blog web1.a.7 1 false"},
		"on its disk for good":  {directive: "confirm 2 {\n\t\tdurable\n\t}", have: 2, want: "200 here", header: "2/2", asked: "barrier blog,confirm blog web1.a.7 2 true"},
		"all of them":           {directive: "confirm all", have: 2, want: "200 here", header: "2/2", asked: "barrier blog,confirm blog web1.a.7 -1 false"},
		"with sessions, the barrier is taken once": {
			directive: "read_your_writes blog\n\tconfirm 1", have: 1, want: "200 here", header: "1/1", asked: "barrier blog,confirm blog web1.a.7 1 false",
		},
		"mode confirmed":            {directive: "read_your_writes blog {\n\t\tmode confirmed\n\t}", have: 1, want: "200 here", header: "1/1", asked: "barrier blog,confirm blog web1.a.7 1 false"},
		"eventual, and confirmed":   {directive: "read_your_writes blog {\n\t\tmode eventual\n\t}\n\tconfirm 1", have: 1, want: "200 here", header: "1/1", asked: "barrier blog,confirm blog web1.a.7 1 false"},
		"reads need none":           {directive: "confirm 1", method: "GET", want: "200 here"},
		"nor do other paths":        {directive: "confirm /save* 1", path: "/other", want: "200 here"},
		"the path that it is about": {directive: "confirm /save* 1", path: "/save/1", have: 1, want: "200 here", header: "1/1", asked: "barrier blog,confirm blog web1.a.7 1 false"},
		"too late, and the answer leaves": {
			directive: "confirm 1 {\n\t\ttimeout 1ms\n\t}", want: "200 here", header: "0/1", events: "write.unconfirmed fault sites/a.caddy",
		},
		"too late, and it does not": {
			directive: "confirm 2 {\n\t\ttimeout 1ms\n\t\ton_timeout fail\n\t}", have: 1, want: "503 What you sent was saved on one server, but only 1 of 2 others", header: "1/2", events: "write.unconfirmed fault sites/a.caddy",
		},
		"an answer that promises nothing leaves": {
			directive: "confirm 1 {\n\t\ttimeout 1ms\n\t\ton_timeout fail\n\t}", path: "/fails", want: "403", header: "0/1", events: "write.unconfirmed fault sites/a.caddy",
		},
		"what was written is not known": {
			directive: "confirm 1 {\n\t\ton_timeout fail\n\t}", fails: true, want: "503", header: "0/1", asked: "barrier blog", events: "write.unconfirmed fault sites/a.caddy",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession(t, "root * /srv/blog\n\t"+tc.directive)
			s.folders.have = tc.have
			if !tc.fails {
				s.folders.barriers = map[farm.FolderID]farm.Position{"blog": pos("web1.a.7")}
			}
			if tc.method == "" {
				tc.method = "POST"
			}
			res := do(t, request(t, tc.method, s.edge.URL, "a.test", tc.path))
			if got := fmt.Sprint(res.StatusCode, " ", res.body); !strings.HasPrefix(got, tc.want) {
				t.Errorf("answer is %q, want %q", got, tc.want)
			}
			if got := res.Header.Get(ConfirmedHeader); got != tc.header {
				t.Errorf("confirmed %q, want %q", got, tc.header)
			}
			if got := strings.Join(s.folders.asked, ","); tc.asked != "" && got != tc.asked {
				t.Errorf("asked %q, want %q", got, tc.asked)
			}
			if got := strings.Join(s.events, ","); got != tc.events {
				t.Errorf("events %q, want %q", got, tc.events)
			}
		})
	}
}

// TestConfirmTellsOnce: one event when confirmations begin to fail, and one when they succeed again.
func TestConfirmTellsOnce(t *testing.T) {
	s := newSession(t, "root * /srv/blog\n\tconfirm 1 {\n\t\ttimeout 1ms\n\t}")
	s.folders.barriers = map[farm.FolderID]farm.Position{"blog": pos("web1.a.7")}
	for _, have := range []int{1, 0, 0, 1, 1, 0} {
		s.folders.have = have
		do(t, request(t, "POST", s.edge.URL, "a.test", "/"))
	}
	const bad, good = "write.unconfirmed fault sites/a.caddy", "write.unconfirmed healed sites/a.caddy"
	if got, want := strings.Join(s.events, ","), strings.Join([]string{bad, good, bad}, ","); got != want {
		t.Errorf("events %q, want %q", got, want)
	}
}
