package acme

import (
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"time"

	"tandem/internal/farm"
)

// view is how a member sees the farm when it decides.
type view struct {
	self     farm.MemberID
	now      time.Time
	up       []farm.MemberID
	few      bool          // they are less than half of the farm
	calm     time.Duration // since who is up changed
	settings Settings
	times    Times
}

// known is what is known of a host.
type known struct {
	host        string
	from, until time.Time // of its certificate; zero: it has none
	attempt     attempt
}

// attempt is the content of HOST.json.
type attempt struct {
	Issuer   farm.MemberID `json:"issuer"`
	Since    time.Time     `json:"since"`
	Open     bool          `json:"open"`            // it is under way
	Failures int           `json:"failures"`        // in a row
	Error    string        `json:"error,omitempty"` // of the last
	After    time.Time     `json:"after"`           // no other before
}

// todo is what to do about a host.
type todo struct {
	issue bool
	wait  time.Duration // until it may be due; 0: nothing is known that would make it so
}

// patience is how long an attempt may take.
const patience = 10 * time.Minute

// decide says whether this member orders a certificate for the host now.
func (v view) decide(k known) todo {
	wait := max(renewal(k.from, k.until).Sub(v.now), k.attempt.After.Sub(v.now))
	if a := k.attempt; a.Open {
		limit := patience
		if a.Issuer == v.self || !slices.Contains(v.up, a.Issuer) { // it was this member before it was restarted, or one that has died
			limit = v.times.TakeOver
		}
		wait = max(wait, a.Since.Add(limit).Sub(v.now))
	}
	calm := v.times.Calm
	if v.few {
		calm = v.times.Alone
	}
	wait = max(wait, calm-v.calm)
	if wait > 0 {
		return todo{wait: wait}
	}
	return todo{issue: v.issuer(k.attempt.Failures) == v.self}
}

// issuer is the member whose turn it is after so many failures; empty: none that may is up.
func (v view) issuer(failures int) farm.MemberID {
	may := v.up
	if len(v.settings.Issuers) > 0 {
		may = slices.DeleteFunc(slices.Clone(v.up), func(m farm.MemberID) bool { return !slices.Contains(v.settings.Issuers, m) })
	}
	if len(may) == 0 {
		return ""
	}
	return may[failures%len(may)]
}

// renewal is when a certificate is due: a third of its time before its end.
func renewal(from, until time.Time) time.Time { return until.Add(-until.Sub(from) / 3) }

// steps are the pauses after failures in a row, in times of the first: about 1, 5 and 15 minutes, 1, 4, 12 and 24 hours. An
// authority such as Let's Encrypt allows five failures an hour for a host.
var steps = []time.Duration{1, 5, 15, 60, 240, 720, 1440}

// pause is how long a host is left alone after so many failures in a row.
func (t Times) pause(failures int, wish time.Duration) time.Duration {
	return max(t.First*steps[min(failures, len(steps))-1], wish)
}

// can tells whether there is a kind of challenge by which the host can be proven.
func (s Settings) can(host string) bool {
	if strings.HasPrefix(host, "*.") {
		return len(s.Hook) > 0
	}
	return len(s.Hook) > 0 || len(s.Challenges) > 0
}

func (s Settings) pool() (*x509.CertPool, error) {
	if len(s.Roots) == 0 {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(s.Roots) {
		return nil, errors.New("root in [acme] has no certificate in PEM")
	}
	return pool, nil
}

// private are the last labels of names that no public authority signs.
var private = []string{"localhost", "local", "localdomain", "internal", "intranet", "private", "corp", "home", "lan", "test", "example", "invalid", "onion", "arpa"}

// Eligible tells whether an authority may sign the name. One of the farm's own choice may sign private names, too.
func Eligible(host string, ownAuthority bool) bool {
	name := strings.TrimPrefix(host, "*.")
	last := name[strings.LastIndexByte(name, '.')+1:]
	if name == "" || last == "" || last == "localhost" || strings.ContainsAny(name, "*:/ _") || strings.Trim(last, "0123456789") == "" {
		return false
	}
	return ownAuthority || strings.Contains(name, ".") && !slices.Contains(private, last)
}
