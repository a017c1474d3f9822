package edge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// HealthPath is what nodes answer with status 200 while they serve, and the edge while it has a node to send to.
const HealthPath = "/.tandem/health"

// StrainHeader is the field of a node's answer about its health that says on one line what is amiss with it, while it still
// serves. It then gets visitors only when no other node is fit.
const StrainHeader = "Tandem-Strain"

// A node that stops answering without its session being lost is found within ProbeInterval + 2 * ProbeTime, under a
// second: a result that could change the state is confirmed at once.
const (
	ProbeInterval = 300 * time.Millisecond
	ProbeTime     = 300 * time.Millisecond
	confirmTime   = 10 * time.Millisecond
)

// Run probes the nodes until ctx ends; then it closes idle connections and tunnels. It returns nil.
func (e *Edge) Run(ctx context.Context) error {
	var all sync.WaitGroup
	probers := map[*node]context.CancelFunc{}
	defer func() {
		for _, stop := range probers {
			stop()
		}
		all.Wait()
		e.end()
		for n := range probers {
			n.pool.close()
		}
	}()
	for {
		now := map[*node]bool{}
		e.mu.Lock()
		for _, n := range e.nodes {
			now[n] = true
		}
		e.mu.Unlock()
		for n, stop := range probers {
			if !now[n] {
				stop()
				delete(probers, n)
			}
		}
		for n := range now {
			if probers[n] == nil {
				its, stop := context.WithCancel(ctx)
				probers[n] = stop
				all.Go(func() { e.watch(its, n) })
			}
		}
		select {
		case <-e.changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// watch probes one node. Without a session there is nothing to find out: it waits for one.
func (e *Edge) watch(ctx context.Context, n *node) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-n.nudge:
		}
		e.mu.Lock()
		session := e.sessions[n.id]
		e.mu.Unlock()
		wait := ProbeInterval
		if session {
			strain, err := e.probe(ctx, n)
			if ctx.Err() != nil {
				return
			}
			e.judge(n, strain, err)
			e.mu.Lock()
			if n.health.undecided() {
				wait = confirmTime
			}
			e.mu.Unlock()
		}
		n.pool.sweep(e.cfg.Now())
		timer.Reset(wait)
	}
}

// judge takes the result of a probe.
func (e *Edge) judge(n *node, strain string, err error) {
	switch {
	case err != nil:
		e.report(n.id, probeBad, "health probe: "+err.Error())
		return
	case strain != "":
		e.report(n.id, strainOn, strain)
	default:
		e.report(n.id, strainOff, "nothing is amiss any more")
	}
	e.report(n.id, probeOK, cmp.Or(strain, "it answers"))
}

// probe asks the node for its health on a connection like those that visitors' requests take.
func (e *Edge) probe(ctx context.Context, n *node) (strain string, err error) {
	ctx, cancel := context.WithTimeout(ctx, ProbeTime)
	defer cancel()
	c, err := n.pool.get(ctx, e.cfg.Now(), false)
	if err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, c.interrupt)
	a, err := c.askHealth(string(n.id))
	strain = a.get(StrainHeader)
	if stop() && err == nil && !a.close && c.br.Buffered() == 0 {
		n.pool.put(c, e.cfg.Now())
	} else {
		n.pool.drop(c)
	}
	switch {
	case isTimeout(err):
		return "", fmt.Errorf("no answer within %v", ProbeTime)
	case err != nil:
		return "", err
	case a.status != http.StatusOK:
		return "", fmt.Errorf("it says %d %s", a.status, http.StatusText(a.status))
	}
	return strain, nil
}

// maxHealthBytes bounds what a node says of its health.
const maxHealthBytes = 4 << 10

func (c *conn) askHealth(host string) (answer, error) {
	if _, err := fmt.Fprintf(c.bw, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", HealthPath, host); err != nil {
		return answer{}, err
	}
	if err := c.bw.Flush(); err != nil {
		return answer{}, err
	}
	a, err := c.readAnswer(http.MethodGet)
	if err != nil {
		return a, err
	}
	b := newBody(c.br, &a, http.MethodGet)
	for n := 0; n <= maxHealthBytes; {
		p, err := b.peek()
		if err != nil {
			return a, eofIsFine(err)
		}
		n += len(p)
		b.advance(len(p))
	}
	return a, errors.New("its health is too long to read")
}

func eofIsFine(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}
