package edge

import (
	"math"
	"net/netip"
	"path"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"tandem/internal/config"
)

const (
	// maxRated is how many addresses a rule remembers. Beyond it those that have not asked for long are forgotten, then any.
	maxRated = 1 << 16
	// sweepTime is the pause between two looks for such.
	sweepTime = time.Second
)

// rates are the rate limits of a site, at work. Nil limits nothing.
type rates []*rateRule

// rateRule limits how often each address may ask for some paths.
type rateRule struct {
	config.RateLimit
	mu    sync.Mutex
	by    map[netip.Addr]*rate.Limiter
	swept time.Time
}

func newRates(limits []config.RateLimit) (all rates) {
	for _, l := range limits {
		all = append(all, &rateRule{RateLimit: l, by: map[netip.Addr]*rate.Limiter{}})
	}
	return all
}

// take counts a request, and returns how long the visitor has to wait until it may ask; 0: it may now. A request that may
// not be counts for no rule.
func (rs rates) take(a netip.Addr, url string, now time.Time) time.Duration {
	if len(rs) == 0 {
		return 0
	}
	if a.Is6() { // a visitor has a whole network
		a = netip.PrefixFrom(a, visitorBits).Masked().Addr()
	}
	url = path.Clean(url)
	var taken []*rate.Reservation
	for _, r := range rs {
		if r.Path != "" && !matchesPath(r.Path, url) {
			continue
		}
		got := r.limiter(a, now).ReserveN(now, 1)
		taken = append(taken, got)
		if wait := got.DelayFrom(now); wait > 0 {
			for _, t := range taken {
				t.CancelAt(now)
			}
			return wait
		}
	}
	return 0
}

func (r *rateRule) limiter(a netip.Addr, now time.Time) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.by[a]
	if l == nil {
		if len(r.by) >= maxRated {
			r.forget(now)
		}
		l = rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)
		r.by[a] = l
	}
	return l
}

// forget makes room: who has its whole burst again is as good as unknown. Under mu.
func (r *rateRule) forget(now time.Time) {
	if now.Sub(r.swept) >= sweepTime {
		r.swept = now
		for a, l := range r.by {
			if l.TokensAt(now) >= math.Nextafter(float64(r.Burst), 0) {
				delete(r.by, a)
			}
		}
	}
	for a := range r.by { // in no order
		if len(r.by) < maxRated {
			return
		}
		delete(r.by, a)
	}
}
