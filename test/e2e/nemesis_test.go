//go:build linux

package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tandem/internal/control"
)

var (
	nemesisTime = flag.Duration("nemesis", 2*time.Second, "how long each trouble of TestNemeses lasts")
	nemesisRate = flag.Int("nemesis-rate", 40, "requests a second of TestNemeses and TestOtherBalancers")
)

// nemesis is a trouble that a farm has for a time.
type nemesis struct {
	name string
	do   func(*farmUnderTest, *ledgerCrowd)
}

var nemeses = []nemesis{
	{"nodes are killed in turn", (*farmUnderTest).killInTurn},
	{"nodes drain in turn", (*farmUnderTest).drainInTurn},
	{"a revision every second", (*farmUnderTest).reviseOften},
	{"a partition between nodes", (*farmUnderTest).partNodes},
	{"a slow node", (*farmUnderTest).slowNode},
	{"a full disk", (*farmUnderTest).fillNode},
	{"an edge dies with its address", (*farmUnderTest).killEdge},
}

const virtualAddress = "10.77.0.100"

// TestNemeses: three nodes and two edges with one address, under readers and writers who note all that they see, while one
// trouble follows the other. What they saw is judged afterwards: nothing that was answered is lost, no session misses what
// it wrote or goes back in time, nothing is done twice, and no reading fails.
func TestNemeses(t *testing.T) {
	need(t, "rsync", "keepalived")
	nodes := []string{"web1", "web2", "web3"}
	f := newFarm(t, append(nodes, "edge1", "edge2")...)
	f.small(f.folder("web3"), "128M")
	f.ledgerNodes(nodes...)
	f.found(ledgerFarm+"virtual_address = \""+virtualAddress+"/24\"\n", map[string]string{"ledger.caddy": ledgerSite})
	f.inSync(nodes...)
	for _, e := range []string{"edge1", "edge2"} {
		f.edgeReady(e, len(nodes))
		f.startKeepalived(e)
	}
	f.awaitAddress("edge1")
	c := f.gatherLedger(nodes, 24, *nemesisRate, func(int) []string { return []string{virtualAddress} })
	f.awaitRequests(c.crowd, *nemesisRate)
	c.judge(t, c.seen())
	for _, n := range nemeses {
		t.Run(n.name, func(t *testing.T) {
			whole := f.t
			f.t = t
			defer func() { f.t = whole }()
			n.do(f, c)
			f.edgeReady("edge1", len(nodes))
			f.edgeReady("edge2", len(nodes))
			c.judge(t, c.seen())
		})
	}
	c.end(t)
}

func (f *farmUnderTest) drainInTurn(c *ledgerCrowd) {
	if _, err := f.try(c.nodes[0], "drain", "--help"); err != nil {
		f.t.Skip("this program has no command drain")
	}
	for _, n := range c.nodes {
		f.tandem(n, "drain", n)
		f.lasts(*nemesisTime / time.Duration(2*len(c.nodes)))
		f.tandem(n, "undrain", n)
	}
}

func (f *farmUnderTest) reviseOften(c *ledgerCrowd) {
	path := filepath.Join(f.members["web1"].dir, "config", "sites", "ledger.caddy")
	seconds := max(2, int(*nemesisTime/time.Second))
	for i := range seconds {
		f.write(path, ledgerSite+fmt.Sprintf("# revision %d\n", i))
		f.lasts(time.Second)
	}
	f.write(path, ledgerSite)
}

// partNodes parts each node from the others in turn; the edges reach all.
func (f *farmUnderTest) partNodes(c *ledgerCrowd) {
	part := func(a, b, verb string) {
		for _, way := range [][2]string{{a, b}, {b, a}} {
			f.lan.in(way[0], "route", verb, "blackhole", f.members[way[1]].addr+"/32")
		}
	}
	others := func(n, verb string) {
		for _, o := range c.nodes {
			if o != n {
				part(n, o, verb)
			}
		}
	}
	for _, n := range c.nodes {
		others(n, "add")
		f.lasts(*nemesisTime / time.Duration(len(c.nodes)))
		others(n, "del")
		f.allLinked(c.nodes...)
	}
}

