package edge

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

func TestRoundRobinGivesTurnsByWeight(t *testing.T) {
	from := []*standing{{node: &node{id: "web1"}, weight: 3}, {node: &node{id: "web2"}, weight: 1}}
	got, p := map[farm.MemberID]int{}, newPicker(config.RoundRobin)
	for range 40 {
		got[p.pick(from, nil).node.id]++
	}
	if want := map[farm.MemberID]int{"web1": 30, "web2": 10}; !maps.Equal(got, want) {
		t.Errorf("turns %v, want %v", got, want)
	}
}

func TestLeastConnections(t *testing.T) {
	at := func(busy int64, weight int) *standing {
		s := &standing{node: &node{}, weight: weight}
		s.node.gate.busy.Store(busy)
		return s
	}
	idle, busy, strong := at(1, 1), at(3, 1), at(3, 4)
	p := newPicker(config.LeastConnections)
	for range 10 {
		if got := p.pick([]*standing{busy, idle}, nil); got != idle {
			t.Error("the busier of two was picked")
		}
		if got := p.pick([]*standing{idle, strong}, nil); got != strong {
			t.Error("3 of weight 4 are fewer than 1 of weight 1")
		}
	}
	even := map[*standing]int{}
	equals := []*standing{at(0, 1), at(0, 1)}
	for range 10 {
		even[p.pick(equals, nil)]++
	}
	if even[equals[0]] != 5 {
		t.Errorf("of 10 turns among equals the first got %d", even[equals[0]])
	}
}

// state is what a member reports when it has applied v in folder "shop".
func state(m farm.MemberID, v string) farm.MemberState {
	applied, err := farm.ParseVector(v)
	if err != nil {
		panic(err)
	}
	return farm.MemberState{Member: m, Folders: map[farm.FolderID]farm.FolderState{"shop": {Known: applied, Applied: applied}}}
}

func TestVisitorsGoWhereTheirWritesAre(t *testing.T) {
	for _, c := range []struct {
		name    string
		session string
		prepare func(*Edge)
		want    []string // nodes that answer, of several requests
	}{
		{"no position", "", nil, []string{"web1", "web2"}},
		{"both cover", "shop:web1.a.2", nil, []string{"web1", "web2"}},
		{"only one covers", "shop:web1.a.7", nil, []string{"web1"}},
		{"only the other covers", "shop:web2.a.9", nil, []string{"web2"}},
		{"a folder that nobody has", "gone:web1.a.9", nil, []string{"web1", "web2"}},
		{"draining, another covers", "shop:web1.a.2", func(e *Edge) { drain(e, "web1", "web1.a.7+web2.a.3") }, []string{"web2"}},
		{"draining, alone covers", "shop:web1.a.7", func(e *Edge) { drain(e, "web1", "web1.a.7+web2.a.3") }, []string{"web1"}},
		{"draining, another without position", "", func(e *Edge) { drain(e, "web1", "") }, []string{"web2"}},
		{"lost with its writer's index", "shop:web1.a.9", func(e *Edge) { e.State(state("web1", "web1.a.2+web1.b.1")) }, []string{"web1", "web2"}},
		{"malformed position", "shop:x/%%", nil, []string{"web1", "web2"}},
		{"only seen", "*web3*shop:web2.a.9", nil, []string{"web2"}},
		{"shown by one that has not applied it", "*web1*shop:web2.a.9", nil, []string{"web1", "web2"}},
		{"shown by one that has applied less than what was written", "shop:web2.a.9*web1*", nil, []string{"web1", "web2"}},
		{"seen on one that is gone", "*web3*shop:web3.a.1", nil, []string{"web1", "web2"}},
		{"written here, seen on one that is gone", "shop:web2.a.9*web3*shop:web3.a.1", nil, []string{"web2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			network := newNetwork()
			network.set("web1", named("web1"))
			network.set("web2", named("web2"))
			e := healthyEdge(network, Config{}, "web1", "web2")
			defer closeIdle(e)
			e.State(state("web1", "web1.a.7+web2.a.3"))
			e.State(state("web2", "web1.a.2+web2.a.9"))
			if c.prepare != nil {
				c.prepare(e)
			}
			for _, how := range []string{"cookie", "header"} {
				got := map[string]bool{}
				for range 4 {
					r := visit("GET", "/", nil)
					if how == "cookie" {
						r.Header.Set("Cookie", "a=b; "+farm.SessionCookie+"="+c.session)
					} else {
						r.Header.Set(farm.SessionHeader, c.session)
					}
					w := get(e, r)
					if w.Body.String() != w.Header().Get(NodeHeader) {
						t.Errorf("%s: %q answered, but the header says %q", how, w.Body, w.Header().Get(NodeHeader))
					}
					got[w.Body.String()] = true
				}
				if keys := slices.Sorted(maps.Keys(got)); !slices.Equal(keys, c.want) {
					t.Errorf("%s: answered by %q, want %q", how, keys, c.want)
				}
			}
		})
	}
}

