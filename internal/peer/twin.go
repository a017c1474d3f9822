package peer

import (
	"time"

	"tandem/internal/farm"
	"tandem/internal/wire"
)

// twinQuiet is for how long nobody must have used a member's name a second time until that counts as over. Who is
// refused dials again every few seconds.
const twinQuiet = 15 * time.Second

// ask waits until the live session has ended (no error) or has shown that it is alive.
func (l *link) ask(old *session, hello wire.Hello) error {
	defer func() {
		l.mu.Lock()
		l.asked = false
		l.mu.Unlock()
	}()
	switch old.ask() {
	case gone:
		return nil
	case unclear: // held back by a slow handler, perhaps; the one who dials tries again
		return errTaken
	}
	if old.hello.Boot == hello.Boot {
		return errTaken
	}
	l.twin()
	return farm.Errorf("greet", string(l.id), farm.Conflict, "another program with the name %s is connected", l.id)
}

// twin notes and reports that a second program uses the member's name.
func (l *link) twin() {
	l.mu.Lock()
	l.twinSeen = time.Now()
	l.mu.Unlock()
	l.hub.twin(l.id)
}

// twinGone reports that no second program has used the name for a while. It is called with each sign of life of the first.
func (l *link) twinGone() {
	l.mu.Lock()
	gone := !l.twinSeen.IsZero() && time.Since(l.twinSeen) > twinQuiet
	if gone {
		l.twinSeen = time.Time{}
	}
	l.mu.Unlock()
	if gone {
		l.hub.twinOver(l.id)
	}
}

// refusedAsTwin notes and reports that the member holds us for the second program of our name. A session with it ends that.
func (l *link) refusedAsTwin() {
	l.mu.Lock()
	l.asTwin = true
	l.mu.Unlock()
	l.hub.twin(l.hub.cfg.Self)
}

func (h *Hub) twin(m farm.MemberID) {
	h.notices.raise(farm.Event{ID: farm.EventMemberTwin, Severity: farm.Fault, Subject: string(m),
		Message: "two programs use the name " + string(m) + " at once; the second is refused",
		Next:    "stop the one that should not run; a copied machine must leave the farm and join under a new name"})
}

func (h *Hub) twinOver(m farm.MemberID) {
	h.cfg.Sink(farm.Event{ID: farm.EventMemberTwin, Severity: farm.Healed, Subject: string(m),
		Message: "only one program uses the name " + string(m)})
}
