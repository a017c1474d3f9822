//go:build linux

package e2e

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
)

// speakerSites are sites whose application speaks all protocols; %[1]s is the directory of the nodes' access logs.
const speakerSites = `https://app.test {
	root * {folder.www}
	log {
		output file %[1]s/{member.name}.log
	}
	read_your_writes www
	handle /grpc.testing.TestService/* {
		reverse_proxy h2c://` + speakerGRPC + ` {
			flush_interval -1
		}
	}
	handle_path /proxied/v1 {
		reverse_proxy ` + speakerHAP + ` {
			transport http {
				proxy_protocol v1
			}
		}
	}
	handle_path /proxied/v2 {
		reverse_proxy ` + speakerHAP + ` {
			transport http {
				proxy_protocol v2
			}
		}
	}
	handle {
		reverse_proxy ` + speakerHTTP + `
	}
}

https://small.test {
	edge {
		max_body 1MiB
	}
	reverse_proxy ` + speakerHTTP + `
}

https://denied.test {
	edge {
		deny 10.77.0.0/24
	}
	reverse_proxy ` + speakerHTTP + `
}

https://often.test {
	edge {
		rate 1r/h
	}
	reverse_proxy ` + speakerHTTP + `
}

https://node.test {
	request_body {
		max_size 1MB
	}
	reverse_proxy ` + speakerHTTP + `
}
`

const speakerFarm = `
[folder.www]
path = "/var/www"

[edge]
http = ":80"
https = ":443"
access_log = "%[1]s/{member.name}.log"
access_log_format = "json"
slow_start = "0s"
stall_time = "2s"
min_upload = "10KiB"
proxy_protocol_from = "%[2]s"
`

// protocols is a farm of two nodes and an edge, where TLS ends.
type protocols struct {
	*farmUnderTest
	logs  string
	site  string
	roots *x509.CertPool
	whole *testing.T
	slow  sync.WaitGroup // uploads
	cut   chan time.Duration
}

// TestProtocols: what applications and visitors speak goes through an edge as if it were not there.
func TestProtocols(t *testing.T) {
	need(t)
	f := &protocols{farmUnderTest: newFarm(t, "web1", "web2", "edge1"), logs: t.TempDir(), whole: t}
	defer f.slow.Wait()
	f.site = fmt.Sprintf(speakerSites, f.logs)
	for _, n := range []string{"web1", "web2"} {
		f.write(filepath.Join(f.folder("web1"), "page"), "a page\n")
		f.startSpeaker(n)
	}
	balancer := f.lan.host("balancer")
	f.found(fmt.Sprintf(speakerFarm, f.logs, balancer), map[string]string{"app.caddy": f.site})
	f.roots, _ = f.certify("app.test", "small.test", "denied.test", "often.test", "node.test")
	f.edgeReady("edge1", 2)
	f.inSync("web1", "web2")
	f.answers(f.visit("visitor").speaking(t, "1"), "https://app.test/")
	for _, part := range []struct {
		name string
		test func(*protocols, *testing.T)
	}{
		{"slow uploads", (*protocols).slowUploads},
		{"early refusals", (*protocols).earlyRefusals},
		{"who the visitor is", (*protocols).whoTheVisitorIs},
		{"HTTP/3", (*protocols).http3},
		{"events", (*protocols).events},
		{"gRPC", (*protocols).grpc},
		{"websockets", (*protocols).websockets},
		{"a network that is cut", (*protocols).cutNetwork},
		{"large transfers", (*protocols).largeTransfers},
		{"a network that is mended", (*protocols).mendNetwork},
		{"websockets of nodes that end", (*protocols).websocketsEnd},
	} {
		t.Run(part.name, func(t *testing.T) {
			whole, began := f.t, time.Now()
			f.t = t
			defer func() { f.t = whole }()
			part.test(f, t)
			t.Logf("took %s", time.Since(began).Round(10*time.Millisecond))
		})
	}
}

func (f *protocols) visit(from string) browser {
	return browser{f.farmUnderTest, from, f.members["edge1"].addr + ":443", f.roots}
}

