package edge

import (
	"time"

	"tandem/internal/config"
)

// SiteState is how a site is on one node, beyond the health of the node.
type SiteState uint8

const (
	Serving     SiteState = iota // the node gets the site's visitors
	SiteFailing                  // its probe says that it does not serve the site
	Ejected                      // too many of its answers were failures; it is tried again when the time is over
)

func (s SiteState) String() string { return [...]string{"serving", "failing", "ejected"}[s] }

// siteHealth is the state machine of a site on a node. It is a value: each input returns the next one.
type siteHealth struct {
	state SiteState
	good  int // probes in a row
	bad   int
	until time.Time // when Ejected ends by itself

	begun    time.Time // of the window in which answers are counted
	answers  int
	failures int
}

// probed takes the result of a probe.
func (h siteHealth) probed(ok bool, p *config.Probe) siteHealth {
	if ok {
		h.good, h.bad = h.good+1, 0
		if h.state == SiteFailing && h.good >= p.Passes {
			h.state = Serving
		}
		return h
	}
	h.good, h.bad = 0, h.bad+1
	if h.state != SiteFailing && h.bad >= p.Fails {
		h.state = SiteFailing
	}
	return h
}

// answered takes an answer that a visitor got, or a request that got none.
func (h siteHealth) answered(failed bool, e *config.Eject, now time.Time) siteHealth {
	if h.state == Ejected && !now.Before(h.until) {
		h.state = Serving
	}
	if h.state != Serving {
		return h
	}
	if now.Sub(h.begun) >= e.Within {
		h.begun, h.answers, h.failures = now, 0, 0
	}
	h.answers++
	if failed {
		h.failures++
	}
	if h.answers >= e.Of && h.failures*100 >= int(e.Share)*h.answers {
		h.state, h.until, h.begun = Ejected, now.Add(e.For), time.Time{}
	}
	return h
}

// without is what remains when a site has no probe, or no rule for its answers, any more.
func (h siteHealth) without(o *config.EdgeSite) siteHealth {
	if o.Probe == nil && h.state == SiteFailing || o.Eject == nil && h.state == Ejected {
		return siteHealth{}
	}
	return h
}

// out tells whether the node gets none of the site's visitors.
func (h siteHealth) out(now time.Time) bool {
	return h.state == SiteFailing || h.state == Ejected && now.Before(h.until)
}
