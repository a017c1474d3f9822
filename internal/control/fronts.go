package control

import (
	"context"
	"net/http"

	"tandem/internal/farm"
)

// Fronts says where visitors can be served past the farm's edges: what another balancer must know (GET /v1/fronts).
type Fronts struct {
	Farm     string      `json:"farm"`
	Revision string      `json:"revision"`
	Nodes    []FrontNode `json:"nodes"` // sorted by name
}

// FrontNode is a node with what it answers to.
type FrontNode struct {
	Name     farm.MemberID `json:"name"`
	Host     string        `json:"host"` // of its address, without the port
	Weight   int           `json:"weight"`
	Draining bool          `json:"draining"`

	Bindings []SiteBinding `json:"bindings"`
}

// SiteBinding is an address of a site for one host name.
type SiteBinding struct {
	Site    string `json:"site"`    // file
	Host    string `json:"host"`    // "*.example.com"; empty: any
	Address string `json:"address"` // "192.0.2.11:8080"; ":443" is every address of the node
	TLS     bool   `json:"tls"`
}

// Fronter tells where visitors can be served.
type Fronter interface {
	// Fronts is as the live revision says, for every node. Of nodes other than the answering one only farm.toml is known: an
	// address in a site file counts as a node's if it is the host of its address there.
	Fronts(ctx context.Context) (Fronts, error)
}

func (s *Server) fronts(w http.ResponseWriter, r *http.Request) error {
	f, err := s.opt.Backend.Fronts(r.Context())
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, f)
	return nil
}

// Fronts asks where visitors can be served past the edges.
func (c *Client) Fronts(ctx context.Context) (f Fronts, err error) {
	return f, c.call(ctx, http.MethodGet, "/v1/fronts", nil, &f)
}
