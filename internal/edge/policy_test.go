package edge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// nodesOf are as many nodes of weight 1.
func nodesOf(n int) (all []*standing) {
	for i := range n {
		id := farm.MemberID(fmt.Sprintf("web%d", i+1))
		all = append(all, &standing{node: &node{id: id, seed: hashOf(string(id)), now: time.Now}, weight: 1})
	}
	return all
}

// shareOf is what part of many requests each node gets.
func shareOf(p picker, from []*standing, request func(i int) *exchange) map[farm.MemberID]float64 {
	const many = 20000
	share := map[farm.MemberID]float64{}
	for i := range many {
		share[p.pick(from, request(i)).node.id] += 1.0 / many
	}
	return share
}

func near(got, want, off float64) bool { return math.Abs(got-want) <= off }

func TestTwoChoices(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)).IntN
	p := twoChoices{random}
	from := nodesOf(3)
	from[2].weight = 2
	share := shareOf(p, from, func(int) *exchange { return nil })
	// First choices are by weight, and without requests in flight the first one stays.
	if !near(share["web1"], .25, .02) || !near(share["web2"], .25, .02) || !near(share["web3"], .5, .02) {
		t.Errorf("idle nodes of the weights 1, 1, 2 get %v", share)
	}
	from[0].node.gate.busy.Store(9)
	if share = shareOf(p, from, func(int) *exchange { return nil }); share["web1"] != 0 {
		t.Errorf("the busiest of three gets %v", share)
	}
	if p.pick(from[:1], nil) != from[0] {
		t.Error("the only node is not picked")
	}
}

// A farm of a fast node and a slow one, in virtual time: each request is answered after its node's time.
func TestLeastTimePrefersTheFastNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := nodesOf(2)
		took := []time.Duration{5 * time.Millisecond, 50 * time.Millisecond}
		p := newPicker(config.LeastTime)
		got := map[*standing]int{}
		visit := func() {
			s := p.pick(from, nil)
			i := 0
			if s == from[1] {
				i = 1
			}
			got[s]++
			s.node.gate.busy.Add(1)
			go func() {
				begun := time.Now()
				pass(took[i])
				s.node.answers.observe(time.Since(begun), time.Now())
				s.node.gate.busy.Add(-1)
			}()
		}
		run := func(n int) {
			clear(got)
			for range n {
				visit()
				pass(2 * time.Millisecond)
			}
			pass(time.Second)
		}
		run(1000)
		if got[from[0]] < 900 || got[from[1]] == 0 {
			t.Errorf("of 1000 requests the fast node got %d, the slow one %d", got[from[0]], got[from[1]])
		}
		took[0], took[1] = took[1], took[0]
		run(10000) // 20 s: what was slow is tried again
		if got[from[1]] < 5000 {
			t.Errorf("after they have changed places, the fast node got %d of 10000", got[from[1]])
		}
	})
}

func TestAnswerTimes(t *testing.T) {
	var a answerTimes
	now := time.Unix(0, 0)
	if _, known := a.expected(now); known {
		t.Error("something is known of a node that has not answered")
	}
	for _, c := range []struct {
		after, took time.Duration
		least, most time.Duration
	}{
		{0, 10 * time.Millisecond, 10 * time.Millisecond, 10 * time.Millisecond},
		{time.Second, time.Second, time.Second, time.Second},                                 // a peak counts at once
		{time.Second, 10 * time.Millisecond, 900 * time.Millisecond, 910 * time.Millisecond}, // and is forgotten slowly
		{time.Minute, 10 * time.Millisecond, 10 * time.Millisecond, 15 * time.Millisecond},
	} {
		now = now.Add(c.after)
		a.observe(c.took, now)
		if got, _ := a.expected(now); got < c.least || got > c.most {
			t.Errorf("after %v: %v, want %v to %v", c.took, got, c.least, c.most)
		}
	}
}

func TestHashMovesOnlyTheVisitorsOfANodeThatGoes(t *testing.T) {
	from := nodesOf(5)
	from[4].weight = 2
	p := newPicker("hash uri")
	request := func(i int) *exchange {
		return &exchange{r: httptest.NewRequest("GET", fmt.Sprintf("/%d", i), nil)}
	}
	share := shareOf(p, from, request)
	for _, s := range from {
		if want := float64(s.weight) / 6; !near(share[s.node.id], want, .015) {
			t.Errorf("%s gets %.3f, want %.3f", s.node.id, share[s.node.id], want)
		}
	}
	moved := 0
	for i := range 5000 {
		x := request(i)
		before, after := p.pick(from, x), p.pick(from[1:], x)
		if before != after {
			moved++
			if before != from[0] {
				t.Fatalf("%s moved from %s to %s", x.r.URL, before.node.id, after.node.id)
			}
		}
	}
	if !near(float64(moved)/5000, 1.0/6, .02) {
		t.Errorf("%d of 5000 moved", moved)
	}
}

