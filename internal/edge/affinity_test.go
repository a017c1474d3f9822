package edge

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// affine is a farm of three nodes whose only site has the affinity.
func affine(a config.Affinity) *Edge {
	network := newNetwork()
	ids := []farm.MemberID{"web1", "web2", "web3"}
	for _, id := range ids {
		network.set(id, named(string(id)))
	}
	options := &config.EdgeSite{Name: "shop", Affinity: a}
	return healthyEdge(network, Config{Site: func(string) *config.EdgeSite { return options }}, ids...)
}

func TestAffinityByCookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := config.Affinity{By: config.ByCookie, Cookie: "node", Drain: 30 * time.Second}
		e, other := affine(a), affine(a)
		defer closeIdle(e)
		defer closeIdle(other)
		cookie := ""
		ask := func(e *Edge, session string) (node string, set string) {
			r := visit("GET", "/", nil)
			r.TLS = &tls.ConnectionState{}
			if cookie != "" {
				r.Header.Set("Cookie", "node="+cookie)
			}
			r.Header.Set(farm.SessionHeader, session)
			w := get(e, r)
			if set = w.Header().Get("Set-Cookie"); set != "" {
				c, err := http.ParseSetCookie(set)
				if err != nil || !c.HttpOnly || !c.Secure || c.Path != "/" || c.SameSite != http.SameSiteLaxMode || strings.Contains(c.Value, w.Body.String()) {
					t.Errorf("the cookie is %q, %v", set, err)
				}
				set = c.Value
			}
			return w.Body.String(), set
		}
		stays := func(what string, e *Edge, want string) {
			t.Helper()
			for range 4 {
				if node, set := ask(e, ""); node != want || set != "" {
					t.Errorf("%s: %s answered and set %q, want %s", what, node, set, want)
				}
			}
		}
		first, mark := ask(e, "")
		if mark == "" {
			t.Fatal("no cookie is set")
		}
		cookie = mark
		stays("the same edge", e, first)
		stays("another edge", other, first)

		id := farm.MemberID(first)
		drain(e, id, "")
		stays("it drains", e, first)
		pass(30 * time.Second)
		second, mark := ask(e, "")
		if second == first || mark == "" || mark == cookie {
			t.Errorf("after the limit of the drain %s answered, and set %q", second, mark)
		}
		cookie = mark
		stays("bound anew", e, second)

		e.Link(farm.MemberID(second), false)
		third, mark := ask(e, "")
		if third == second || third == first || mark == "" {
			t.Errorf("after its death %s answered, and set %q", third, mark)
		}
		cookie = "forged"
		if _, mark := ask(e, ""); mark == "" {
			t.Error("a mark of no node is left as it is")
		}
		// What the visitor has written counts more: only the node that drains has it.
		cookie = mark
		drain(e, id, "web9.a.5")
		e.State(state(farm.MemberID(third), "web9.a.4"))
		if node, set := ask(e, "shop:web9.a.5"); node != first || set != "" {
			t.Errorf("%s answered and set %q, but only %s has what the visitor wrote", node, set, first)
		}
	})
}

func TestAffinityByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := affine(config.Affinity{By: config.ByAddress, Drain: 30 * time.Second})
		defer closeIdle(e)
		e.SetNodes([]Node{{ID: "web1"}, {ID: "web2"}, {ID: "web3", Spare: true}})
		ask := func(address string) string {
			r := visit("GET", "/", nil)
			r.RemoteAddr = address
			w := get(e, r)
			if w.Header().Get("Set-Cookie") != "" {
				t.Error("a cookie is set")
			}
			return w.Body.String()
		}
		at := map[string]string{}
		for _, a := range []string{"192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1", "192.0.2.4:1", "192.0.2.5:1", "192.0.2.6:1"} {
			at[a] = ask(a)
			if at[a] == "web3" || ask(a) != at[a] {
				t.Errorf("%s is at %s, then at %s", a, at[a], ask(a))
			}
		}
		drain(e, "web1", "")
		for a, node := range at {
			if got := ask(a); got != node {
				t.Errorf("while web1 drains, %s goes from %s to %s", a, node, got)
			}
		}
		pass(30 * time.Second)
		for a := range at {
			if got := ask(a); got != "web2" {
				t.Errorf("when web1 has drained, %s is at %s", a, got)
			}
		}
	})
}

func TestMarksAreOfKeys(t *testing.T) {
	a, b := markOf(Node{ID: "web1", Key: "sha256:1"}), markOf(Node{ID: "web2", Key: "sha256:1"})
	if a != b || a == markOf(Node{ID: "web1", Key: "sha256:2"}) || len(a) != 12 {
		t.Errorf("marks are %q and %q", a, b)
	}
}
