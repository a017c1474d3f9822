package edge

import (
	"testing"

	"tandem/internal/config"
)

func TestSitesAreKeptByName(t *testing.T) {
	now := map[string]*config.EdgeSite{"a.test": {Name: "a"}, "b.test": {Name: "b", Policy: config.LeastConnections}, "c.test": {}}
	e := New(Config{Site: func(host string) *config.EdgeSite { return now[host] }})
	of := func(host string) *site { s, _ := e.siteOf(host); return s }
	if of("x.test") != nil {
		t.Error("a site that is not there was found")
	}
	a, b, c := of("a.test"), of("b.test"), of("c.test")
	v := e.view.Load()
	if a.picker(v) != v.picker || b.picker(v) == v.picker {
		t.Error("the farm's policy is not for those who do not say, and only for those")
	}
	turns := b.picker(v)
	now["b.test"] = &config.EdgeSite{Name: "b", Policy: config.LeastConnections}
	if of("b.test") != b || b.options() != now["b.test"] || b.picker(v) != turns {
		t.Error("a revision without a change of policy began it anew")
	}
	now["b.test"] = &config.EdgeSite{Name: "b", Policy: config.RoundRobin}
	if of("b.test") != b || b.picker(v) == turns {
		t.Error("another policy had no effect")
	}
	e.SetSites([]*config.EdgeSite{now["b.test"]})
	if of("a.test") == a || of("b.test") != b || of("c.test") != c {
		t.Error("sites that left were kept, or others not")
	}
}
