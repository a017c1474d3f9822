package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/internal/farm"
)

func pos(s string) farm.Position {
	p, err := farm.ParsePosition(s)
	if err != nil {
		panic(err)
	}
	return p
}

// fakeFolders is a Consistency whose state a test sets.
type fakeFolders struct {
	mu       sync.Mutex
	applied  map[farm.FolderID]farm.Vector
	barriers map[farm.FolderID]farm.Position // what a barrier gives; missing: it fails
	holders  map[string][]farm.MemberID      // by position
	rest     farm.Vector                     // what of anything not every node has
	reach    farm.Vector                     // what may be visible here
	linked   []farm.MemberID
	have     int // other nodes that confirm
	asked    []string

	digests map[string]farm.Digest // by path

	arriving map[string]farm.Vector // by "folder:path"
	late     time.Duration
	comes    func() // what happens when it is waited for; nil: it does not come
}

func (f *fakeFolders) note(format string, args ...any) {
	f.asked = append(f.asked, fmt.Sprintf(format, args...))
}

func (f *fakeFolders) Barrier(_ context.Context, id farm.FolderID) (farm.Position, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note("barrier %s", id)
	p, ok := f.barriers[id]
	if !ok {
		return p, errors.New("no watcher")
	}
	return p, nil
}

func (f *fakeFolders) Wait(ctx context.Context, id farm.FolderID, p farm.Position) error {
	f.mu.Lock()
	f.note("wait %s %s", id, p)
	covered := f.applied[id].Covers(p)
	f.mu.Unlock()
	if covered {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (f *fakeFolders) Holders(_ farm.FolderID, p farm.Position) []farm.MemberID {
	return f.holders[p.String()]
}

func (f *fakeFolders) Linked(id farm.MemberID) bool { return slices.Contains(f.linked, id) }

func (f *fakeFolders) Rest(_ farm.FolderID, v farm.Vector) (rest farm.Vector) {
	for p := range v.All() {
		if f.rest.Covers(p) {
			rest = rest.With(p)
		}
	}
	return rest
}

func (f *fakeFolders) Reach(_ context.Context, id farm.FolderID, writing bool) farm.Vector {
	f.mu.Lock()
	defer f.mu.Unlock()
	if writing {
		f.note("number %s", id)
	}
	return f.reach
}

func (f *fakeFolders) Reached(_ farm.FolderID, v farm.Vector) bool { return f.reach.CoversAll(v) }

func (f *fakeFolders) Confirm(ctx context.Context, id farm.FolderID, p farm.Position, n int, durable bool) (int, int) {
	f.mu.Lock()
	f.note("confirm %s %s %d %v", id, p, n, durable)
	f.mu.Unlock()
	want := n
	if n < 0 {
		want = 2
	}
	if f.have < want {
		<-ctx.Done()
	}
	return f.have, want
}

func (f *fakeFolders) Digest(path string) (farm.Digest, bool) {
	d, ok := f.digests[path]
	return d, ok
}

func (f *fakeFolders) Applied(id farm.FolderID) farm.Vector { return f.applied[id] }

func (f *fakeFolders) Settled(farm.FolderID) bool { return f.rest.Len() == 0 }

func (f *fakeFolders) Arriving(farm.FolderID) bool { return len(f.arriving) > 0 }

func (f *fakeFolders) Arrival(id farm.FolderID, p farm.Path) (farm.Vector, time.Time, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	want, is := f.arriving[string(id)+":"+p.String()]
	return want, time.Now().Add(-f.late), is
}

func (f *fakeFolders) Arrived(ctx context.Context, id farm.FolderID, p farm.Path) error {
	name := string(id) + ":" + p.String()
	f.mu.Lock()
	f.note("arrived %s", name)
	if f.comes != nil && f.arriving[name].Len() > 0 {
		f.comes()
		delete(f.arriving, name)
	}
	_, is := f.arriving[name]
	f.mu.Unlock()
	if !is {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

// fakeMembers answers for the other members.
type fakeMembers struct {
	down map[farm.MemberID]bool
	seen []string
}

func (f *fakeMembers) Forward(_ context.Context, to farm.MemberID, w http.ResponseWriter, r *http.Request) error {
	f.seen = append(f.seen, fmt.Sprintf("%s %s %s %s", to, r.Header.Get(ForwardedHeader), r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto")))
	if f.down[to] {
		return errors.New("connection refused")
	}
	_, _ = io.WriteString(w, "from "+string(to))
	return nil
}

// session is a node whose site has the directive.
type session struct {
	*rig
	folders *fakeFolders
	members *fakeMembers
	events  []string
}

var testKey = []byte("the farm's")

// signed is a cookie of what the text says.
func signed(text string) string {
	v, _ := farm.OpenVisit(text, nil)
	return farm.SessionCookie + "=" + v.Sign(testKey)
}

const handlers = `
	@fails path /fails
	error @fails 403
	handle_errors {
		respond "error page" {err.status_code}
	}
	respond "here"
}`

func newSession(t *testing.T, directive string) *session {
	s := &session{folders: &fakeFolders{}, members: &fakeMembers{}}
	s.rig = newRig(t, func(c *Config) {
		c.Consistency, c.Forwarder, c.VisitKey = s.folders, s.members, testKey
		c.Sink = func(e farm.Event) { s.events = append(s.events, fmt.Sprint(e.ID, " ", e.Severity, " ", e.Subject)) }
	})
	s.mustLoad(map[string]string{"a": "http://a.test {\n\t" + directive + handlers})
	return s
}

func TestReadYourWrites(t *testing.T) {
	const cookie, header = farm.SessionCookie, farm.SessionHeader
	web1 := map[farm.FolderID]farm.Position{"blog": pos("web1.a.7")}
	for name, tc := range map[string]struct {
		directive string // default: read_your_writes blog, no time to wait
		method    string
		path      string
		cookie    string
		header    string
		forwarded bool
		proto     string
		applied   farm.Vector
		barriers  map[farm.FolderID]farm.Position
		holders   map[string][]farm.MemberID
		down      map[farm.MemberID]bool

		want  string // status and body
		sets  string // what the visitor has written; "" is none, and then no cookie either
		asked string
		seen  string
	}{
		"a visitor without a cookie pays nothing": {want: "200 here"},
		"another cookie is not ours":              {cookie: "x=" + cookie, want: "200 here"},
		"what is covered is answered at once": {
			cookie: signed("blog:web2.a.5"), applied: farm.VectorOf(pos("web2.a.5")),
			want: "200 here", asked: "wait blog web2.a.5",
		},
		"a header does what the cookie does": {
			header: strings.TrimPrefix(signed("blog:web2.a.5"), cookie+"="), applied: farm.VectorOf(pos("web2.a.6")), want: "200 here", asked: "wait blog web2.a.5",
		},
		"behind, and a holder answers": {
			cookie: signed("blog:web2.a.5"), holders: map[string][]farm.MemberID{"web2.a.5": {"web2"}},
			want: "200 from web2", asked: "wait blog web2.a.5", seen: "web2 web1 203.0.113.9 http",
		},
		"the holder must have everything": {
			cookie:  signed("blog:web2.a.5+web3.a.1"),
			holders: map[string][]farm.MemberID{"web2.a.5": {"web2", "web3", "web4"}, "web3.a.1": {"web3", "web4", "web1"}},
			want:    "200 from web3", asked: "wait blog web2.a.5", seen: "web3 web1 203.0.113.9 http",
		},
		"the next holder is tried": {
			cookie: signed("blog:web2.a.5"), holders: map[string][]farm.MemberID{"web2.a.5": {"web2", "web3"}},
			down: map[farm.MemberID]bool{"web2": true}, proto: "https",
			want: "200 from web3", asked: "wait blog web2.a.5", seen: "web2 web1 203.0.113.9 https,web3 web1 203.0.113.9 https",
		},
		"behind, and nobody has it": {cookie: signed("blog:web2.a.5"), want: "503", asked: "wait blog web2.a.5"},
		"never passed on twice": {
			cookie: signed("blog:web2.a.5"), holders: map[string][]farm.MemberID{"web2.a.5": {"web2"}}, forwarded: true,
			want: "503", asked: "wait blog web2.a.5",
		},
		"other folders and nonsense are ignored": {cookie: signed("shop:web2.a.5/blog:web2.a/%%%"), want: "200 here"},
		"too long is ignored":                    {cookie: cookie + "=blog:web2.a.5+" + strings.Repeat("x", farm.MaxVisitBytes), want: "200 here"},

		"a write takes the barrier": {
			method: "POST", barriers: web1, want: "200 here", sets: "blog:web1.a.7", asked: "barrier blog",
		},
		"a write over TLS gets a secure cookie": {
			method: "DELETE", barriers: web1, proto: "https", want: "200 here", sets: "blog:web1.a.7", asked: "barrier blog",
		},
		"positions of several members are kept": {
			method: "PUT", cookie: signed("blog:web1.a.3+web2.a.5"), applied: farm.VectorOf(pos("web1.a.7"), pos("web2.a.5")),
			barriers: web1, want: "200 here", sets: "blog:web1.a.7+web2.a.5", asked: "wait blog web1.a.3,wait blog web2.a.5,barrier blog",
		},
		"the last two epochs of a member count": {
			method: "PUT", cookie: signed("blog:web1.8.2+web1.9.3"), applied: farm.VectorOf(pos("web1.8.2"), pos("web1.9.3")),
			barriers: web1, want: "200 here", sets: "blog:web1.9.3+web1.a.7", asked: "wait blog web1.8.2,wait blog web1.9.3,barrier blog",
		},
		"a member that never wrote gives no position": {
			method: "POST", barriers: map[farm.FolderID]farm.Position{"blog": {}}, want: "200 here", asked: "barrier blog",
		},
		"a barrier that fails costs the position, not the answer": {method: "POST", want: "200 here", asked: "barrier blog"},
		"an error page is an answer": {
			method: "POST", path: "/fails", barriers: web1, want: "403 error page", sets: "blog:web1.a.7", asked: "barrier blog",
		},
		"all folders": {
			directive: "read_your_writes", method: "POST",
			barriers: map[farm.FolderID]farm.Position{"blog": pos("web1.a.7"), "shop": pos("web1.b.1")},
			want:     "200 here", sets: "blog:web1.a.7/shop:web1.b.1", asked: "barrier blog,barrier shop",
		},
		"the folder that holds the root": {
			directive: "root * /srv/shop/public\n\tread_your_writes", method: "POST",
			barriers: map[farm.FolderID]farm.Position{"shop": pos("web1.b.1")},
			want:     "200 here", sets: "shop:web1.b.1", asked: "barrier shop",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.directive == "" {
				tc.directive = "read_your_writes blog {\n\t\twait 0s\n\t}"
			}
			s := newSession(t, tc.directive)
			s.folders.applied = map[farm.FolderID]farm.Vector{"blog": tc.applied}
			s.folders.rest = everything
			s.folders.barriers, s.folders.holders, s.members.down = tc.barriers, tc.holders, tc.down
			method := tc.method
			if method == "" {
				method = "GET"
			}
			req := request(t, method, s.edge.URL, "a.test", tc.path)
			req.Header.Set("X-Forwarded-For", "203.0.113.9")
			req.Header.Set("X-Forwarded-Proto", tc.proto)
			if tc.cookie != "" {
				req.Header.Set("Cookie", tc.cookie)
			}
			if tc.header != "" {
				req.Header.Set(header, tc.header)
			}
			if tc.forwarded {
				req.Header.Set(ForwardedHeader, "web2")
			}
			res := do(t, req)
			if got := fmt.Sprint(res.StatusCode, " ", res.body); !strings.HasPrefix(got, tc.want) {
				t.Errorf("answer is %q, want %q", got, tc.want)
			}
			if res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") != "1" {
				t.Errorf("headers are %v", res.Header)
			}
			if got := strings.Join(sorted(s.folders.asked), ","); got != strings.Join(sorted(strings.Split(tc.asked, ",")), ",") {
				t.Errorf("asked %q, want %q", got, tc.asked)
			}
			if got := strings.Join(s.members.seen, ","); got != tc.seen {
				t.Errorf("passed on %q, want %q", got, tc.seen)
			}
			checkSession(t, res, tc.sets, tc.proto == "https")
		})
	}
}

func sorted(s []string) []string {
	out := append([]string(nil), s...)
	for i := range out {
		for j := i + 1; j < len(out); j++ {
			if out[j] < out[i] {
				out[i], out[j] = out[j], out[i]
			}
		}
	}
	return out
}

// everything covers all positions of the tests.
var everything = farm.VectorOf(pos("web1.8.zz"), pos("web1.9.zz"), pos("web1.a.zz"), pos("web1.b.zz"), pos("web2.a.zz"), pos("web3.a.zz"))

func checkSession(t *testing.T, res answerOf, want string, secure bool) {
	t.Helper()
	line, value := res.Header.Get("Set-Cookie"), res.Header.Get(farm.SessionHeader)
	if want == "" {
		if line != "" || value != "" {
			t.Errorf("cookie is %q, header %q, want none", line, value)
		}
		return
	}
	v, err := farm.OpenVisit(value, testKey)
	if got := v.String(); got != want+"*web1*" || err != nil {
		t.Errorf("the visit is %q, %v, want %q", got, err, want)
	}
	expect := farm.SessionCookie + "=" + value + "; Path=/; Max-Age=3600; HttpOnly"
	if secure {
		expect += "; Secure"
	}
	if expect += "; SameSite=Lax"; line != expect {
		t.Errorf("cookie is %q, want %q", line, expect)
	}
}

func TestWaitEndsWhenTheChangesArrive(t *testing.T) {
	s := newSession(t, "read_your_writes blog")
	arrived := make(chan struct{})
	waiting := &arriving{fakeFolders: s.folders, arrived: arrived, asked: make(chan struct{})}
	s.cfg.Consistency = waiting
	s.mustLoad(map[string]string{"a": "http://a.test {\n\tread_your_writes blog\n\trespond late\n}"})
	got := make(chan string)
	go func() {
		req := request(t, "GET", s.edge.URL, "a.test", "/")
		req.Header.Set("Cookie", signed("blog:web2.a.5"))
		got <- do(t, req).body
	}()
	<-waiting.asked
	close(arrived)
	if body := <-got; body != "late" {
		t.Errorf("got %q", body)
	}
}

type arriving struct {
	*fakeFolders
	arrived, asked chan struct{}
}

func (a *arriving) Wait(ctx context.Context, _ farm.FolderID, _ farm.Position) error {
	close(a.asked)
	select {
	case <-a.arrived:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestHeldAnswer checks that no byte of an answer leaves before the barrier, however the handler writes it.
func TestHeldAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		want    string
		early   bool // the barrier comes while the handler runs
	}{
		"nothing":  {func(http.ResponseWriter, *http.Request) {}, "200 ", false},
		"status":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "204 ", false},
		"small":    {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "small") }, "200 small", false},
		"twice":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); w.WriteHeader(500) }, "201 ", false},
		"too long": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "0123456789"); io.WriteString(w, "x") }, "200 0123456789x", true},
		"flushed": {func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "a")
			w.(http.Flusher).Flush()
			io.WriteString(w, "b")
		}, "200 ab", true},
		"copied": {func(w http.ResponseWriter, _ *http.Request) {
			n, err := io.Copy(w, strings.NewReader("0123456789abc"))
			if n != 13 || err != nil {
				panic("copied wrong")
			}
		}, "200 0123456789abc", true},
		"copied and fits": {func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, strings.NewReader("0123456789")) }, "200 0123456789", false},
	} {
		t.Run(name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			barriers := 0
			held := hold(rec, 10, func() bool {
				barriers++
				if rec.Body.Len() > 0 || rec.Flushed {
					t.Error("something left before the barrier")
				}
				rec.Header().Set("Position", "1")
				return true
			})
			tc.handler(held, nil)
			if early := barriers > 0; early != tc.early {
				t.Errorf("barrier while the handler runs: %v", early)
			}
			held.release()
			if got := fmt.Sprint(rec.Code, " ", rec.Body); got != tc.want || barriers != 1 || rec.Result().Header.Get("Position") != "1" {
				t.Errorf("got %q after %d barriers, headers %v", got, barriers, rec.Result().Header)
			}
		})
	}
}

