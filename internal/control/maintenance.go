package control

import (
	"context"
	"net/http"
	"time"
)

// Maintenance is a site for which the edges answer themselves, or a request that it should be one.
type Maintenance struct {
	Site       string        `json:"site"` // name of its file without .caddy; "*": all sites
	On         bool          `json:"on"`
	Message    string        `json:"message,omitempty"`     // text or page; empty: the site's sorry_page, else the edge's own
	RetryAfter time.Duration `json:"retry_after,omitempty"` // nanoseconds; 0: 5 minutes
	Allow      []string      `json:"allow,omitempty"`       // addresses and networks that get through
}

// Maintainer takes sites out of service, and back.
type Maintainer interface {
	// Maintain makes a revision that says so, and waits until the linked members have it, at most for a bounded time. NotFound
	// if there is no site of that name, or if it is to end and was not on.
	Maintain(ctx context.Context, m Maintenance) error
}

// maxMaintenanceBytes bounds the request: a message may be a page.
const maxMaintenanceBytes = 1 << 20

func (s *Server) maintain(w http.ResponseWriter, r *http.Request) error {
	var m Maintenance
	if err := decode(w, r, maxMaintenanceBytes, &m); err != nil {
		return err
	}
	if err := s.opt.Backend.Maintain(r.Context(), m); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Maintain takes a site out of service, or back.
func (c *Client) Maintain(ctx context.Context, m Maintenance) error {
	return c.call(ctx, http.MethodPost, "/v1/maintenance", m, nil)
}
