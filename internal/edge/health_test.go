package edge

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tandem/internal/farm"
)

func TestEveryTransition(t *testing.T) {
	all := []input{sessionUp, sessionLost, probeOK, probeBad, connBad, answered, drainOn, drainOff, strainOn, strainOff, removed}
	names := []string{"sessionUp", "sessionLost", "probeOK", "probeBad", "connBad", "answered", "drainOn", "drainOff", "strainOn", "strainOff", "removed"}
	start := map[string]health{
		"unknown, no session":     {},
		"unknown":                 {session: true},
		"unknown, drain on":       {session: true, draining: true},
		"unknown, 1 failure":      {session: true, bad: 1},
		"healthy":                 {state: Healthy, session: true},
		"healthy, 1 failure":      {state: Healthy, session: true, bad: 1},
		"failing, no session":     {state: Failing},
		"failing":                 {state: Failing, session: true},
		"failing, 1 ok":           {state: Failing, session: true, good: 1},
		"failing, 1 ok, drain on": {state: Failing, session: true, draining: true, good: 1},
		"draining":                {state: Draining, session: true, draining: true},
		"draining, 1 failure":     {state: Draining, session: true, draining: true, bad: 1},
		"strained":                {state: Strained, session: true, strained: true},
		"draining, strained":      {state: Draining, session: true, draining: true, strained: true},
		"failing, 1 ok, strained": {state: Failing, session: true, strained: true, good: 1},
		"unknown, strained":       {session: true, strained: true},
		"removed":                 {state: Removed},
	}
	// The states after each input, in the order of all; "-" means no change of state.
	want := map[string][]string{
		"unknown, no session":     {"-", "failing", "-", "-", "-", "-", "-", "-", "-", "-", "removed"},
		"unknown":                 {"-", "failing", "healthy", "-", "-", "-", "-", "-", "-", "-", "removed"},
		"unknown, drain on":       {"-", "failing", "draining", "-", "-", "-", "-", "-", "-", "-", "removed"},
		"unknown, 1 failure":      {"-", "failing", "healthy", "failing", "failing", "-", "-", "-", "-", "-", "removed"},
		"healthy":                 {"-", "failing", "-", "-", "-", "-", "draining", "-", "strained", "-", "removed"},
		"healthy, 1 failure":      {"-", "failing", "-", "failing", "failing", "-", "draining", "-", "strained", "-", "removed"},
		"failing, no session":     {"-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "removed"},
		"failing":                 {"-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "removed"},
		"failing, 1 ok":           {"-", "-", "healthy", "-", "-", "-", "-", "-", "-", "-", "removed"},
		"failing, 1 ok, drain on": {"-", "-", "draining", "-", "-", "-", "-", "-", "-", "-", "removed"},
		"draining":                {"-", "failing", "-", "-", "-", "-", "-", "healthy", "-", "-", "removed"},
		"draining, 1 failure":     {"-", "failing", "-", "failing", "failing", "-", "-", "healthy", "-", "-", "removed"},
		"removed":                 {"-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"},
		"strained":                {"-", "failing", "-", "-", "-", "-", "draining", "-", "-", "healthy", "removed"},
		"draining, strained":      {"-", "failing", "-", "-", "-", "-", "-", "strained", "-", "-", "removed"},
		"failing, 1 ok, strained": {"-", "-", "strained", "-", "-", "-", "-", "-", "-", "-", "removed"},
		"unknown, strained":       {"-", "failing", "strained", "-", "-", "-", "-", "-", "-", "-", "removed"},
	}
	for name, h := range start {
		for i, in := range all {
			w := want[name][i]
			if w == "-" {
				w = h.state.String()
			}
			if got := h.step(in).state.String(); got != w {
				t.Errorf("%s, then %s: %s, want %s", name, names[i], got, w)
			}
		}
	}
}

func TestCountsStartAgain(t *testing.T) {
	for _, c := range []struct {
		name string
		from health
		ins  []input
		want Health
	}{
		{"an answer between two failures", health{state: Healthy, session: true}, []input{probeBad, answered, probeBad}, Healthy},
		{"a probe between two failures", health{state: Healthy, session: true}, []input{connBad, probeOK, connBad}, Healthy},
		{"a failure between two good probes", health{state: Failing, session: true}, []input{probeOK, probeBad, probeOK}, Failing},
		{"probes without a session prove nothing", health{state: Failing}, []input{probeOK, probeOK, probeOK}, Failing},
		{"answers alone do not heal", health{state: Failing, session: true}, []input{answered, answered, answered}, Failing},
		{"a session alone does not heal", health{state: Failing}, []input{sessionUp}, Failing},
		{"session and probes heal", health{state: Failing}, []input{sessionUp, probeOK, probeOK}, Healthy},
		{"drain off while failing", health{state: Failing, session: true, draining: true}, []input{drainOff, probeOK, probeOK}, Healthy},
	} {
		h := c.from
		for _, in := range c.ins {
			h = h.step(in)
		}
		if h.state != c.want {
			t.Errorf("%s: %s, want %s", c.name, h.state, c.want)
		}
	}
}

// A node that is silent, refuses, says 503 or lost its session is found within a second, and found again when it is back.
func TestRunFindsDeadNodes(t *testing.T) {
	mute := func(c net.Conn) {
		defer c.Close()
		_, _ = c.Read(make([]byte, 1<<10))
		_, _ = c.Read(make([]byte, 1)) // until the edge gives up
	}
	unwell := func(c net.Conn) {
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(StrainHeader, "folder shop is halted")
			w.WriteHeader(503)
		})
		_ = (&http.Server{Handler: h}).Serve(&oneConn{Conn: c})
	}
	for name, dead := range map[string]func(net.Conn){"mute": mute, "unwell": unwell, "refusing": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network, log := newNetwork(), &events{}
				network.set("web1", named("web1"))
				e := New(Config{Dialer: network, Sink: log.sink})
				ctx, stop := context.WithCancel(t.Context())
				var run sync.WaitGroup
				run.Go(func() { _ = e.Run(ctx) })
				e.SetNodes([]Node{{ID: "web1"}})
				e.Link("web1", true)
				synctest.Wait()
				if got := e.Stats()[0].State; got != "healthy" {
					t.Fatalf("at the beginning it is %s", got)
				}
				pass(10 * time.Millisecond) // not on a tick
				network.set("web1", dead)
				e.nodes[0].pool.flush()
				pass(time.Second)
				if got := e.Stats()[0]; got.State != "failing" || name == "unwell" && got.Cause != "health probe: folder shop is halted" {
					t.Errorf("a second after its death it is %s (%s)", got.State, got.Cause)
				}
				network.set("web1", named("web1"))
				e.nodes[0].pool.flush()
				pass(time.Second)
				if got := e.Stats()[0]; got.State != "healthy" {
					t.Errorf("a second after its return it is %s (%s)", got.State, got.Cause)
				}
				e.Link("web1", false)
				if got := e.Stats()[0]; got.State != "failing" || got.Cause != "session lost" {
					t.Errorf("without session it is %s (%s)", got.State, got.Cause)
				}
				want := []string{"node.up web1 healthy", "node.down web1 failing", "node.up web1 healthy", "node.down web1 failing"}
				if got := log.ids(); !slices.Equal(got, want) {
					t.Errorf("events %q, want %q", got, want)
				}
				stop()
				run.Wait()
			})
		})
	}
}

func TestEventsOfDrainAndRemoval(t *testing.T) {
	log := &events{}
	e := healthyEdge(newNetwork(), Config{Sink: log.sink}, "web1", "web2")
	e.State(farm.MemberState{Member: "web1", Draining: true})
	e.State(farm.MemberState{Member: "web1", Draining: true})
	e.State(farm.MemberState{Member: "web1"})
	e.SetNodes([]Node{{ID: "web2"}})
	e.State(farm.MemberState{Member: "web1", Draining: true}) // no node any more
	want := []string{"node.up web1 healthy", "node.up web2 healthy", "node.down web1 draining", "node.up web1 healthy", "node.down web1 removed"}
	if got := log.ids(); !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}
