package edge

// Health is the state of a node as the edge sees it.
type Health uint8

const (
	Unknown  Health = iota // not probed yet
	Healthy                // takes visitors
	Strained               // takes them too, but has said that it should be the last that does
	Failing                // no session, or it does not answer
	Draining               // works, but wants no new visitors
	Removed                // no longer of this farm
)

func (h Health) String() string {
	return [...]string{"unknown", "healthy", "strained", "failing", "draining", "removed"}[h]
}

// How many results in a row it takes to change one's mind. A node not seen before has nothing to be doubted for.
const (
	failuresToFail   = 2
	successesToTrust = 1 // from Unknown
	successesToHeal  = 2 // from Failing
)

// input is what can happen to a node's health.
type input uint8

const (
	sessionUp   input = iota // a session with the member is established
	sessionLost              // the session is lost
	probeOK                  // the node answered a probe in time
	probeBad                 // it did not, or said no
	connBad                  // a visitor's request found no connection, or a new one broke before an answer
	answered                 // the node answered a visitor
	drainOn                  // the node asks for no new visitors
	drainOff                 // it takes visitors again
	strainOn                 // the node says that something is amiss with it
	strainOff                // it does not any more
	removed                  // the node left the farm
)

// health is the state machine of one node. It is a value: step returns the next one.
type health struct {
	state    Health
	session  bool
	draining bool
	strained bool
	good     int // successes in a row
	bad      int // failures in a row
}

// step is what becomes of h after in.
func (h health) step(in input) health {
	if h.state == Removed {
		return h
	}
	switch in {
	case removed:
		h.state = Removed
	case sessionLost:
		h.state, h.session, h.good, h.bad = Failing, false, 0, 0
	case sessionUp:
		h.session = true // what it serves is not known yet: a probe decides
	case drainOn, drainOff:
		h.draining = in == drainOn
		h = h.resettled()
	case strainOn, strainOff:
		h.strained = in == strainOn
		h = h.resettled()
	case answered:
		h.bad = 0
	case probeOK:
		h = h.success()
	case probeBad, connBad:
		h = h.failure()
	}
	return h
}

func (h health) success() health {
	h.bad = 0
	if !h.session || h.state.takesRequests() {
		return h
	}
	h.good++
	if h.state == Unknown && h.good >= successesToTrust || h.good >= successesToHeal {
		h.state, h.good = h.up(), 0
	}
	return h
}

func (h health) failure() health {
	h.good = 0
	if h.state == Failing {
		return h
	}
	h.bad++
	if h.bad >= failuresToFail {
		h.state, h.bad = Failing, 0
	}
	return h
}

// resettled is h where a node that works has said something new of itself.
func (h health) resettled() health {
	if h.state.takesRequests() {
		h.state = h.up()
	}
	return h
}

// up is the state of a node that works.
func (h health) up() Health {
	switch {
	case h.draining:
		return Draining
	case h.strained:
		return Strained
	}
	return Healthy
}

func (h Health) takesRequests() bool { return h == Healthy || h == Strained || h == Draining }

// undecided tells whether the next result may change the state, so that it is worth having soon.
func (h health) undecided() bool { return h.good > 0 || h.bad > 0 }
