//go:build linux

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// person is a visitor with a browser: connections that are kept, and cookies, which it shows to every server, as it
// does where all have one name. Its methods are called by one goroutine.
type person struct {
	client  *http.Client
	host    string // name of the site
	cookies map[string]string
}

func (f *farmUnderTest) person(host string) *person {
	return &person{client: f.visitor(nil), host: host, cookies: map[string]string{}}
}

type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request to the server at an address and returns the whole answer.
func (p *person) do(method, address, path, body string) (answer, error) {
	req, err := http.NewRequest(method, "http://"+address+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Host = p.host
	for name, value := range p.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	for _, c := range resp.Cookies() {
		p.cookies[c.Name] = c.Value
	}
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(b)}, err
}

// get fails unless the answer is the file's text.
func (p *person) get(address, path, want string) error {
	a, err := p.do(http.MethodGet, address, path, "")
	if err != nil {
		return err
	}
	if a.status != http.StatusOK || a.body != want {
		return fmt.Errorf("GET %s by %s: status %d, %.200q, want %q", path, a.header.Get("Tandem-Node"), a.status, a.body, want)
	}
	return nil
}

// crowd sends requests at a steady rate until it is stopped.
type crowd struct {
	stop chan struct{}
	wg   sync.WaitGroup

	mu     sync.Mutex
	sent   int
	failed []string
}

// gather lets each of the steps be called over and over, by a goroutine of its own, all together rate times a second.
func gather(t *testing.T, rate int, steps []func() error) *crowd {
	c := &crowd{stop: make(chan struct{})}
	period := time.Second * time.Duration(len(steps)) / time.Duration(rate)
	for _, step := range steps {
		c.wg.Go(func() { c.run(period, step) })
	}
	t.Cleanup(c.leave)
	return c
}

func (c *crowd) run(period time.Duration, step func() error) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-tick.C:
		}
		began := time.Now()
		err := step()
		c.mu.Lock()
		c.sent++
		if err != nil {
			c.failed = append(c.failed, fmt.Sprintf("%s (%s): %v", began.Format("05.000"), time.Since(began).Round(time.Millisecond), err))
		}
		c.mu.Unlock()
	}
}

// count is how many requests were sent so far.
func (c *crowd) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent
}

// leave stops the requests and waits for their answers.
func (c *crowd) leave() {
	select {
	case <-c.stop:
	default:
		close(c.stop)
	}
	c.wg.Wait()
}

// awaitRequests waits until so many more have been sent.
func (f *farmUnderTest) awaitRequests(c *crowd, more int) {
	f.t.Helper()
	until := c.count() + more
	f.await(time.Minute, fmt.Sprintf("%d requests", more), func() error {
		if n := c.count(); n < until {
			return fmt.Errorf("%d of %d were sent", n, until)
		}
		return nil
	})
}
