package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// maxProbeBytes is how much of a site's answer to a probe is looked at.
const maxProbeBytes = 256 << 10

// siteLook is how soon a site that has lost its probe is looked at again.
const siteLook = time.Second

// outages are the nodes that get none of a site's requests, with the state that is to blame. They are immutable.
type outages map[*node]siteHealth

// conditions are what an edge has found out of a site on the nodes.
type conditions struct {
	out atomic.Pointer[outages]

	mu sync.Mutex
	at map[*node]condition
}

// condition is how a site is on a node, and why.
type condition struct {
	siteHealth
	cause string // of the state
}

// change moves the state of the site on a node, and returns that before and after.
func (c *conditions) change(n *node, now time.Time, to func(siteHealth) (siteHealth, string)) (before, after siteHealth) {
	c.mu.Lock()
	defer c.mu.Unlock()
	its := c.at[n]
	after, cause := to(its.siteHealth)
	changed := its.state != after.state
	if changed {
		its.cause = cause
	}
	before, its.siteHealth = its.siteHealth, after
	if c.at == nil {
		c.at = map[*node]condition{}
	}
	c.at[n] = its
	if changed {
		c.publish(now)
	}
	return before, after
}

// publish makes what requests see. Under mu.
func (c *conditions) publish(now time.Time) {
	out := outages{}
	for n, h := range c.at {
		if h.out(now) {
			out[n] = h.siteHealth
		}
	}
	c.out.Store(&out)
}

// keep forgets nodes that are gone, and what new options leave no reason for.
func (c *conditions) keep(nodes []*node, o *config.EdgeSite, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.at
	c.at = map[*node]condition{}
	for _, n := range nodes {
		if h, ok := old[n]; ok {
			c.at[n] = condition{h.without(o), h.cause}
		}
	}
	c.publish(now)
}

// shun returns the nodes that must not have the site's request; none: no node of the view can. When answers alone have
// taken all out, it is the site that fails and not the nodes, so all stay in.
func (c *conditions) shun(v *view, now time.Time) (shun outages, none bool) {
	var out outages
	if p := c.out.Load(); p != nil {
		out = *p
	}
	if len(out) == 0 {
		return nil, false
	}
	all, failing := 0, outages{}
	shun = outages{}
	for _, tier := range v.tiers {
		for _, s := range tier {
			all++
			if h, ok := out[s.node]; ok && h.out(now) {
				shun[s.node] = h
				if h.state == SiteFailing {
					failing[s.node] = h
				}
			}
		}
	}
	switch {
	case len(shun) < all:
		return shun, false
	case len(failing) < all:
		return failing, false
	}
	return nil, all > 0
}

// watchSite probes a site on all nodes until ctx ends.
func (e *Edge) watchSite(ctx context.Context, s *site) {
	for {
		wait := siteLook
		if p := s.options().Probe; p != nil {
			e.probeSiteOnAll(ctx, s, p)
			wait = p.Interval
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

func (e *Edge) probeSiteOnAll(ctx context.Context, s *site, p *config.Probe) {
	var all sync.WaitGroup
	for _, tier := range e.view.Load().tiers {
		for _, to := range tier {
			all.Go(func() {
				err := e.probeSite(ctx, to.node, p)
				if ctx.Err() == nil {
					e.judgeSite(s, to.node, p, err)
				}
			})
		}
	}
	all.Wait()
}

// judgeSite takes the result of a probe.
func (e *Edge) judgeSite(s *site, n *node, p *config.Probe, err error) {
	before, after := s.change(n, e.cfg.Now(), func(h siteHealth) (siteHealth, string) {
		return h.probed(err == nil, p), fmt.Sprint(err)
	})
	if before.state == after.state {
		return
	}
	e.mu.Lock()
	e.renew()
	e.mu.Unlock()
	name := s.options().Name
	ev := farm.Event{ID: farm.EventSiteDown, Subject: name + " on " + string(n.id), Fields: map[string]string{"node": string(n.id)}}
	if after.state == SiteFailing {
		ev.Severity = farm.Fault
		ev.Message = fmt.Sprintf("no visitors of it are sent to %s: its probe says: %v", n.id, err)
		ev.Next = "look at the site's application on " + string(n.id)
	} else {
		ev.Severity, ev.Message = farm.Healed, "visitors of it are sent to "+string(n.id)+" again"
	}
	e.cfg.Sink(ev)
}

// tally counts an answer of a node for the site.
func (x *exchange) tally(n *node, failed bool) {
	rule := x.options.Eject
	if rule == nil {
		return
	}
	now := x.edge.cfg.Now()
	before, after := x.site.change(n, now, func(h siteHealth) (siteHealth, string) {
		h = h.answered(failed, rule, now)
		return h, fmt.Sprintf("%d of %d answers were failures", h.failures, h.answers)
	})
	if before.state == Ejected || after.state != Ejected {
		return
	}
	x.edge.cfg.Sink(farm.Event{
		ID: farm.EventSiteEjected, Severity: farm.Warning, Subject: x.options.Name + " on " + string(n.id),
		Message: fmt.Sprintf("no visitors of it are sent to %s for %v, unless all nodes are as bad: %d of %d answers were failures", n.id, rule.For, after.failures, after.answers),
		Next:    "look at the site's application on " + string(n.id), Fields: map[string]string{"node": string(n.id)},
	})
}

// probeSite finds out whether the node serves the site; the error says what is wrong.
func (e *Edge) probeSite(ctx context.Context, n *node, p *config.Probe) error {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	if p.Port != 0 {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(n.host(), strconv.Itoa(p.Port)))
		if err == nil {
			err = c.Close()
		}
		return err
	}
	c, err := n.pool.get(ctx, e.cfg.Now(), false)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, c.interrupt)
	whole, err := c.askSite(p)
	if stop() && whole {
		n.pool.put(c, e.cfg.Now())
	} else {
		n.pool.drop(c)
	}
	if isTimeout(err) {
		return fmt.Errorf("no answer within %v", p.Timeout)
	}
	return err
}

// askSite asks for the probe's page as a visitor would, and says what is wrong with the answer. The connection can be used
// again if the answer was read whole.
func (c *conn) askSite(p *config.Probe) (whole bool, err error) {
	proto := "http"
	if p.TLS {
		proto = "https"
	}
	if _, err = fmt.Fprintf(c.bw, "GET %s HTTP/1.1\r\nHost: %s\r\nX-Forwarded-Proto: %s\r\nUser-Agent: tandem\r\n\r\n", p.Path, p.Host, proto); err == nil {
		err = c.bw.Flush()
	}
	if err != nil {
		return false, err
	}
	a, err := c.readAnswer(http.MethodGet)
	if err != nil {
		return false, err
	}
	b := newBody(c.br, &a, http.MethodGet)
	var text []byte
	for len(text) <= maxProbeBytes && !whole {
		piece, err := b.peek()
		if err == io.EOF {
			whole = true
			break
		} else if err != nil {
			return false, err
		}
		text = append(text, piece...)
		b.advance(len(piece))
	}
	whole = whole && !a.close && c.br.Buffered() == 0
	switch {
	case a.status < p.Low || a.status > p.High:
		return whole, fmt.Errorf("status %d %s", a.status, http.StatusText(a.status))
	case !bytes.Contains(text, []byte(p.Contains)):
		return whole, errors.New("the page does not hold the text that it should")
	}
	return whole, nil
}
