package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tandem/internal/farm"
)

func vector(s string) farm.Vector {
	v, err := farm.ParseVector(s)
	if err != nil {
		panic(err)
	}
	return v
}

// TestMonotonicReads: what an answer may have shown goes with the visitor until every node has it.
func TestMonotonicReads(t *testing.T) {
	for name, tc := range map[string]struct {
		directive string // default: read_your_writes blog, no time to wait
		method    string
		cookie    string // signed
		raw       string // as it is
		cache     string // Cache-Control of the answer
		reach     string // what may be visible here
		rest      string // what not every node has
		applied   string
		linked    []farm.MemberID
		holders   map[string][]farm.MemberID
		down      map[farm.MemberID]bool

		want   string // status and body
		gives  string // the visit that the visitor takes along; "" is none, "-" is that it goes
		behind string
		asked  string
	}{
		"all nodes have it: nothing to take along":    {reach: "web2.a.5", want: "200 here"},
		"not all nodes have it":                       {reach: "web2.a.5+web1.a.9", rest: "web2.a.5", want: "200 here", gives: "*web1*blog:web2.a.5"},
		"an answer for everybody's caches gives none": {cache: "max-age=60, public", reach: "web2.a.5", rest: "web2.a.5", want: "200 here"},
		"nor does one that shared caches may keep":    {cache: "s-maxage=5", reach: "web2.a.5", rest: "web2.a.5", want: "200 here"},
		"one that browsers alone may keep does":       {cache: "max-age=5", reach: "web2.a.5", rest: "web2.a.5", want: "200 here", gives: "*web1*blog:web2.a.5"},
		"what the visitor has is not given again": {
			cookie: "*web2*blog:web2.a.6", applied: "web2.a.6", reach: "web2.a.6", rest: "web2.a.6", want: "200 here", asked: "wait blog web2.a.6",
		},
		"what was shown here can be shown again": {
			cookie: "*web1*blog:web2.a.5", reach: "web2.a.5", rest: "web2.a.5", want: "200 here",
		},
		"what was shown here before this disk was set back can't": {
			cookie: "*web1*blog:web2.a.5", reach: "web2.a.4", holders: map[string][]farm.MemberID{"web2.a.5": {"web2"}},
			want: "200 from web2", asked: "wait blog web2.a.5",
		},
		"what was shown elsewhere is asked for there": {
			cookie: "*web3*blog:web2.a.5", reach: "web2.a.5", linked: []farm.MemberID{"web3"}, want: "200 from web3", asked: "wait blog web2.a.5",
		},
		"what nobody has any more is given up, and that is said": {
			cookie: "*web3*blog:web2.a.5", reach: "web2.a.4", want: "200 here", gives: "-", behind: "blog:web2.a.5", asked: "wait blog web2.a.5",
		},
		"then what is seen here takes its place": {
			cookie: "blog:web1.a.1*web3*blog:web2.a.5", applied: "web1.a.1", reach: "web2.a.4", rest: "web2.a.4",
			want: "200 here", gives: "*web1*blog:web2.a.4", behind: "blog:web2.a.5",
		},
		"what was written is not given up": {
			cookie: "blog:web1.a.2*web3*blog:web2.a.5", reach: "web2.a.5", want: "503",
		},
		"a write shows what it reads": {
			method: "POST", reach: "web2.a.5+web1.a.7", rest: "web2.a.5+web1.a.7", want: "200 here", gives: "blog:web1.a.7*web1*blog:web2.a.5", asked: "barrier blog",
		},
		"a write that all have needs no care":  {method: "POST", reach: "web1.a.7", want: "200 here", asked: "barrier blog"},
		"what is not signed asks for nothing":  {raw: "blog:web2.a.zzzzz", want: "200 here"},
		"what another farm has signed neither": {raw: farm.Visit{Wrote: farm.Session{"blog": vector("web2.a.5")}}.Sign([]byte("x")), want: "200 here"},
		"eventual: each node as it is": {
			directive: "read_your_writes blog {\n\t\tmode eventual\n\t}", cookie: "blog:web2.a.5", method: "POST", reach: "web2.a.5", rest: "web2.a.5", want: "200 here",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.directive == "" {
				tc.directive = "read_your_writes blog {\n\t\twait 0s\n\t}"
			}
			s := newSession(t, "header Cache-Control \""+tc.cache+"\"\n\t"+tc.directive)
			f := s.folders
			f.barriers = map[farm.FolderID]farm.Position{"blog": pos("web1.a.7")}
			f.applied = map[farm.FolderID]farm.Vector{"blog": vector(tc.applied)}
			f.reach, f.rest, f.linked, f.holders, s.members.down = vector(tc.reach), vector(tc.rest), tc.linked, tc.holders, tc.down
			if tc.method == "" {
				tc.method = "GET"
			}
			req := request(t, tc.method, s.edge.URL, "a.test", "/")
			if tc.cookie != "" {
				req.Header.Set("Cookie", signed(tc.cookie))
			}
			if tc.raw != "" {
				req.Header.Set("Cookie", farm.SessionCookie+"="+tc.raw)
			}
			res := do(t, req)
			if got := fmt.Sprint(res.StatusCode, " ", res.body); !strings.HasPrefix(got, tc.want) {
				t.Errorf("answer is %q, want %q", got, tc.want)
			}
			if got := given(t, res); got != tc.gives {
				t.Errorf("gives %q, want %q", got, tc.gives)
			}
			if got := res.Header.Get(BehindHeader); got != tc.behind {
				t.Errorf("behind %q, want %q", got, tc.behind)
			}
			if got := strings.Join(f.asked, ","); tc.asked != "" && got != tc.asked {
				t.Errorf("asked %q, want %q", got, tc.asked)
			}
		})
	}
}

