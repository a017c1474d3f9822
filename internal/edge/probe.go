package edge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// HealthPath is what nodes answer with status 200 while they serve, and the edge while it has a node to send to.
const HealthPath = "/.tandem/health"

// StrainHeader is the field of a node's answer about its health that says on one line what is amiss with it. If the status is 200, it
// still serves, and gets visitors only when no other node is fit.
const StrainHeader = "Tandem-Strain"

// A node that stops answering without its session being lost is found within ProbeInterval + 2 * ProbeTime, under a
// second: a result that could change the state is confirmed at once.
const (
	ProbeInterval = 300 * time.Millisecond
	ProbeTime     = 300 * time.Millisecond
	confirmTime   = 10 * time.Millisecond

	// deadTime is how long a node may be lost until what it is working on is given up, unless it answers a probe. A machine that is
	// gone closes nothing: without this a WebSocket or a download would wait for the system to notice, about half a minute.
	deadTime = 5 * time.Second
)

// Run probes the nodes, and the sites on them, until ctx ends; then it closes idle connections and tunnels. It returns nil.
func (e *Edge) Run(ctx context.Context) error {
	nodes := tasks[*node]{ctx: ctx, do: e.watch}
	sites := tasks[*site]{ctx: ctx, do: e.watchSite}
	defer func() {
		nodes.end()
		sites.end()
		e.end()
		for n := range nodes.running {
			n.pool.close()
		}
	}()
	for {
		e.mu.Lock()
		now := slices.Clone(e.nodes)
		e.mu.Unlock()
		nodes.set(now)
		sites.set(e.sites.probed())
		select {
		case <-e.changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// tasks are goroutines, one for each of the things that there are.
type tasks[T comparable] struct {
	ctx     context.Context
	do      func(context.Context, T)
	running map[T]context.CancelFunc
	all     sync.WaitGroup
}

// set starts and ends tasks until there is one for each of want.
func (t *tasks[T]) set(want []T) {
	if t.running == nil {
		t.running = map[T]context.CancelFunc{}
	}
	for of, stop := range t.running {
		if !slices.Contains(want, of) {
			stop()
			delete(t.running, of)
		}
	}
	for _, of := range want {
		if t.running[of] == nil {
			its, stop := context.WithCancel(t.ctx)
			t.running[of] = stop
			t.all.Go(func() { t.do(its, of) })
		}
	}
}

// end ends all tasks and waits for them.
func (t *tasks[T]) end() {
	for _, stop := range t.running {
		stop()
	}
	t.all.Wait()
}

// watch probes one node. Without a session it waits for one, and gives up what the node is working on if that is in vain.
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
		session, lost := e.sessions[n.id], n.health.state == Failing && e.cfg.Now().Sub(n.since) >= deadTime
		e.mu.Unlock()
		wait := ProbeInterval
		switch {
		case session:
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
		case lost && n.pool.working():
			if _, err := e.probe(ctx, n); err != nil && ctx.Err() == nil {
				n.pool.giveUp()
			}
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
	if errors.Is(err, context.DeadlineExceeded) {
		return "", fmt.Errorf("no connection within %v", ProbeTime)
	}
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
	case a.status != http.StatusOK && strain != "":
		return "", errors.New(strain)
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