func TestTunnelTakesTheBarrierFirst(t *testing.T) {
	barrier := false
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		held := hold(w, 10, func() bool { barrier = true; return true })
		conn, _, err := http.NewResponseController(held).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\nhello")
	}))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "101") || !barrier {
		t.Errorf("%q, %v, barrier %v", line, err, barrier)
	}
}

func TestDirectiveIsStrict(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Consistency = &fakeFolders{} })
	for source, says := range map[string]string{
		"read_your_writes Blog":                       "is not a folder name",
		"read_your_writes nowhere":                    `there is no folder "nowhere": known are [blog shop]`,
		"read_your_writes {\n\t\twait 2h\n\t}":        "is no time to wait",
		"read_your_writes {\n\t\tbuffer 1TiB\n\t}":    "is no size for a buffer",
		"read_your_writes {\n\t\tbarrier yes\n\t}":    "has no option",
		"read_your_writes {\n\t\twait 1s 2s\n\t}":     "wrong argument count",
		"read_your_writes {\n\t\twait\n\t}":           "wrong argument count",
		"read_your_writes blog {\n\t\tbuffer -1\n\t}": "is no size for a buffer",
		"read_your_writes {\n\t\tmode strict\n\t}":    "is no mode: write eventual, session or confirmed",
		"confirm":                                  "wrong argument count",
		"confirm none":                             "is no number of nodes",
		"confirm 0":                                "is no number of nodes",
		"confirm 1 {\n\t\ttimeout 0s\n\t}":         "is no time to wait",
		"confirm 1 {\n\t\tdurable yes\n\t}":        "wrong argument count",
		"confirm all {\n\t\ton_timeout retry\n\t}": "is nothing to do",
		"confirm 2 {\n\t\tbarrier yes\n\t}":        "has no option",
	} {
		faults := r.load(map[string]string{"a": "http://a.test {\n\t" + source + "\n}"})
		all := faults["sites/a.caddy"]
		if len(all) != 1 || !strings.Contains(all[0].Message, says) || all[0].Line < 2 {
			t.Errorf("%q: %v, want %q", source, all, says)
		}
	}
}
