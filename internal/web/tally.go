package web

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// outcome notes whether a request failed.
type outcome struct {
	*caddyhttp.ResponseWriterWrapper
	failed bool
}

func newOutcome(w http.ResponseWriter) *outcome {
	return &outcome{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
}

// WriteHeader implements http.ResponseWriter.
func (o *outcome) WriteHeader(status int) {
	o.failed = o.failed || status >= http.StatusInternalServerError
	o.ResponseWriterWrapper.WriteHeader(status)
}

// tally counts a request that is over.
func (s *Sites) tally(o *outcome) {
	s.requests.Add(1)
	if o.failed {
		s.failures.Add(1)
	}
}

// Counts is how many requests the sites have answered since the start, and how many of them with 500 or above.
func (s *Sites) Counts() (requests, failures uint64) { return s.requests.Load(), s.failures.Load() }
