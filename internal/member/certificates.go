package member

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"time"

	"tandem/internal/certs"
	"tandem/internal/farm"
	"tandem/internal/identity"
)

// Limits of certificates that the farm makes itself.
const (
	maxOwnCerts = 4096
	renewBefore = 24 * time.Hour
	signTime    = 2 * time.Second
)

// certificates answers TLS handshakes: from the certificate store, and otherwise with one of the farm's own, so that an
// edge serves HTTPS from the first moment.
type certificates struct {
	m     *Member
	store *certs.Store // asks back for what it does not have

	mu  sync.Mutex
	own map[string]*tls.Certificate

	altered  chan struct{} // the store or the sites may have changed; one place
	surveyed chan struct{} // all certificates were looked at; one place
}

func newCertificates(m *Member) *certificates {
	c := &certificates{m: m, own: map[string]*tls.Certificate{}, altered: make(chan struct{}, 1), surveyed: make(chan struct{}, 1)}
	var dirs []certs.Dir
	if m.file.Certs != "" {
		dirs = append(dirs, certs.Dir{Origin: certs.Local, Path: m.file.Certs})
	}
	c.store = certs.NewStore(certs.Config{
		Dirs: append(dirs, certs.Dir{Origin: certs.Shared, Path: m.paths.certs()}, certs.Dir{Origin: certs.ACME, Path: m.paths.acme()}),
		Keep: m.paths.goodCerts(), Password: c.password, Fallback: c.fallback, Sink: m.sink, Now: time.Now,
	})
	return c
}

// password is that of the store's PFX files.
func (c *certificates) password() (string, error) {
	live := c.m.config()
	if live == nil {
		return "", nil
	}
	return c.m.secrets.value(live, live.Certificates.Password)
}

// get implements shell.GetCertificate.
func (c *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cert := c.m.acme.Certificate(hello); cert != nil {
		return cert, nil
	}
	if site, ok := c.m.web.Secure(hello.ServerName); ok && site.Internal {
		return c.fallback(hello)
	}
	return c.store.GetCertificate(hello)
}

// fallback gives one of the farm's own certificates.
func (c *certificates) fallback(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	if name == "" || !c.m.web.Serves(name) {
		// No name, or one of no site: the address that was called.
		host, _, err := net.SplitHostPort(hello.Conn.LocalAddr().String())
		if err != nil {
			return nil, err
		}
		name = host
	}
	return c.internal(hello.Context(), name)
}

func (c *certificates) internal(ctx context.Context, name string) (*tls.Certificate, error) {
	c.mu.Lock()
	cert := c.own[name]
	c.mu.Unlock()
	if cert != nil && time.Until(cert.Leaf.NotAfter) > renewBefore {
		return cert, nil
	}
	cert, err := c.issue(ctx, name)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.own) >= maxOwnCerts {
		clear(c.own)
	}
	c.own[name] = cert
	return cert, nil
}

// issue makes a certificate here, or has a node make it: an edge has no authority.
func (c *certificates) issue(ctx context.Context, name string) (*tls.Certificate, error) {
	if c.m.identity.Authority() {
		return c.m.identity.IssueServer(name)
	}
	req, err := identity.NewServerRequest(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, signTime)
	defer cancel()
	last := error(farm.Errorf("sign", name, farm.Unavailable, "no node is linked that could"))
	for _, node := range c.m.config().With(farm.RoleNode) {
		if !c.m.links.up(node.Name) {
			continue
		}
		der, err := c.m.hub.Sign(ctx, node.Name, req.CSR)
		if err == nil {
			return req.Certificate(der)
		}
		last = err
	}
	return nil, last
}
