package edge

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"strings"
)

const (
	// statusVisitorLeft stands in the access log when the visitor did not wait for the answer. It is never sent.
	statusVisitorLeft = 499
	retryAfterSeconds = "3"
)

// refuse answers a request that goes to no node. It returns false, for admit.
func (x *exchange) refuse(status int, why string) bool {
	x.status = status
	h := x.w.Header()
	x.mark(h)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfterSeconds)
	}
	body := why + "\n"
	h.Set("Content-Type", "text/plain; charset=utf-8")
	if strings.Contains(x.r.Header.Get("Accept"), "text/html") {
		h.Set("Content-Type", "text/html; charset=utf-8")
		body = fmt.Sprintf(page, status, http.StatusText(status), html.EscapeString(why), x.id)
	}
	x.w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		n, _ := x.w.Write([]byte(body))
		x.bytes = int64(n)
	}
	return false
}

// apologise answers a request that no node could answer.
func (x *exchange) apologise(err error) {
	x.node = ""
	switch {
	case x.r.Context().Err() != nil || errors.Is(err, context.Canceled):
		x.leave(gone)
	case errors.Is(err, errNoNode), errors.Is(err, errBusy):
		x.refuse(http.StatusServiceUnavailable, "the site can't be reached at the moment; please try again in a few seconds")
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
