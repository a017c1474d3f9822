package edge

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"html"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tandem/internal/config"
)

const (
	// statusVisitorLeft stands in the access log when the visitor did not wait for the answer. It is never sent.
	statusVisitorLeft = 499
	// leastRefresh is how many seconds a page waits at least before it tries again by itself.
	leastRefresh = 10
)

// headings say what visitors make of a status.
var headings = map[int]string{
	http.StatusServiceUnavailable: "Back soon",
	http.StatusBadGateway:         "Something went wrong",
	http.StatusGatewayTimeout:     "This took too long",
	http.StatusForbidden:          "Not open to you",
	http.StatusMisdirectedRequest: "No such site",
}

//go:embed page.html
var page string

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
	x.page(status, sentence(why))
	return false
}

// sorry answers with what the site's file says for when no node can have a request, or else as refuse does.
func (x *exchange) sorry(why string) {
	x.unavailable(cmp.Or(x.options.Sorry, sentence(why)), x.retryAfter())
}

// closed answers for a site that is in maintenance. It returns false, for admit.
func (x *exchange) closed(m *config.Maintenance) bool {
	x.unavailable(cmp.Or(m.Message, x.options.Sorry, "The site is being worked on. Please come back later."), inSeconds(m.RetryAfter))
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
		x.send(status, "text/html; charset=utf-8", x.dressed(status, why))
		return
	}
	x.send(status, "text/plain; charset=utf-8", why+"\n")
}

// dressed is the page around a sentence.
func (x *exchange) dressed(status int, why string) string {
	head, ok := headings[status]
	if !ok {
		head = http.StatusText(status)
	}
	refresh, note := "", ""
	if status == http.StatusServiceUnavailable && x.r.Method == http.MethodGet {
		after, _ := strconv.Atoi(x.w.Header().Get("Retry-After"))
		refresh = fmt.Sprintf("<meta http-equiv=\"refresh\" content=\"%d\">\n", max(after, leastRefresh))
		note = "This page tries again by itself.<br>"
	}
	return fmt.Sprintf(page, head, html.EscapeString(why), status, x.id, refresh, note)
}

// sentence gives what the edge says itself a capital and a full stop.
func sentence(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	s = string(unicode.ToUpper(first)) + s[size:]
	if unicode.IsLetter(last) || unicode.IsDigit(last) {
		s += "."
	}
	return s
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
		x.sorry("the site can't be reached at the moment. Please try again in a few seconds")
	case isTimeout(err):
		x.refuse(http.StatusGatewayTimeout, "the site took too long to answer. Whether it did what you asked for is not known")
	case x.safe:
		x.refuse(http.StatusBadGateway, "the site broke off before it answered. Please try again")
	default:
		x.refuse(http.StatusBadGateway, "the site broke off before it answered. Whether it did what you asked for is not known: please look before you try again")
	}
}
