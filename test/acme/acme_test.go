//go:build linux

package acme

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"net"
	"strings"
	"testing"
	"time"

	"tandem/internal/acme/acmetest"
	"tandem/internal/control"
	"tandem/internal/farm"
)

// serves is the certificate that a member shows to a visitor; nil: no connection.
func (r *rig) serves(name string) *x509.Certificate {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 2 * time.Second}, "tcp", r.addr(name, r.tls), &tls.Config{ServerName: "shop.test", InsecureSkipVerify: true})
	if err != nil {
		return nil
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

// issued waits until all members serve one certificate of the authority's, other than those, and returns it.
func (r *rig) issued(members []string, but ...*x509.Certificate) *x509.Certificate {
	r.t.Helper()
	var cert *x509.Certificate
	r.await("all serve one certificate of the authority's", func() bool {
		for i, m := range members {
			c := r.serves(m)
			if c == nil || !strings.Contains(c.Issuer.CommonName, "Pebble") {
				return false
			}
			for _, b := range but {
				if c.Equal(b) {
					return false
				}
			}
			if i > 0 && !c.Equal(cert) {
				return false
			}
			cert = c
		}
		return true
	})
	return cert
}

var long = flag.Bool("long", false, "kill the member that orders, and wait for a renewal")

var all = []string{"web1", "web2", "edge1"}

// issuers are the members that say to have got a certificate, once for each.
func (r *rig) issuers(members ...string) (names []string) {
	for _, m := range members {
		for range r.told(m, farm.EventACMEIssued) {
			names = append(names, m)
		}
	}
	return names
}

// TestAnyMemberAnswers: edge1, first by name, orders; the authority asks web2.
func TestAnyMemberAnswers(t *testing.T) {
	r := newRig(t, acmetest.Options{BadNonces: 10}, "challenges = \"http-01\"")
	r.ca.DNS.AddDNSARecord("shop.test.", []string{r.servers["web2"].ip})
	r.issued(all)
	if got := r.issuers(all...); len(got) != 1 || got[0] != "edge1" {
		t.Errorf("issued by %v", got)
	}
	if n := r.ca.Orders(); n != 1 {
		t.Errorf("%d orders were made", n)
	}
	var list control.Certificates
	if err := json.Unmarshal(r.must("web1", "cert", "list", "--json"), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Certificates) != 1 || list.Certificates[0].File != "acme/shop.test.pem" || len(list.Certificates[0].Hosts) != 1 || len(list.Bare) != 0 {
		t.Errorf("the list is %+v", list)
	}
}

// TestExternalAccount: the authority wants an external account, nobody has given one, and that is said. As soon as it is in
// farm.toml, its key as a secret, edge1 orders: it has that key from a node.
func TestExternalAccount(t *testing.T) {
	const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	r := newRig(t, acmetest.Options{KeyID: "kid-1", MAC: key}, "challenges = \"http-01\"\nmembers = [\"edge1\"]")
	r.ca.DNS.AddDNSARecord("shop.test.", []string{r.servers["web1"].ip})
	r.await("edge1 says what is missing", func() bool {
		for _, e := range r.told("edge1", farm.EventACMEFailed) {
			if strings.Contains(e.Message, "externalAccountBinding") && strings.Contains(e.Next, "set key_id and mac_key") {
				return true
			}
		}
		return false
	})
	r.typed("web2", key+"\n", "secret", "set", "eab")
	r.edit("web2", "[acme]", "[acme]\nkey_id = \"kid-1\"\nmac_key = \"{secret.eab}\"")
	began := time.Now()
	r.issued(all)
	t.Logf("issued %s after the account was in farm.toml", time.Since(began).Round(time.Millisecond))
	if got := r.issuers(all...); len(got) != 1 || got[0] != "edge1" {
		t.Errorf("issued by %v", got)
	}
	for _, m := range all {
		for _, args := range [][]string{{"config", "show"}, {"events", "--limit", "1000"}, {"status"}} {
			if bytes.Contains(r.must(m, args...), []byte(key)) {
				t.Errorf("%s: %v shows the key", m, args)
			}
		}
	}
}

// TestIssuerIsKilled: while the authority takes its time. The edge answers for the next one; the certificate ends soon, so
// it is renewed as well.
func TestIssuerIsKilled(t *testing.T) {
	if !*long {
		t.Skip("two minutes, asked for by -long")
	}
	r := newRig(t, acmetest.Options{Patient: true, Lasts: 30 * time.Second}, "challenges = \"tls-alpn-01\"\nmembers = [\"web1\", \"web2\"]")
	r.ca.DNS.AddDNSARecord("shop.test.", []string{r.servers["edge1"].ip}) // nothing is at 127.0.0.1, where it was before
	r.await("web1 has ordered", func() bool { return r.ca.Orders() == 1 })
	r.kill("web1")
	left := []string{"web2", "edge1"}
	first := r.issued(left)
	r.issued(left, first)
	if got := r.issuers(left...); len(got) < 2 || got[0] != "web2" {
		t.Errorf("issued by %v", got)
	}
	r.start("web1")
	r.await("web1 is back and has it", func() bool { c := r.serves("web1"); return c != nil && strings.Contains(c.Issuer.CommonName, "Pebble") })
}
