package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"tandem/internal/certs"
	"tandem/internal/farm"
)

// attempt is the last one for the host, and whether there was one.
func (i *Issuer) attempt(host string) (a attempt, ok bool) {
	path, err := i.path(host, ".json")
	if err != nil {
		return a, false
	}
	b, err := os.ReadFile(path)
	return a, err == nil && json.Unmarshal(b, &a) == nil
}

func (i *Issuer) note(host string, a attempt) error {
	path, err := i.path(host, ".json")
	if err != nil {
		return err
	}
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return certs.Write(i.cfg.Stage, path, b)
}

// issue orders a certificate for the host, unless another member does.
func (i *Issuer) issue(ctx context.Context, set Settings, host string) {
	before, _ := i.attempt(host)
	claim := attempt{Issuer: i.cfg.Self, Since: time.Now(), Open: true, Failures: before.Failures, Error: before.Error}
	err := i.note(host, claim)
	if err == nil {
		i.settle(ctx)
		if a, ok := i.attempt(host); !ok || a.Issuer != i.cfg.Self || !a.Open {
			i.cfg.Log.Info("another member orders the certificate", "host", host, "issuer", a.Issuer)
			return
		}
		err = i.order(ctx, set, host)
	}
	if ctx.Err() != nil {
		return // the member stops: another takes over
	}
	if err == nil {
		return
	}
	wait := i.cfg.Times.pause(claim.Failures+1, wishOf(err))
	i.fail(host, claim.Failures+1, wait, err)
	if err := i.note(host, attempt{Issuer: i.cfg.Self, Since: claim.Since, Failures: claim.Failures + 1, Error: err.Error(), After: time.Now().Add(wait)}); err != nil {
		i.cfg.Log.Error("a failed order can't be noted", "host", host, "err", err)
	}
}

// order gets a certificate from the authority and puts it into the store.
func (i *Issuer) order(ctx context.Context, set Settings, host string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client, account, err := i.account(ctx, set)
	if err != nil {
		return accountError{err}
	}
	client.ChallengeSolvers = i.solvers(set, host)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	csr, err := acmez.NewCSR(key, []string{host})
	if err != nil {
		return err
	}
	params, err := acmez.OrderParametersFromCSR(account, csr)
	if err != nil {
		return err
	}
	old := i.current(host)
	if old != nil && len(old.Leaf.AuthorityKeyId) > 0 && time.Now().Before(old.Leaf.NotAfter) {
		params.Replaces = old.Leaf
	}
	chains, err := client.ObtainCertificate(ctx, params)
	var p acme.Problem
	if params.Replaces != nil && errors.As(err, &p) && ctx.Err() == nil {
		// The authority does not know the old one, or has replaced it already: that must not be in the way of a new one.
		params.Replaces = nil
		chains, err = client.ObtainCertificate(ctx, params)
	}
	if err != nil {
		return err
	}
	der, err := certs.Encode(&tls.Certificate{PrivateKey: key})
	if err != nil {
		return err
	}
	cert, err := certs.Parse("", chains[0].ChainPEM, der)
	if err != nil {
		return err
	}
	return i.keep(ctx, host, cert)
}

// keep puts the certificate into the store, on all members.
func (i *Issuer) keep(ctx context.Context, host string, cert *tls.Certificate) error {
	path, err := i.path(host, ".pem")
	if err != nil {
		return err
	}
	replaced, err := certs.Save(i.cfg.Stage, path, cert)
	if err != nil {
		return err
	}
	done, err := i.path(host, ".json")
	if err == nil {
		err = os.Remove(done)
	}
	if err != nil {
		i.cfg.Log.Warn("the note of an order that is done stays", "host", host, "err", err)
	}
	i.settle(ctx)
	verb := "ordered"
	if replaced {
		verb = "renewed"
	}
	i.cfg.Sink(farm.Event{ID: farm.EventACMEIssued, Severity: farm.Info, Subject: host, Folder: farm.FolderCerts,
		Message: "the certificate was " + verb + ", and is good until " + cert.Leaf.NotAfter.UTC().Format(time.DateOnly),
		Fields:  map[string]string{"issuer": cert.Leaf.Issuer.CommonName, "until": cert.Leaf.NotAfter.UTC().Format(time.RFC3339)}})
	return nil
}

// solvers are the ways by which the host can be proven.
func (i *Issuer) solvers(set Settings, host string) map[string]acmez.Solver {
	all := map[string]acmez.Solver{}
	if host[0] != '*' {
		for _, kind := range set.Challenges {
			all[kind] = spread{i}
		}
	}
	if len(set.Hook) > 0 {
		all[acme.ChallengeTypeDNS01] = hook{set.Hook, set.HookWait, i.cfg.Log}
	}
	return all
}

// wishOf is how long the authority wants to be left alone.
func wishOf(err error) time.Duration {
	var p acme.Problem
	if errors.As(err, &p) && p.Type == acme.ProblemTypeRateLimited {
		return time.Hour
	}
	return 0
}

// urgent is how long before a certificate's end it is a fault that it can't be renewed.
const urgent = 7 * 24 * time.Hour

func (i *Issuer) fail(host string, failures int, wait time.Duration, err error) {
	e := farm.Event{ID: farm.EventACMEFailed, Severity: farm.Fault, Subject: host, Folder: farm.FolderCerts,
		Message: "no certificate could be got: " + reason(err),
		Next:    "it is tried again in " + wait.String() + ", by another member if there is one; " + advice(err),
		Fields:  map[string]string{"failures": strconv.Itoa(failures), "retry_seconds": strconv.Itoa(int(wait.Seconds()))}}
	if cert := i.current(host); cert != nil && time.Until(cert.Leaf.NotAfter) > min(urgent, cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore)/6) {
		e.Severity = farm.Warning
	} else {
		i.failed[host] = true
	}
	i.cfg.Sink(e)
}

// accountError is one that came before the authority was asked for a certificate.
type accountError struct{ error }

func (e accountError) Unwrap() error { return e.error }

// advice is what may help.
func advice(err error) string {
	var p acme.Problem
	errors.As(err, &p)
	switch {
	case p.Type == acme.ProblemTypeExternalAccountRequired:
		return "set key_id and mac_key in [acme], which the authority gave you; that is tried at once"
	case errors.As(err, &accountError{}):
		return "directory, root, email, key_id and mac_key in [acme] must be right, and the authority be reached; a change there is tried at once"
	case p.Type == acme.ProblemTypeRejectedIdentifier || p.Type == acme.ProblemTypeRateLimited:
		return "it is the authority that does not want to"
	}
	return "port 80 or 443 of this name must lead to the farm"
}

// reason is the authority's own words where it has some.
func reason(err error) string {
	var p acme.Problem
	if !errors.As(err, &p) {
		return err.Error()
	}
	text := p.Detail
	if text == "" {
		text = p.Type
	}
	for _, s := range p.Subproblems {
		text += "; " + s.Detail
	}
	return text
}
