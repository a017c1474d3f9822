package edge

import (
	"bytes"
	"container/list"
	"net/http"
	"strings"
	"sync"
	"time"

	"tandem/internal/farm"
)

// cache keeps answers of one site that are files of folders. What makes it coherent is not in it: each entry names the
// position of the folders as of which it is right, and who looks it up knows how far the folders are (view.known).
type cache struct {
	mu    sync.Mutex
	limit int64 // bytes
	used  int64
	at    map[string]*list.Element // of *kept
	order *list.List               // the latest used first
}

// kept is an answer with status 200. It is immutable.
type kept struct {
	key      string
	fields   http.Header // Content-Length and what is of one request apart
	body     []byte
	etag     string
	modified time.Time
	asOf     farm.Session // all changes of these folders up to here are in it
	revision farm.Digest  // of the configuration that made it
}

// Bounds of what is kept.
const (
	maxKeptShare  = 8       // of the whole, for one answer
	keptHeadBytes = 1 << 10 // that an answer is taken to need besides its body
)

func newCache(limit int64) *cache {
	return &cache{limit: limit, at: map[string]*list.Element{}, order: list.New()}
}

func (k *kept) size() int64 { return int64(len(k.body)) + int64(len(k.key)) + keptHeadBytes }

// get returns nil if nothing is kept.
func (c *cache) get(key string) *kept {
	c.mu.Lock()
	defer c.mu.Unlock()
	el := c.at[key]
	if el == nil {
		return nil
	}
	c.order.MoveToFront(el)
	return el.Value.(*kept)
}

// put keeps an answer in the place of the one before, and gives up those that were not asked for the longest.
func (c *cache) put(k *kept) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(c.at[k.key])
	c.at[k.key] = c.order.PushFront(k)
	c.used += k.size()
	for c.used > c.limit {
		c.drop(c.order.Back())
	}
}

// forget drops an answer that is not right any more.
func (c *cache) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(c.at[key])
}

func (c *cache) drop(el *list.Element) {
	if el == nil {
		return
	}
	k := c.order.Remove(el).(*kept)
	delete(c.at, k.key)
	c.used -= k.size()
}

// right tells whether the answer is as good as one that a node would give now: it includes all changes of its folders that
// any node is known to know of, and all that the visitor has written or seen, and the configuration is the same.
func (v *view) right(k *kept, want farm.Visit) bool {
	if v.revision.IsZero() || k.revision != v.revision {
		return false
	}
	for f, asOf := range k.asOf {
		for _, need := range []farm.Vector{v.known[f], want.Wrote[f], want.Saw[f]} {
			if !asOf.CoversAll(need) && !v.attains(f, asOf, need) {
				return false
			}
		}
	}
	return true
}

// attains tells whether asOf includes all of need that can be had still.
func (v *view) attains(f farm.FolderID, asOf, need farm.Vector) bool {
	states := v.states(f)
	for p := range need.All() {
		if !asOf.Covers(Attainable(p, states)) {
			return false
		}
	}
	return true
}

// recall looks at the cache for an answer, and tells whether it has answered. If not, fill is set if what a node answers
// may be kept.
func (x *exchange) recall() bool {
	c := x.site.cache()
	if c == nil || x.edge.cfg.Digest == nil || !x.recallable() {
		return false
	}
	v := x.edge.view.Load()
	key := x.scheme() + x.r.Host + x.r.URL.RequestURI()
	k := c.get(key)
	switch {
	case k == nil:
	case v.right(k, x.want):
		x.serveKept(k)
		return true
	case k.revision != v.revision: // the file may be the same, and what is said of it not
		c.forget(key)
		k = nil
	}
	if v.revision.IsZero() || k == nil && conditional(x.r) {
		return false
	}
	x.fill = &filler{ResponseWriter: x.w, x: x, cache: c, key: key, old: k, revision: v.revision}
	x.w = x.fill
	return false
}

// scheme is the visitor's, who may have come by a proxy that ends TLS: a site may answer HTTP with a redirect only.
func (x *exchange) scheme() string {
	if x.client.HTTPS {
		return "https:"
	}
	return "http:"
}

// recallable tells whether the answer may be one that everybody gets.
func (x *exchange) recallable() bool {
	get := x.r.Method == http.MethodGet || x.r.Method == http.MethodHead
	return get && !x.load.present() && x.upgrade == "" && x.r.Header["Authorization"] == nil
}

// conditionals are the fields that make an answer another one than the file.
var conditionals = []string{"If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Range"}

func conditional(r *http.Request) bool {
	for _, name := range conditionals {
		if r.Header[name] != nil {
			return true
		}
	}
	return false
}

// serveKept answers from memory: whole, in ranges, or that the visitor has it already.
func (x *exchange) serveKept(k *kept) {
	h := x.w.Header()
	for name, values := range k.fields {
		h[name] = values
	}
	if h["Content-Type"] == nil {
		h["Content-Type"] = nil // is not to be guessed
	}
	h["Etag"] = []string{k.etag}
	h[farm.CacheHeader] = []string{"hit"}
	x.mark(h)
	http.ServeContent(&counted{x.w, x}, x.r, "", k.modified, bytes.NewReader(k.body))
}

