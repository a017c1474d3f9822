package config

import "time"

// Probe says how edges find out whether a node can serve a site.
type Probe struct {
	Port     int    // a TCP connection to it is all that is wanted; 0: Path is asked for
	Path     string // and query, as in "/health"
	Host     string // in the request
	TLS      bool   // the request is as one that came with HTTPS
	Low      int    // the least status that is good
	High     int    // the greatest
	Contains string // what the body must hold; empty: anything

	Interval time.Duration
	Timeout  time.Duration
	Fails    int // in a row that take the node out
	Passes   int // in a row that bring it back
}

// NewProbe is a probe with the defaults.
func NewProbe() Probe {
	return Probe{Low: 200, High: 399, Interval: 5 * time.Second, Timeout: 2 * time.Second, Fails: 2, Passes: 2}
}

// Eject says when a site's answers take a node out.
type Eject struct {
	Share  Share         // of answers with a status of 500 or more that takes it out
	Of     int           // answers that it takes to judge
	Within time.Duration // of the answers
	For    time.Duration // that the node is out, until visitors try it again
}

// NewEject is an Eject with the defaults.
func NewEject() Eject {
	return Eject{Share: 50, Of: 20, Within: 10 * time.Second, For: 30 * time.Second}
}
