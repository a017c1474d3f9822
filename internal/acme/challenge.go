package acme

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"tandem/internal/certs"
	"tandem/internal/farm"
)

const (
	wellKnown   = "/.well-known/acme-challenge/"
	settleTime  = 10 * time.Second // for an answer to reach all members
	answerAge   = time.Hour        // after which an answer that nobody took away is
	answerBytes = 4 << 10          // of an answer's file, at most
)

// ALPN is the protocol of a connection by which an authority asks.
const ALPN = acmez.ACMETLS1Protocol

// answer is the content of a file in challenge/.
type answer struct {
	Host             string `json:"host"`
	KeyAuthorization string `json:"key_authorization"`
}

func (i *Issuer) challenges() string { return filepath.Join(i.cfg.Dir, "challenge") }

var tokenPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{8,200}$`)

// find reads the answer to a challenge. What names it comes from strangers.
func (i *Issuer) find(kind, id string) (a answer, ok bool) {
	f, err := os.Open(filepath.Join(i.challenges(), kind+"."+id+".json"))
	if err != nil {
		return a, false
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, answerBytes))
	return a, err == nil && json.Unmarshal(b, &a) == nil
}

// Answer is a handler that answers the authority's HTTP-01 questions, and leaves all else to next.
func (i *Issuer) Answer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ours := strings.CutPrefix(r.URL.Path, wellKnown)
		if ours && r.Method == http.MethodGet && tokenPattern.MatchString(token) {
			if a, ok := i.find(acme.ChallengeTypeHTTP01, token); ok {
				w.Header().Set("Content-Type", "text/plain; charset=utf-8")
				w.Header().Set("Cache-Control", "no-store")
				_, _ = io.WriteString(w, a.KeyAuthorization)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// Certificate answers the authority's TLS-ALPN-01 question; nil: the handshake is none, or about a host of which nothing
// is known.
func (i *Issuer) Certificate(hello *tls.ClientHelloInfo) *tls.Certificate {
	if !slices.Contains(hello.SupportedProtos, ALPN) {
		return nil
	}
	name, err := certs.FileName(hello.ServerName)
	if err != nil {
		return nil
	}
	a, ok := i.find(acme.ChallengeTypeTLSALPN01, name)
	if !ok {
		return nil
	}
	cert, err := acmez.TLSALPN01ChallengeCert(acme.Challenge{
		Type: acme.ChallengeTypeTLSALPN01, KeyAuthorization: a.KeyAuthorization, Identifier: acme.Identifier{Type: "dns", Value: a.Host},
	})
	if err != nil {
		i.cfg.Log.Warn("a challenge can't be answered", "host", a.Host, "err", err)
		return nil
	}
	return cert
}

// spread implements acmez.Solver for what all members answer.
type spread struct{ i *Issuer }

func (s spread) file(c acme.Challenge) (string, error) {
	id := c.Token
	if c.Type == acme.ChallengeTypeTLSALPN01 {
		var err error
		if id, err = certs.FileName(c.Identifier.Value); err != nil {
			return "", err
		}
	} else if !tokenPattern.MatchString(id) {
		return "", farm.Errorf("answer challenge", c.Identifier.Value, farm.Invalid, "the authority's token is not one")
	}
	return filepath.Join(s.i.challenges(), c.Type+"."+id+".json"), nil
}

// Present implements acmez.Solver.
func (s spread) Present(_ context.Context, c acme.Challenge) error {
	path, err := s.file(c)
	if err != nil {
		return err
	}
	b, err := json.Marshal(answer{c.Identifier.Value, c.KeyAuthorization})
	if err != nil {
		return err
	}
	return certs.Write(s.i.cfg.Stage, path, b)
}

// Wait implements acmez.Waiter.
func (s spread) Wait(ctx context.Context, _ acme.Challenge) error {
	s.i.settle(ctx)
	return ctx.Err()
}

// CleanUp implements acmez.Solver.
func (s spread) CleanUp(_ context.Context, c acme.Challenge) error {
	path, err := s.file(c)
	if err != nil {
		return err
	}
	return os.Remove(path)
}

// settle waits until the other members have what was written, for a bounded time.
func (i *Issuer) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	i.cfg.Farm.Settle(ctx)
}

// sweep removes answers that a member which died has left.
func (i *Issuer) sweep(now time.Time) {
	entries, err := os.ReadDir(i.challenges())
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && now.Sub(info.ModTime()) > answerAge {
			_ = os.Remove(filepath.Join(i.challenges(), e.Name())) // another member does it too
		}
	}
}
