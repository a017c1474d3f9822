package member

import (
	"context"
	"errors"
	"slices"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
	"tandem/internal/identity"
)

// Times of a member certificate, which lasts two years.
const (
	renewLeft  = 90 * 24 * time.Hour // it is renewed when less than this is left
	alarmLeft  = 30 * 24 * time.Hour // a fault is raised when it is not renewed by then
	renewEvery = 24 * time.Hour      // between looks at it
	renewRetry = time.Hour           // after a failure
	renewWait  = 30 * time.Second    // for a node to be linked, at the start
)

// renewal keeps the member's own certificate from running out.
type renewal struct {
	id      *identity.Identity
	sink    farm.Sink
	now     func() time.Time
	sign    func(ctx context.Context, csr []byte) (der []byte, err error)
	alarmed bool
}

func (m *Member) newRenewal() *renewal {
	return &renewal{id: m.identity, sink: m.sink, now: time.Now, sign: m.signOwn}
}

// run looks at the certificate now and every day, until ctx ends.
func (r *renewal) run(ctx context.Context) error {
	for {
		pause := renewEvery
		if !r.check(ctx) {
			pause = renewRetry
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
	}
}

// check renews the certificate if it is time; false if that failed.
func (r *renewal) check(ctx context.Context) bool {
	until := r.id.Expires()
	left := until.Sub(r.now())
	if left >= renewLeft {
		return true
	}
	err := r.renew(ctx)
	if ctx.Err() != nil {
		return true // the member stops
	}
	e := farm.Event{ID: farm.EventMemberRenewed, Severity: farm.Info, Subject: string(r.id.Name())}
	switch {
	case err == nil:
		until = r.id.Expires()
		e.Message = "the certificate of this member was renewed"
		if r.alarmed {
			e.Severity, r.alarmed = farm.Healed, false
		}
	case left >= alarmLeft || r.alarmed:
		return false
	default:
		r.alarmed, e.Severity = true, farm.Fault
		e.Message = "the certificate of this member can't be renewed: " + err.Error()
		e.Next = "link this member with a node that runs a current version; once the certificate has ended no other member takes this one any more, and it must be removed and join again"
	}
	e.Fields = map[string]string{"until": until.UTC().Format(time.RFC3339)}
	r.sink(e)
	return err == nil
}

func (r *renewal) renew(ctx context.Context) error {
	csr, err := r.id.CSR()
	if err != nil {
		return err
	}
	der, err := r.sign(ctx, csr)
	if err != nil {
		return err
	}
	return r.id.Install(der)
}

// Renew implements peer.Renewer.
func (m *Member) Renew(name farm.MemberID, csr []byte) ([]byte, error) {
	listed, known := m.key(name)
	if !known {
		return nil, farm.Errorf("renew certificate", string(name), farm.Denied, "it is not a member")
	}
	return m.identity.Renew(csr, name, listed)
}

// signOwn has this member's certificate signed: here, or by a node.
func (m *Member) signOwn(ctx context.Context, csr []byte) ([]byte, error) {
	if m.identity.Authority() {
		return m.identity.Renew(csr, m.self, m.identity.Fingerprint())
	}
	if err := m.awaitSigner(ctx); err != nil {
		return nil, err
	}
	last := error(farm.Errorf("renew certificate", string(m.self), farm.Unavailable, "no node is linked that could sign"))
	for _, node := range m.config().With(farm.RoleNode) {
		if node.Name == m.self || !m.links.up(node.Name) {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, signTime)
		der, err := m.hub.Renew(ctx, node.Name, csr)
		cancel()
		if err == nil {
			return der, nil
		}
		last = err
	}
	return nil, last
}

// awaitSigner gives the sessions some time to come about. The error is that there is no configuration to ask.
func (m *Member) awaitSigner(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, renewWait)
	defer cancel()
	err := m.links.await(wait, func() bool {
		c := m.config()
		return c != nil && slices.ContainsFunc(c.With(farm.RoleNode), func(n config.Member) bool {
			s := m.links.at[n.Name]
			return s != nil && s.up
		})
	})
	if m.config() == nil {
		return errors.Join(err, farm.Errorf("renew certificate", string(m.self), farm.Unavailable, "no configuration is live"))
	}
	return nil
}