// whoTheVisitorIs: the node, its log and the application know a visitor's address, however it came.
func (f *protocols) whoTheVisitorIs(t *testing.T) {
	visitor := "10.77.0.14"
	check := func(what string, c *http.Client, want string) {
		t.Helper()
		began := time.Now()
		a := must(t, c, http.MethodGet, "https://app.test/who", nil, "X-Forwarded-For", "6.6.6.6", "X-Request-Id", "forged")
		var who whoCame
		if err := json.Unmarshal([]byte(a.text), &who); err != nil {
			t.Fatalf("%v: %s", err, a.text)
		}
		id := a.Header.Get("X-Request-Id")
		if got := who.Header.Get("X-Forwarded-For"); got != want || who.Header.Get("X-Forwarded-Proto") != "https" || len(id) != 16 || who.Header.Get("X-Request-Id") != id {
			t.Errorf("%s: the application has %v, the answer %v; want %s", what, who.Header, a.Header, want)
		}
		f.logged(t, who.Node, id, `"remote_ip":"`+want+`"`)
		f.logged(t, "edge1", id, `"`+want+`"`)
		for _, way := range []string{"v1", "v2"} {
			a := must(t, c, http.MethodGet, "https://app.test/proxied/"+way, nil)
			if err := json.Unmarshal([]byte(a.text), &who); err != nil {
				t.Fatalf("%s, PROXY %s to the application: %v: %s", what, way, err, a.text)
			}
			if host, _, _ := net.SplitHostPort(who.Remote); host != want {
				t.Errorf("%s, PROXY %s to the application: %s, want %s", what, way, who.Remote, want)
			}
		}
		t.Logf("%s: %s, in %s", what, want, time.Since(began).Round(time.Millisecond))
	}
	for _, version := range []string{"1", "2", "3"} {
		check("HTTP/"+version, f.visit("visitor").speaking(t, version), visitor)
	}
	for version, from := range map[byte]string{1: "203.0.113.9", 2: "2001:db8::9"} {
		check("PROXY v"+strconv.Itoa(int(version)), f.proxied(t, version, from), from)
	}
}

// proxied is a client behind a balancer that says with a PROXY header from where its visitor came.
func (f *protocols) proxied(t *testing.T, version byte, from string) *http.Client {
	header := proxyproto.HeaderProxyFromAddrs(version, &net.TCPAddr{IP: net.ParseIP(from), Port: 4711}, &net.TCPAddr{IP: net.ParseIP(from), Port: 443})
	return viaTLS(t, f.roots, func() (net.Conn, error) {
		c, err := f.visit("balancer").dial(t.Context())
		if err == nil {
			_, err = header.WriteTo(c)
		}
		return c, err
	})
}

// logged waits until a member's access log has a line about a request that holds the text.
func (f *protocols) logged(t *testing.T, n, id, text string) {
	t.Helper()
	f.await(5*time.Second, n+" has logged "+id, func() error {
		b, err := os.ReadFile(filepath.Join(f.logs, n+".log"))
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			if strings.Contains(line, id) {
				if !strings.Contains(line, text) {
					t.Errorf("%s has logged %s, want %s", n, line, text)
				}
				return nil
			}
		}
		return errors.New("not yet")
	})
}

// events: the first one comes at once, and the application notices a reader who leaves.
func (f *protocols) events(t *testing.T) {
	for _, version := range []string{"1", "2", "3"} {
		c := f.visit("visitor").speaking(t, version)
		began := time.Now()
		w, err := c.Get("https://app.test/events")
		if err != nil {
			t.Fatal(err)
		}
		node := w.Header.Get("Tandem-Node")
		line, err := bufio.NewReader(w.Body).ReadString('\n')
		took := time.Since(began)
		if line != "data: 0 of "+node+"\n" || err != nil || took > 500*time.Millisecond {
			t.Errorf("HTTP/%s: %q after %s, %v", version, line, took, err)
		}
		before := f.gone(t, node)
		began = time.Now()
		_ = w.Body.Close()
		c.CloseIdleConnections()
		f.await(3*time.Second, "the application notices that the reader has left", func() error {
			if f.gone(t, node) == before {
				return errors.New("not yet")
			}
			return nil
		})
		t.Logf("HTTP/%s: the first event after %s, left noticed after %s", version, took.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	}
}

// gone is how many readers of events have left the application on a node.
func (f *protocols) gone(t *testing.T, n string) string {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: f.lan.dial(n)}}
	return must(t, c, http.MethodGet, "http://"+speakerHTTP+"/gone", nil).text
}

// http3: what visitors do by HTTP/3.
func (f *protocols) http3(t *testing.T) {
	c := f.visit("visitor").speaking(t, "3")
	a := must(t, c, http.MethodGet, "https://app.test/", nil)
	a.is(t, 200, "web")
	if a.ProtoMajor != 3 {
		t.Errorf("it speaks %s", a.Proto)
	}
	if alt := must(t, f.visit("visitor").speaking(t, "2"), http.MethodGet, "https://app.test/", nil).Header.Get("Alt-Svc"); !strings.Contains(alt, `h3=":443"`) {
		t.Errorf("by HTTP/2 it is advertised as %q", alt)
	}
	const size = 3 << 20
	must(t, c, http.MethodPost, "https://app.test/upload", blocks(size)).is(t, 200, sumOf(size))
	must(t, c, http.MethodPost, "https://app.test/upload", strings.NewReader("small")).is(t, 200, "5 ")
	for _, version := range []string{"1", "2", "3"} {
		a := must(t, f.visit("visitor").speaking(t, version), http.MethodPost, "https://app.test/trailers", strings.NewReader("four"), "TE", "trailers")
		if a.is(t, 200, "body"); a.Trailer.Get("X-Sum") != "4" {
			t.Errorf("HTTP/%s: the trailers are %v", version, a.Trailer)
		}
	}
}
