package edge

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"

	"tandem/internal/config"
)

// markBytes is the length of what names a node in an affinity cookie, before its encoding.
const markBytes = 9

// markOf names a node to its visitors. All edges give it the same mark, since they know its key's fingerprint; visitors
// don't know that, so that a mark says nothing, and none but those that were given can be made.
func markOf(n Node) string {
	secret := n.Key
	if secret == "" {
		secret = string(n.ID)
	}
	sum := sha256.Sum256([]byte("tandem affinity\x00" + secret))
	return base64.RawURLEncoding.EncodeToString(sum[:markBytes])
}

// bound is the node that the visitor is bound to, if that may have the request; else nil.
func (x *exchange) bound(v *view) *standing {
	a := &x.options.Affinity
	var s *standing
	switch a.By {
	case "":
		return nil
	case config.ByCookie:
		s = v.marked(x.cookie(a.Cookie))
	default:
		if key, ok := x.keyOf(a.By, ""); ok {
			s = rendezvousOf(v, key, func(s *standing) bool { return x.keeps(a, s) && !x.shuns(s) })
		}
	}
	if s == nil || !x.keeps(a, s) || x.shuns(s) || !x.tried.fresh(s) || !v.fits(s, x.want) {
		return nil
	}
	return s
}

// keeps tells whether a node may keep those that are bound to it.
func (x *exchange) keeps(a *config.Affinity, s *standing) bool {
	return s.rank != rankDraining || x.edge.cfg.Now().Sub(s.since) < a.Drain
}

// rendezvousOf finds the node for a key among those of the view's best ranks: a spare node has no visitors of its own.
func rendezvousOf(v *view, key uint64, ok func(*standing) bool) *standing {
	var from []*standing
	for _, tier := range v.tiers {
		for _, s := range tier {
			if ok(s) && (!s.spare || len(from) == 0) {
				from = append(from, s)
			}
		}
	}
	if len(from) == 0 {
		return nil
	}
	return rendezvous(from, key)
}

func (v *view) marked(mark string) *standing {
	if mark == "" {
		return nil
	}
	for _, tier := range v.tiers {
		for _, s := range tier {
			if s.mark == mark {
				return s
			}
		}
	}
	return nil
}

// bind tells the visitor, by a cookie, to which node it is bound from now on.
func (x *exchange) bind(h http.Header, s *standing) {
	a := &x.options.Affinity
	if a.By != config.ByCookie || x.status >= http.StatusInternalServerError || s.rank == rankDraining || x.cookie(a.Cookie) == s.mark {
		return
	}
	c := http.Cookie{Name: a.Cookie, Value: s.mark, Path: "/", HttpOnly: true, Secure: x.r.TLS != nil, SameSite: http.SameSiteLaxMode}
	h.Add("Set-Cookie", c.String())
}