// given is what an answer gives the visitor to take along; "-": what there was is taken away.
func given(t *testing.T, res answerOf) string {
	t.Helper()
	line, value := res.Header.Get("Set-Cookie"), res.Header.Get(farm.SessionHeader)
	if line == "" {
		if value != "" {
			t.Errorf("no cookie, and the header %q", value)
		}
		return ""
	}
	if !strings.HasPrefix(line, farm.SessionCookie+"="+value+";") {
		t.Errorf("cookie %q and header %q differ", line, value)
	}
	if value == "" {
		if !strings.Contains(line, "Max-Age=0") {
			t.Errorf("an empty cookie that stays: %q", line)
		}
		return "-"
	}
	v, err := farm.OpenVisit(value, testKey)
	if err != nil {
		t.Error(err)
	}
	return v.String()
}

// TestReadersSeeWritesUnderWay: an answer that is given while another request writes may show what has no number yet, so
// that it takes a barrier first.
func TestReadersSeeWritesUnderWay(t *testing.T) {
	s := newSession(t, "read_your_writes blog")
	s.folders.reach, s.folders.rest = vector("web1.a.7"), vector("web1.a.7")
	n := s.writing("blog")
	n.Add(1)
	res := do(t, request(t, "GET", s.edge.URL, "a.test", "/"))
	n.Add(-1)
	if got := given(t, res); got != "*web1*blog:web1.a.7" || strings.Join(s.folders.asked, ",") != "number blog" {
		t.Errorf("gives %q, asked %q", got, s.folders.asked)
	}
	do(t, request(t, "POST", s.edge.URL, "a.test", "/"))
	if left := n.Load(); left != 0 {
		t.Errorf("%d requests are taken to write in the end", left)
	}
}

func TestMarkedAnswer(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"nothing": func(http.ResponseWriter, *http.Request) {},
		"status":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(204) },
		"written": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "x") },
		"flushed": func(w http.ResponseWriter, _ *http.Request) { _ = http.NewResponseController(w).Flush() },
		"copied": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.(*markedAnswer).ReadFrom(strings.NewReader("x"))
		},
	} {
		rec := &headRecorder{head: http.Header{}}
		marks := 0
		m := newMarked(rec, func() { marks++; rec.Header().Set("Mark", "1") })
		handler(m, nil)
		m.begin()
		if rec.Header().Get("Mark") != "1" || marks != 1 || rec.early {
			t.Errorf("%s: marked %d times, early %v", name, marks, rec.early)
		}
	}
}

// headRecorder sees whether anything leaves without the mark.
type headRecorder struct {
	head  http.Header
	early bool
}

func (r *headRecorder) Header() http.Header         { return r.head }
func (r *headRecorder) Write(p []byte) (int, error) { r.look(); return len(p), nil }
func (r *headRecorder) Flush()                      { r.look() }
func (r *headRecorder) look()                       { r.early = r.early || r.head.Get("Mark") == "" }
func (r *headRecorder) WriteHeader(status int) {
	if status >= http.StatusOK {
		r.look()
	}
}