func TestWhatIsHashed(t *testing.T) {
	from := nodesOf(16)
	request := func(remote, uri, header, cookie string) *exchange {
		r := httptest.NewRequest("GET", uri, nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Shop", header)
		r.Header.Set("Cookie", "a=b; sid="+cookie)
		x := &exchange{edge: New(Config{}), r: r}
		x.recognise()
		return x
	}
	base := func() *exchange { return request("192.0.2.1:1000", "/a?b", "h", "c") }
	for policy, c := range map[config.Policy]struct{ same, other *exchange }{
		"hash address":       {request("192.0.2.1:2000", "/", "", ""), request("192.0.2.3:1000", "/a?b", "h", "c")},
		"hash uri":           {request("192.0.2.9:1", "/a?b", "", ""), request("192.0.2.1:1000", "/a?c", "h", "c")},
		"hash header x-shop": {request("192.0.2.9:1", "/", "h", ""), request("192.0.2.1:1000", "/a?b", "i", "c")},
		"hash cookie sid":    {request("192.0.2.9:1", "/", "", "c"), request("192.0.2.1:1000", "/a?b", "h", "d")},
	} {
		p := newPicker(policy)
		if p.pick(from, base()) != p.pick(from, c.same) {
			t.Errorf("%s: equals go to different nodes", policy)
		}
		if p.pick(from, base()) == p.pick(from, c.other) { // one in 16, but always the same
			t.Errorf("%s: different ones go to the same node", policy)
		}
	}
	p := newPicker("hash address")
	if p.pick(from, request("[2001:db8::1]:1", "/", "", "")) != p.pick(from, request("[2001:db8::ffff:1]:1", "/", "", "")) {
		t.Error("an IPv6 visitor who has changed his address is another")
	}
	without := map[*standing]bool{}
	p = newPicker("hash cookie sid")
	for range 16 {
		without[p.pick(from, request("192.0.2.1:1", "/", "h", ""))] = true
	}
	if len(without) != 16 {
		t.Errorf("requests without the cookie go to %d of 16 nodes", len(without))
	}
}

func TestSpareNodesAreTheLastResort(t *testing.T) {
	network := newNetwork()
	for _, id := range []farm.MemberID{"web1", "web2"} {
		network.set(id, named(string(id)))
	}
	e := healthyEdge(network, Config{}, "web1", "web2")
	defer closeIdle(e)
	e.SetNodes([]Node{{ID: "web1"}, {ID: "web2", Spare: true}})
	ask := func() string { return get(e, visit("GET", "/", nil)).Body.String() }
	for _, c := range []struct {
		name string
		do   func()
		want string
	}{
		{"all is well", func() {}, "web1"},
		{"the first is strained", func() { e.report("web1", strainOn, "its disk is full") }, "web1"},
		{"the first drains", func() { drain(e, "web1", "") }, "web2"},
		{"the first is back", func() { e.State(state("web1", "")); e.report("web1", strainOff, "") }, "web1"},
		{"the first is dead", func() { e.Link("web1", false) }, "web2"},
	} {
		c.do()
		for range 3 {
			if got := ask(); got != c.want {
				t.Errorf("%s: %s answered", c.name, got)
			}
		}
	}
}

func TestSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		for _, id := range []farm.MemberID{"web1", "web2"} {
			network.set(id, named(string(id)))
		}
		e := healthyEdge(network, Config{Limits: Limits{SlowStart: 10 * time.Second}}, "web1", "web2")
		defer closeIdle(e)
		e.random = rand.New(rand.NewPCG(3, 4)).Float64
		share := func() float64 {
			n := 0
			for range 400 {
				if get(e, visit("GET", "/", nil)).Body.String() == "web2" {
					n++
				}
			}
			return float64(n) / 400
		}
		if got := share(); got != .5 {
			t.Errorf("of two that have just come up the second has %.2f", got)
		}
		pass(10 * time.Second)
		e.Link("web2", false)
		e.Link("web2", true)
		e.report("web2", probeOK, "")
		e.report("web2", probeOK, "")
		for _, c := range []struct {
			after time.Duration
			want  float64
		}{{time.Second, .05}, {4 * time.Second, .25}, {5 * time.Second, .5}} {
			pass(c.after)
			if got := share(); !near(got, c.want, .05) {
				t.Errorf("after %v more: %.2f, want %.2f", c.after, got, c.want)
			}
		}
		e.Link("web1", false)
		e.Link("web2", false)
		e.Link("web2", true)
		e.report("web2", probeOK, "")
		e.report("web2", probeOK, "")
		if got := share(); got != 1 {
			t.Errorf("one that has just come up and is alone has %.2f", got)
		}
	})
}
