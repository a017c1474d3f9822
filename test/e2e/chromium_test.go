//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// tabPatience bounds one step of a browser: a page with all that belongs to it.
const tabPatience = 30 * time.Second

// chromium is a browser on the network, driven by the DevTools protocol: JSON with a zero byte behind it, on two pipes.
type chromium struct {
	t    *testing.T
	host string // requests to it are looked at
	in   *os.File

	mu      sync.Mutex
	last    int
	replies map[int]chan devtoolsReply
	tabs    map[string]*tab // by session
	gone    chan struct{}   // closed when the browser has
}

type devtoolsReply struct {
	ID        int             `json:"id"`
	Result    json.RawMessage `json:"result"`
	Error     *struct{ Message string }
	Method    string          `json:"method"`
	Params    json.RawMessage `json:"params"`
	SessionID string          `json:"sessionId"`
}

// chromium starts a browser on the machine visitor, which finds a site at address and nothing else.
func (f *farmUnderTest) chromium(host, address string) *chromium {
	t := f.t
	t.Helper()
	toIt, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, fromIt, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := f.lan.command("visitor", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--ignore-certificate-errors",
		"--user-data-dir="+t.TempDir(), "--host-resolver-rules=MAP "+host+" "+address+", MAP * ~NOTFOUND", "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{toIt, fromIt} // as 3 and 4
	b := &chromium{t: t, host: host, in: in, replies: map[int]chan devtoolsReply{}, tabs: map[string]*tab{}, gone: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = toIt.Close(), fromIt.Close()
	go b.read(out)
	t.Cleanup(func() { b.close(cmd) })
	return b
}

// close asks the browser to go, so that its processes do.
func (b *chromium) close(cmd *exec.Cmd) {
	_, _ = b.call("", "Browser.close", nil)
	select {
	case <-b.gone:
	case <-time.After(5 * time.Second):
		_ = cmd.Process.Kill()
	}
	_ = cmd.Wait()
	_ = b.in.Close()
}

func (b *chromium) read(out *os.File) {
	defer close(b.gone)
	defer out.Close()
	for r := bufio.NewReader(out); ; {
		msg, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m devtoolsReply
		if err := json.Unmarshal(bytes.TrimSuffix(msg, []byte{0}), &m); err != nil {
			b.t.Errorf("the browser says %.200q: %v", msg, err)
			return
		}
		b.mu.Lock()
		got, tab := b.replies[m.ID], b.tabs[m.SessionID]
		delete(b.replies, m.ID)
		b.mu.Unlock()
		switch {
		case m.ID != 0 && got != nil:
			got <- m
		case m.ID == 0 && tab != nil:
			tab.hear(m)
		}
	}
}

// call is one call of the protocol; session is empty for the browser itself.
func (b *chromium) call(session, method string, params any) (json.RawMessage, error) {
	got := make(chan devtoolsReply, 1)
	b.mu.Lock()
	b.last++
	msg, err := json.Marshal(struct {
		ID        int    `json:"id"`
		Method    string `json:"method"`
		Params    any    `json:"params,omitempty"`
		SessionID string `json:"sessionId,omitempty"`
	}{b.last, method, params, session})
	b.replies[b.last] = got
	if err == nil {
		_, err = b.in.Write(append(msg, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case m := <-got:
		if m.Error != nil {
			return nil, fmt.Errorf("%s: %s", method, m.Error.Message)
		}
		return m.Result, nil
	case <-b.gone:
		return nil, errors.New("the browser has gone")
	case <-time.After(tabPatience):
		return nil, fmt.Errorf("%s: no answer within %s", method, tabPatience)
	}
}

// tab is a window of one visitor, with cookies of its own. It notes each request that failed.
type tab struct {
	b       *chromium
	session string
	loaded  chan struct{} // a page with all that belongs to it

	mu       sync.Mutex
	urls     map[string]string // by request
	asked    int               // answers
	failed   []string
	nodes    map[string]int // answers by node
	lastNode map[string]string
}

// visitor opens a window of a new visitor, as wide as given in CSS pixels.
func (b *chromium) visitor(width, height int) *tab {
	b.t.Helper()
	var made struct{ BrowserContextID, TargetID, SessionID string }
	step := func(session, method string, params any) {
		b.t.Helper()
		got, err := b.call(session, method, params)
		if err == nil {
			err = json.Unmarshal(got, &made)
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
	step("", "Target.createBrowserContext", nil)
	step("", "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": made.BrowserContextID})
	step("", "Target.attachToTarget", map[string]any{"targetId": made.TargetID, "flatten": true})
	t := &tab{b: b, session: made.SessionID, loaded: make(chan struct{}, 16), urls: map[string]string{}, nodes: map[string]int{}, lastNode: map[string]string{}}
	b.mu.Lock()
	b.tabs[t.session] = t
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Network", "Runtime", "DOM"} {
		t.do(domain+".enable", nil)
	}
	t.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})
	return t
}

func (t *tab) do(method string, params any) json.RawMessage {
	t.b.t.Helper()
	got, err := t.b.call(t.session, method, params)
	if err != nil {
		t.b.t.Fatal(err)
	}
	return got
}

// hear notes what the browser says of its own accord.
func (t *tab) hear(m devtoolsReply) {
	var p struct {
		RequestID string
		Request   struct{ URL, Method string }
		Response  struct {
			URL     string
			Status  int
			Headers map[string]string
		}
		ErrorText string
		Canceled  bool
	}
	_ = json.Unmarshal(m.Params, &p) // events that look otherwise are not looked at
	t.mu.Lock()
	defer t.mu.Unlock()
	switch m.Method {
	case "Page.loadEventFired":
		select {
		case t.loaded <- struct{}{}:
		default:
		}
	case "Page.javascriptDialogOpening":
		go func() { _, _ = t.b.call(t.session, "Page.handleJavaScriptDialog", map[string]any{"accept": true}) }()
	case "Network.requestWillBeSent":
		if u, err := url.Parse(p.Request.URL); err != nil || u.Host != t.b.host {
			return // of the page itself, or of others
		}
		t.urls[p.RequestID] = p.Request.Method + " " + p.Request.URL
	case "Network.responseReceived":
		if t.urls[p.RequestID] == "" {
			return
		}
		node := header(p.Response.Headers, "Tandem-Node")
		t.asked++
		t.nodes[node]++
		t.lastNode[t.urls[p.RequestID]] = node
		if p.Response.Status >= 400 {
			t.failed = append(t.failed, fmt.Sprintf("%s by %s: status %d", t.urls[p.RequestID], node, p.Response.Status))
		}
	case "Network.loadingFailed":
		if !p.Canceled && t.urls[p.RequestID] != "" {
			t.failed = append(t.failed, t.urls[p.RequestID]+": "+p.ErrorText)
		}
	}
}

// header finds one by its name in any case: HTTP/2 has them in lower case.
func header(all map[string]string, name string) string {
	for k, v := range all {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// goTo opens a page and waits for all that belongs to it.
func (t *tab) goTo(url string) {
	t.b.t.Helper()
	t.leads(url, func() { t.do("Page.navigate", map[string]any{"url": url}) })
}

// leads waits for the page to which something leads.
func (t *tab) leads(what string, do func()) {
	t.b.t.Helper()
	for len(t.loaded) > 0 {
		<-t.loaded
	}
	do()
	select {
	case <-t.loaded:
	case <-time.After(tabPatience):
		t.shoot("stuck")
		t.b.t.Fatalf("%s: no page within %s", what, tabPatience)
	}
}

// eval runs JavaScript in the page, waits if it is a promise, and decodes what comes of it into result unless that is nil.
func (t *tab) eval(script string, result any) {
	t.b.t.Helper()
	if err := t.tryEval(script, result); err != nil {
		t.shoot("failed")
		t.b.t.Fatal(err)
	}
}

func (t *tab) tryEval(script string, result any) error {
	out, err := t.b.call(t.session, "Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true, "userGesture": true})
	if err != nil {
		return err
	}
	var got struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if err := json.Unmarshal(out, &got); err != nil {
		return err
	}
	if e := got.ExceptionDetails; e != nil {
		return fmt.Errorf("%s: %s: %s", script, e.Text, e.Exception.Description)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(got.Result.Value, result)
}

// waitFor waits until a condition in JavaScript holds.
func (t *tab) waitFor(what, condition string) {
	t.b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), tabPatience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var ok bool
		err := t.tryEval("!!("+condition+")", &ok)
		if err == nil && ok {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.shoot("waiting")
			t.b.t.Fatalf("%s: not within %s: %v", what, tabPatience, err)
		}
	}
}

// choose puts files into an input for files, as its dialog does.
func (t *tab) choose(selector string, files ...string) {
	t.b.t.Helper()
	var root struct{ Root struct{ NodeID int } }
	var node struct{ NodeID int }
	for _, err := range []error{
		json.Unmarshal(t.do("DOM.getDocument", nil), &root),
		json.Unmarshal(t.do("DOM.querySelector", map[string]any{"nodeId": root.Root.NodeID, "selector": selector}), &node),
	} {
		if err != nil {
			t.b.t.Fatal(err)
		}
	}
	t.do("DOM.setFileInputFiles", map[string]any{"nodeId": node.NodeID, "files": files})
}

// brokenImages are the site's images in the page that show nothing; those outside of the window are fetched, too.
func (t *tab) brokenImages() (broken []string, all int) {
	t.b.t.Helper()
	var got struct {
		Broken []string
		All    int
	}
	t.eval(`Promise.all([...document.images].filter(i => new URL(i.src).host == location.host).map(async i => {
		i.loading = 'eager'
		try { await i.decode() } catch {}
		return i.naturalWidth > 0 ? '' : i.currentSrc || i.src
	})).then(all => ({Broken: all.filter(src => src), All: all.length}))`, &got)
	return got.Broken, got.All
}

// failures are the requests that have failed so far.
func (t *tab) failures() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

// nodeOf is the node that has answered a request last, of which method and URL contain the text.
func (t *tab) nodeOf(text string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for request, node := range t.lastNode {
		if strings.Contains(request, text) {
			return node
		}
	}
	return ""
}

// shoot takes a picture of the window if TANDEM_SHOTS names a directory for it.
func (t *tab) shoot(name string) {
	dir := os.Getenv("TANDEM_SHOTS")
	if dir == "" {
		return
	}
	out, err := t.b.call(t.session, "Page.captureScreenshot", nil)
	var got struct{ Data []byte }
	if err == nil {
		err = json.Unmarshal(out, &got)
	}
	if err == nil {
		err = os.WriteFile(dir+"/"+name+".png", got.Data, 0o644)
	}
	if err != nil {
		t.b.t.Logf("no picture %s: %v", name, err)
	}
}

// forgive forgets the failures since there were so many.
func (t *tab) forgive(since int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = t.failed[:since]
}
