package edge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tandem/internal/config"
)

const (
	// statusVisitorLeft stands in the access log when the visitor did not wait for the answer. It is never sent.
	statusVisitorLeft = 499
)

// refuse answers a request that goes to no node. It returns false, for admit.
func (x *exchange) refuse(status int, why string) bool {
	x.status = status
	h := x.w.Header()
	x.mark(h)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", x.retryAfter())
	}
	x.page(status, why)
	return false
}

// sorry answers with what the site's file says for when no node can have a request, or else as refuse does.
func (x *exchange) sorry(why string) { x.unavailable(cmp.Or(x.options.Sorry, why), x.retryAfter()) }

// closed answers for a site that is in maintenance. It returns false, for admit.
func (x *exchange) closed(m *config.Maintenance) bool {
	x.unavailable(cmp.Or(m.Message, x.options.Sorry, "the site is being worked on; please come back later"), inSeconds(m.RetryAfter))
	return false
}

// unavailable answers with a page, or with a text in the edge's own page.
func (x *exchange) unavailable(text, retryAfter string) {
	x.status = http.StatusServiceUnavailable
	h := x.w.Header()
	x.mark(h)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Retry-After", retryAfter)
	if isPage(text) {
		x.send(x.status, "text/html; charset=utf-8", text)
		return
	}
	x.page(x.status, text)
}

// isPage tells a page from a sentence.
func isPage(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), "<") }

// retryAfter is when who could not be served may come again, in seconds.
func (x *exchange) retryAfter() string {
	after := config.DefaultRetryAfter
	if x.options != nil {
		after = cmp.Or(x.options.RetryAfter, after)
	}
	return inSeconds(after)
}

// inSeconds rounds up.
func inSeconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// page answers with a sentence, dressed up for who likes it.
func (x *exchange) page(status int, why string) {
	if strings.Contains(x.r.Header.Get("Accept"), "text/html") {
		x.send(status, "text/html; charset=utf-8", fmt.Sprintf(page, status, http.StatusText(status), html.EscapeString(why), x.id))
		return
	}
	x.send(status, "text/plain; charset=utf-8", why+"\n")
}

func (x *exchange) send(status int, kind, body string) {
	x.w.Header().Set("Content-Type", kind)
	x.w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		n, _ := x.w.Write([]byte(body))
		x.bytes = int64(n)
	}
}

// apologise answers a request that no node could answer.
func (x *exchange) apologise(err error) {
	x.node = ""
	switch {
	case x.r.Context().Err() != nil || errors.Is(err, context.Canceled):
		x.leave(gone)
	case errors.Is(err, errNoNode), errors.Is(err, errBusy):
		x.sorry("the site can't be reached at the moment; please try again in a few seconds")
	case isTimeout(err):
		x.refuse(http.StatusGatewayTimeout, "the site took too long to answer; whether it did what you asked for is not known")
	case x.safe:
		x.refuse(http.StatusBadGateway, "the site broke off before it answered; please try again")
	default:
		x.refuse(http.StatusBadGateway, "the site broke off before it answered; whether it did what you asked for is not known: please look before you try again")
	}
}

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%[1]d %[2]s</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #223; background: #f6f7f9; margin: 18vh auto; max-width: 34rem; padding: 0 1rem }
h1 { font-size: 1.4rem; font-weight: 600 }
small { color: #788 }
</style>
<h1>%[2]s</h1>
<p>%[3]s</p>
<p><small>%[1]d &middot; request %[4]s</small></p>
</html>
`
