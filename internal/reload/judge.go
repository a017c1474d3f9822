package reload

import (
	"fmt"
	"time"

	"tandem/internal/farm"
)

// Sample is how a member's sites fare, as counters that only grow.
type Sample struct {
	Requests uint64
	Failures uint64 // of them: answered with 500 or above
	Unfit    string // why it should get no visitors; empty: it is fit
}

// Watcher tells what trials are judged by. Its methods are called often and must not wait.
type Watcher interface {
	// Sample is how this member's sites fare.
	Sample() Sample
	// Doubts is why this member, which is not the canary, thinks that the canary fails since that time; empty: it does not.
	Doubts(canary farm.MemberID, since time.Time) string
	// Sees is with how many members this one is linked, itself among them, and how many there are.
	Sees() (linked, all int)
}

// Outcome is what a trial has come to.
type Outcome uint8

// The outcomes.
const (
	Undecided Outcome = iota
	Passed            // the others may run it
	Failed            // all go back
)

const (
	trialGrace   = 15 * time.Second // that the others give the canary beyond the time of the trial, and it a lost link
	trialLook    = 250 * time.Millisecond
	leastErrors  = 3    // failed requests that mean anything
	errorsBeyond = 0.05 // share of failed requests that is borne beyond twice the share of before
	beforeLooks  = 30   // looks, pollTime apart, that are remembered of the time before
)

// trial is what this member has seen of one. It is a value without a clock.
type trial struct {
	canary  bool // this member is it
	length  time.Duration
	seen    time.Duration // since this member has known of it
	lived   time.Duration // since it came to life here; 0: it has not
	refused string        // why it does not come to life here, wholly or for a site that was well before

	before      float64 // share of failed requests before, 0 to 1
	requests    uint64  // since it came to life
	failures    uint64
	unfit       string
	doubts      string // of a member that looks on
	linked, all int    // members
}

// judge decides. It is the whole of what trials are decided by:
//
//	the canary: does not come to life, unfit, too many failures  -> Failed
//	            well for the whole time, sees most members       -> Passed
//	            well, but sees too few of them, for too long     -> Failed: they have gone back, or will
//	the others: doubt it, and see half of the members            -> Failed
//	            no decision for too long, and see half of them   -> Failed
//
// Of two sides of a farm that was cut in two, one at most lets it pass, and if the other one has gone back, all go back
// when they meet: in a merge, what goes back has changed something and what passed has not.
func (t trial) judge() (Outcome, string) {
	if !t.canary {
		if 2*t.linked < t.all {
			return Undecided, "" // whoever is cut off leaves it to the others
		}
		switch {
		case t.doubts != "":
			return Failed, t.doubts
		case t.seen >= t.length+trialGrace:
			return Failed, "it has said nothing in time"
		}
		return Undecided, ""
	}
	switch {
	case t.refused != "":
		return Failed, t.refused
	case t.lived == 0 && t.seen >= t.length+trialGrace:
		return Failed, "it has not come to life in time"
	case t.lived == 0:
		return Undecided, ""
	case t.unfit != "":
		return Failed, t.unfit
	case t.failures >= leastErrors && float64(t.failures) > (2*t.before+errorsBeyond)*float64(t.requests):
		return Failed, fmt.Sprintf("%d of %d requests failed, before it were %.1f %%", t.failures, t.requests, 100*t.before)
	case t.lived < t.length:
		return Undecided, ""
	case 2*t.linked > t.all || t.all <= 1:
		return Passed, ""
	case t.lived >= t.length+trialGrace:
		return Failed, fmt.Sprintf("it sees %d of %d members", t.linked, t.all)
	}
	return Undecided, ""
}