// allLinked waits until the nodes have sessions with each other. (That they are in sync can't be waited for while visitors write.)
func (f *farmUnderTest) allLinked(nodes ...string) {
	f.t.Helper()
	for _, n := range nodes {
		f.await(30*time.Second, n+" is linked with all", func() error {
			st, err := f.status(n)
			for _, m := range st.Members {
				if m.Link == control.LinkDown {
					err = fmt.Errorf("not with %s: %s", m.Name, m.Reason)
				}
			}
			return err
		})
	}
}

// slowNode lets a node work for a half of the time only.
func (f *farmUnderTest) slowNode(*ledgerCrowd) {
	for end := time.Now().Add(*nemesisTime); time.Now().Before(end); {
		f.pause("web2")
		f.lasts(300 * time.Millisecond)
		f.resume("web2")
		f.lasts(300 * time.Millisecond)
	}
}

func (f *farmUnderTest) fillNode(c *ledgerCrowd) {
	ballast := filepath.Join(f.folder("web3"), ".tandem", "ballast") // not replicated
	f.fill(ballast)
	f.lasts(*nemesisTime)
	if err := os.Remove(ballast); err != nil {
		f.t.Fatal(err)
	}
	f.allLinked(c.nodes...)
}

// killEdge kills the edge that has the address, and brings it back: then the address returns, too.
func (f *farmUnderTest) killEdge(c *ledgerCrowd) {
	began := time.Now()
	f.kill("edge1")
	f.awaitAddress("edge2")
	f.t.Logf("the address moved within %s", time.Since(began).Round(10*time.Millisecond))
	c.outage(began)
	f.lasts(*nemesisTime / 2)
	began = time.Now()
	f.start("edge1")
	f.awaitAddress("edge1")
	f.lasts(time.Second)
	c.outage(began)
}

// startKeepalived runs keepalived with the configuration that the edge writes.
func (f *farmUnderTest) startKeepalived(e string) {
	f.t.Helper()
	dir := f.members[e].dir
	conf := filepath.Join(dir, "keepalived.conf")
	f.write(conf, string(f.tandem(e, "export", "keepalived")))
	if out, err := f.lan.command(e, "keepalived", "--config-test", "--use-file", conf).CombinedOutput(); err != nil {
		f.t.Fatalf("keepalived --config-test: %v\n%s", err, out)
	}
	cmd := f.lan.command(e, "keepalived", "--vrrp", "--dont-fork", "--log-console", "--use-file", conf,
		"--pid", filepath.Join(dir, "keepalived.pid"), "--vrrp_pid", filepath.Join(dir, "vrrp.pid"))
	log, err := os.Create(filepath.Join(dir, "keepalived.log"))
	if err != nil {
		f.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	f.t.Cleanup(func() {
		if b, err := os.ReadFile(log.Name()); err == nil && f.t.Failed() {
			f.t.Logf("--- keepalived of %s\n%s", e, tail(b, 30))
		}
		_ = log.Close()
	})
	f.background(cmd)
}

// awaitAddress waits until the edge has the virtual address and answers there.
func (f *farmUnderTest) awaitAddress(e string) {
	f.t.Helper()
	f.await(15*time.Second, e+" answers on "+virtualAddress, func() error {
		out, err := f.lan.command(e, "ip", "-o", "addr", "show", "to", virtualAddress).CombinedOutput()
		if err != nil || len(out) == 0 {
			return fmt.Errorf("it does not have it: %v %s", err, out)
		}
		p := f.person(ledgerHost)
		p.client.Timeout = time.Second
		_, err = p.do(http.MethodGet, virtualAddress, "/nothing", "")
		return err
	})
}