func drain(e *Edge, m farm.MemberID, v string) {
	s := state(m, v)
	s.Draining = true
	e.State(s)
}

// ask starts a request in a bubble and returns where its answer and its duration will be.
func ask(e *Edge, r *http.Request) <-chan result {
	done := make(chan result, 1)
	go func() {
		begun := time.Now()
		w := get(e, r)
		done <- result{w.Code, w.Body.String(), w.Header(), time.Since(begun)}
	}()
	return done
}

type result struct {
	status int
	body   string
	header http.Header
	took   time.Duration
}

func TestWaitsForANodeThatHasIt(t *testing.T) {
	session := "shop:web1.a.7"
	key := testKey
	bubble := func(name string, during func(*Edge), want result) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := newNetwork()
				network.set("web1", named("web1"))
				network.set("web2", named("web2"))
				e := healthyEdge(network, Config{VisitKey: key}, "web1", "web2")
				defer closeIdle(e)
				e.State(state("web1", "web1.a.2"))
				e.State(state("web2", "web1.a.2"))
				r := visit("GET", "/", nil)
				r.Header.Set(farm.SessionHeader, signedBy(testKey, session))
				done := ask(e, r)
				pass(300 * time.Millisecond)
				during(e)
				got := <-done
				if got.status != want.status || want.body != "" && got.body != want.body || got.took != want.took {
					t.Errorf("got %d %q after %v, want %d %q after %v", got.status, got.body, got.took, want.status, want.body, want.took)
				}
			})
		})
	}
	bubble("it applies it", func(e *Edge) { e.State(state("web2", "web1.a.7")) }, result{200, "web2", nil, 300 * time.Millisecond})
	bubble("it applies a part", func(e *Edge) { e.State(state("web2", "web1.a.6")) }, result{200, "", nil, CoverTime})
	bubble("nothing comes", func(*Edge) {}, result{200, "", nil, CoverTime})
	bubble("one is lost", func(e *Edge) { e.Link("web1", false) }, result{200, "web2", nil, CoverTime})
	bubble("all are lost", func(e *Edge) { e.Link("web1", false); e.Link("web2", false) }, result{503, "", nil, CoverTime})

	session = "*web3*shop:web1.a.7"
	bubble("what is seen is waited for a moment", func(*Edge) {}, result{200, "", nil, moment})
	session = "shop:web1.a.7*web3*shop:web3.a.7"
	bubble("then what is written is still waited for", func(e *Edge) { e.State(state("web2", "web1.a.7")) }, result{200, "web2", nil, 300 * time.Millisecond})
	key = nil
	bubble("what is not proven is waited for a moment", func(*Edge) {}, result{200, "", nil, moment})
	key = []byte("of another farm")
	bubble("what is made up is not waited for", func(*Edge) {}, result{200, "", nil, 0})
}

var testKey = []byte("the farm's")

func signedBy(key []byte, session string) string {
	v, _ := farm.OpenVisit(session, nil)
	return v.Sign(key)
}

func TestNoNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		network.set("web1", named("web1"))
		e := healthyEdge(network, Config{}, "web1")
		defer closeIdle(e)
		e.Link("web1", false)

		first := ask(e, visit("GET", "/", nil))
		pass(time.Second)
		second := ask(e, visit("POST", "/", nil))
		if got := <-first; got.status != 503 || got.took != CoverTime || got.header.Get("Retry-After") == "" {
			t.Errorf("the first got %d after %v, Retry-After %q", got.status, got.took, got.header.Get("Retry-After"))
		}
		if got := <-second; got.status != 503 || got.took != CoverTime-time.Second {
			t.Errorf("the second got %d after %v", got.status, got.took)
		}
		if got := <-ask(e, visit("GET", "/", nil)); got.status != 503 || got.took != 0 {
			t.Errorf("a later one got %d after %v", got.status, got.took)
		}
		if got := get(e, visit("GET", HealthPath, nil)); got.Code != 503 {
			t.Errorf("the edge says of its health %d", got.Code)
		}

		e.Link("web1", true)
		e.report("web1", probeOK, "")
		e.report("web1", probeOK, "")
		if got := <-ask(e, visit("GET", "/", nil)); got.status != 200 || got.took != 0 {
			t.Errorf("when it is back: %d after %v", got.status, got.took)
		}
		if got := get(e, visit("GET", HealthPath, nil)); got.Code != 200 {
			t.Errorf("the edge says of its health %d", got.Code)
		}
	})
}

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{}
		g.resize(1, 2)
		enter := func() <-chan error {
			done := make(chan error, 1)
			go func() { done <- g.enter(context.Background(), time.Second) }()
			synctest.Wait()
			return done
		}
		if err := <-enter(); err != nil {
			t.Fatal(err)
		}
		second, third := enter(), enter()
		if err := <-enter(); !errors.Is(err, errBusy) {
			t.Errorf("beyond the queue: %v", err)
		}
		pass(time.Millisecond)
		g.leave()
		if err := <-second; err != nil {
			t.Errorf("the first in the queue: %v", err)
		}
		if err := <-third; !errors.Is(err, errBusy) {
			t.Errorf("after a second in the queue: %v", err)
		}
		moved := enter()
		g.turnAway()
		if err := <-moved; !errors.Is(err, errMoved) {
			t.Errorf("turned away: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() { left <- g.enter(ctx, time.Second) }()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("a visitor that left: %v", err)
		}
		g.leave()
		if n := g.inFlight(); n != 0 {
			t.Errorf("%d in flight at the end", n)
		}
	})
}

func TestFullNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, release := newNetwork(), make(chan struct{})
		for _, id := range []farm.MemberID{"web1", "web2"} {
			network.set(id, serving(func(w http.ResponseWriter, _ *http.Request) { <-release }))
		}
		e := healthyEdge(network, Config{Limits: Limits{MaxPerNode: 2, MaxQueue: 1}}, "web1", "web2")
		defer closeIdle(e)
		var working []<-chan result
		for range 6 { // 2 at work and 1 waiting, per node
			working = append(working, ask(e, visit("GET", "/", nil)))
			synctest.Wait()
		}
		if got := <-ask(e, visit("GET", "/", nil)); got.status != 503 {
			t.Errorf("one too many got %d", got.status)
		}
		for _, s := range e.Stats() {
			if s.InFlight != 2 {
				t.Errorf("%s works on %d", s.Node, s.InFlight)
			}
		}
		close(release)
		for _, w := range working {
			if got := <-w; got.status != 200 {
				t.Errorf("one that waited got %d", got.status)
			}
		}
	})
}

// A site with a bound of its own leaves room for others, and those of its requests that wait for a node which is lost go to another one.
func TestFullSites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, release := newNetwork(), make(chan struct{})
		for _, id := range []farm.MemberID{"web1", "web2"} {
			network.set(id, serving(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					select {
					case <-release:
					case <-r.Context().Done():
					}
				}
			}))
		}
		narrow, wide := &config.EdgeSite{Name: "narrow", MaxPerNode: 1}, &config.EdgeSite{Name: "wide"}
		e := healthyEdge(network, Config{Limits: Limits{MaxPerNode: 9, MaxQueue: 1}, Site: func(host string) *config.EdgeSite {
			if host == "narrow.test" {
				return narrow
			}
			return wide
		}}, "web1", "web2")
		defer closeIdle(e)
		slow := func() *http.Request {
			r := visit("GET", "/slow", nil)
			r.Host = "narrow.test"
			return r
		}
		var working []<-chan result
		for range 4 { // 1 at work and 1 waiting, per node
			working = append(working, ask(e, slow()))
			synctest.Wait()
		}
		if got := <-ask(e, slow()); got.status != 503 {
			t.Errorf("one too many got %d", got.status)
		}
		for range 8 {
			if got := <-ask(e, visit("GET", "/", nil)); got.status != 200 {
				t.Errorf("a visitor of another site got %d", got.status)
			}
		}
		for _, s := range e.Stats() {
			if s.InFlight != 1 {
				t.Errorf("%s works on %d", s.Node, s.InFlight)
			}
		}
		e.Link("web2", false) // its two, one at work and one waiting, have to go to web1, whose queue has room for neither
		synctest.Wait()
		close(release)
		statuses := map[int]int{}
		for _, w := range working {
			statuses[(<-w).status]++
		}
		if statuses[200] != 2 || statuses[503] != 2 {
			t.Errorf("the answers are %v", statuses)
		}
		for _, s := range e.Stats() {
			if s.InFlight != 0 {
				t.Errorf("%s still works on %d", s.Node, s.InFlight)
			}
		}
	})
}

// The edge is asked and told at the same time, with -race.
func TestConcurrentUse(t *testing.T) {
	network := newNetwork()
	ids := []farm.MemberID{"web1", "web2", "web3"}
	for _, id := range ids {
		network.set(id, named(string(id)))
	}
	e := healthyEdge(network, Config{}, ids...)
	defer closeIdle(e)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for range 50 {
				if w := get(e, visit("GET", "/", nil)); w.Code != 200 {
					t.Errorf("status %d", w.Code)
				}
			}
		})
		all.Go(func() {
			for n := range 50 {
				e.State(state(ids[i%3], "web1.a.7"))
				e.SetPolicy([]config.Policy{config.RoundRobin, config.LeastConnections}[n%2])
				e.Stats()
			}
		})
	}
	all.Go(func() {
		for range 20 {
			e.Link("web3", false)
			e.Link("web3", true)
			e.report("web3", probeOK, "")
			e.report("web3", probeOK, "")
		}
	})
	all.Wait()
}
