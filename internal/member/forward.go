package member

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"time"

	"tandem/internal/farm"
)

// forwarder has another node answer a visitor's request that this one can't answer yet.
type forwarder struct {
	transport *http.Transport
}

func newForwarder(m *Member) *forwarder {
	return &forwarder{&http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			return m.hub.DialHTTP(ctx, farm.MemberID(host))
		},
		MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: time.Minute, DisableCompression: true,
	}}
}

// Forward implements web.Forwarder. An error means that nothing has been written yet.
func (f *forwarder) Forward(ctx context.Context, to farm.MemberID, w http.ResponseWriter, r *http.Request) error {
	var failed error
	proxy := httputil.ReverseProxy{
		Transport: f.transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = "http", net.JoinHostPort(string(to), "80") // the dialler takes the name only
			p.Out.Host = p.In.Host
			for _, h := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"} {
				p.Out.Header[h] = p.In.Header[h]
			}
		},
		ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) { failed = err },
	}
	proxy.ServeHTTP(w, r.WithContext(ctx))
	if failed != nil {
		return &farm.Error{Op: "forward", Path: string(to), Kind: farm.Unavailable, Err: failed}
	}
	return nil
}
