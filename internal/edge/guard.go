package edge

import (
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"tandem/internal/client"
)

// Guard is what visitors may do, where their site does not say otherwise. The zero value lets everybody do all.
type Guard struct {
	Allow, Deny   []netip.Prefix // without Allow all may visit; Deny comes first
	Trusted       []netip.Prefix // proxies whose word about the visitor counts
	MaxBody       int64          // bytes of a request's body; 0: any
	MaxPerAddress int            // requests in flight by HTTP/2 and 3 from one address that is not trusted; 0: any
}

// maxRequestIDBytes is the length up to which a trusted proxy's X-Request-Id is kept.
const maxRequestIDBytes = 128

// SetGuard changes what visitors may do; requests under way are not touched.
func (e *Edge) SetGuard(g Guard) { e.guard.Store(&g) }

// recognise finds out who the visitor is.
func (x *exchange) recognise() {
	g := x.edge.guard.Load()
	x.client = client.Of(x.r, g.Trusted)
	if id := x.r.Header.Get("X-Request-Id"); x.client.Trusted && len(id) <= maxRequestIDBytes && isToken(id) {
		x.id = id
	}
}

// allow tells whether the visitor may have what it asks for. If not, it has answered.
func (x *exchange) allow() bool {
	g, o := x.edge.guard.Load(), x.options
	a := x.client.Addr
	if denied(g.Allow, g.Deny, a) || denied(o.Allow, o.Deny, a) {
		return x.refuse(http.StatusForbidden, "this site is not open to your address")
	}
	if wait := x.site.rates().take(a, x.r.URL.Path, x.edge.cfg.Now()); wait > 0 {
		x.w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		return x.refuse(http.StatusTooManyRequests, "too many requests from your address. Please try again a little later")
	}
	limit := g.MaxBody
	if o.MaxBody != 0 {
		limit = max(int64(o.MaxBody), 0)
	}
	switch {
	case limit == 0 || x.r.ContentLength == 0:
	case x.r.ContentLength > limit:
		return x.refuse(http.StatusRequestEntityTooLarge, "the request is larger than this site takes")
	case x.r.ContentLength < 0:
		x.r.Body = http.MaxBytesReader(x.w, x.r.Body, limit)
	}
	return true
}

func denied(allow, deny []netip.Prefix, a netip.Addr) bool {
	return len(deny) > 0 && client.Contains(deny, a) || len(allow) > 0 && !client.Contains(allow, a)
}

// crowds counts the requests in flight of each address.
type crowds struct {
	mu sync.Mutex
	by map[netip.Addr]int
}

func (c *crowds) enter(a netip.Addr, limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = map[netip.Addr]int{}
	}
	if c.by[a] >= limit {
		return false
	}
	c.by[a]++
	return true
}

func (c *crowds) leave(a netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by[a]--; c.by[a] == 0 {
		delete(c.by, a)
	}
}

// enterCrowd counts a request that needs no connection of its own; with HTTP/1.1 the connections are counted. When left
// is nil it has answered.
func (x *exchange) enterCrowd() (left func()) {
	limit := x.edge.guard.Load().MaxPerAddress
	if x.r.ProtoMajor < 2 || limit == 0 || x.client.Trusted {
		return func() {}
	}
	a := x.client.Addr
	if !x.edge.crowds.enter(a, limit) {
		x.w.Header().Set("Retry-After", "1")
		x.refuse(http.StatusTooManyRequests, "too many requests at once from your address")
		return nil
	}
	return func() { x.edge.crowds.leave(a) }
}

// appendClient adds the fields that say who the visitor is.
func (x *exchange) appendClient(b []byte) []byte {
	if x.client.Addr.IsValid() {
		ip := x.client.Addr.String()
		b = appendField(b, "X-Forwarded-For", ip)
		b = appendField(b, "X-Real-Ip", ip)
	}
	b = appendField(b, "X-Forwarded-Host", x.r.Host)
	if x.client.HTTPS {
		return appendField(b, "X-Forwarded-Proto", "https")
	}
	return appendField(b, "X-Forwarded-Proto", "http")
}

// matchesPath tells whether a path, in whatever case, is one that a pattern means: a * stands for anything, at the beginning,
// at the end or at both.
func matchesPath(pattern, path string) bool {
	pattern, path = strings.ToLower(pattern), strings.ToLower(path)
	tail, open := strings.CutPrefix(pattern, "*")
	head, ends := strings.CutSuffix(tail, "*")
	switch {
	case open && ends:
		return strings.Contains(path, head)
	case open:
		return strings.HasSuffix(path, tail)
	case ends:
		return strings.HasPrefix(path, head)
	}
	return path == pattern
}