// counted notes for the access log what is answered.
type counted struct {
	http.ResponseWriter
	x *exchange
}

// WriteHeader implements http.ResponseWriter.
func (c *counted) WriteHeader(status int) {
	c.x.status = status
	c.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.x.bytes += int64(n)
	return n, err
}

// filler is where an answer goes that may be kept.
type filler struct {
	http.ResponseWriter
	x        *exchange
	cache    *cache
	key      string
	old      *kept       // that is perhaps not right any more; nil: there is none
	revision farm.Digest // when the request was sent
	new      *kept       // that comes; nil: it is not to be kept
	again    bool        // the old one was right, and answers
}

// drops tells whether a field of the visitor's is not passed on, since it is the old answer that matters.
func (f *filler) drops(name string) bool {
	if f == nil || f.old == nil {
		return false
	}
	for _, c := range conditionals {
		if c == name {
			return true
		}
	}
	return false
}

// ask adds what the node needs to know.
func (f *filler) ask(b []byte) []byte {
	if f == nil {
		return b
	}
	b = appendField(b, farm.CacheHeader, "ask")
	if f.old != nil {
		b = appendField(b, "If-None-Match", f.old.etag)
	}
	return b
}

// WriteHeader implements http.ResponseWriter.
func (f *filler) WriteHeader(status int) {
	if status < http.StatusOK {
		f.ResponseWriter.WriteHeader(status)
		return
	}
	h := f.Header()
	asOf, err := farm.ParseSession(h.Get(farm.CacheHeader))
	h.Del(farm.CacheHeader)
	f.new, f.again = nil, false
	switch {
	case status == http.StatusNotModified && f.old != nil:
		f.answerOld(asOf)
		return
	case f.old != nil:
		f.cache.forget(f.key)
	}
	if status == http.StatusOK && err == nil && len(asOf) > 0 && f.x.r.Method == http.MethodGet && f.keeps(h) {
		f.new = &kept{key: f.key, fields: keptFields(h), etag: h.Get("Etag"), asOf: asOf, revision: f.revision}
		f.new.modified, _ = http.ParseTime(h.Get("Last-Modified")) // zero if it says nothing of that
	}
	f.ResponseWriter.WriteHeader(status)
}

// answerOld answers with what was kept, which the node says is right, and keeps it on.
func (f *filler) answerOld(asOf farm.Session) {
	f.again = true
	k := *f.old
	if k.revision = f.revision; len(asOf) > 0 {
		k.asOf = asOf
		f.cache.put(&k)
	}
	f.x.w = f.ResponseWriter
	f.Header().Del("Content-Length")
	f.x.serveKept(&k)
}

// keeps tells whether an answer with this header may be kept for others.
func (f *filler) keeps(h http.Header) bool {
	vary := h.Get("Vary")
	_, proves := digestOf(h.Get("Etag"))
	if !proves || len(h["Vary"]) > 1 || vary != "" && vary != "Accept-Encoding" || h["Set-Cookie"] != nil || h["Content-Encoding"] != nil {
		return false
	}
	for _, v := range h["Cache-Control"] {
		if v = strings.ToLower(v); strings.Contains(v, "private") || strings.Contains(v, "no-store") {
			return false
		}
	}
	return true
}

// keptFields are those that are about the file.
func keptFields(h http.Header) http.Header {
	fields := h.Clone()
	for _, name := range []string{"Content-Length", "Date", "X-Request-Id", NodeHeader, "Etag", "Last-Modified", "Accept-Ranges", farm.SessionHeader} {
		delete(fields, name)
	}
	return fields
}

// Write implements http.ResponseWriter.
func (f *filler) Write(p []byte) (int, error) {
	if f.again {
		return len(p), nil
	}
	if f.new != nil {
		if int64(len(f.new.body)+len(p)) > f.cache.limit/maxKeptShare {
			f.new = nil
		} else {
			f.new.body = append(f.new.body, p...)
		}
	}
	return f.ResponseWriter.Write(p)
}

// Unwrap serves http.ResponseController.
func (f *filler) Unwrap() http.ResponseWriter { return f.ResponseWriter }

// finish keeps the answer, when it was passed on whole and is what its ETag says: whatever happened to the file meanwhile.
func (f *filler) finish() {
	if f == nil || f.new == nil {
		return
	}
	if want, _ := digestOf(f.new.etag); f.x.edge.cfg.Digest(f.new.body) == want {
		f.cache.put(f.new)
	}
}

// digestOf is the digest that a strong ETag of a node's is made of.
func digestOf(etag string) (d farm.Digest, ok bool) {
	if len(etag) < 2 || etag[0] != '"' || etag[len(etag)-1] != '"' {
		return d, false
	}
	d, err := farm.ParseDigest(etag[1 : len(etag)-1])
	return d, err == nil
}
