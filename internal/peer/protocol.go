package peer

import (
	"fmt"

	"tandem/internal/farm"
	"tandem/internal/wire"
)

// Protocol is the version of the language that is spoken with the member now; 0: there is no session.
func (h *Hub) Protocol(m farm.MemberID) uint32 {
	s, err := h.live("ask for the protocol of", m)
	if err != nil {
		return 0
	}
	return s.protocol
}

// strange reports a member with which no protocol is in common.
func (h *Hub) strange(m farm.MemberID, hello wire.Hello, err error) {
	next := "run versions of tandem on both that are no more than one release apart"
	if hello.ProtocolMax < wire.ProtocolMin {
		next = "upgrade tandem on " + string(m)
	} else if hello.ProtocolMin > wire.ProtocolMax {
		next = "upgrade tandem on this member"
	}
	h.notices.raise(farm.Event{ID: farm.EventMemberVersion, Severity: farm.Fault, Subject: string(m),
		Message: fmt.Sprintf("no session: it runs tandem %s and speaks protocol %d to %d; this member runs %s and speaks %d to %d",
			hello.Version, hello.ProtocolMin, hello.ProtocolMax, h.cfg.Version, wire.ProtocolMin, wire.ProtocolMax),
		Next: next, Fields: map[string]string{"theirs": hello.Version, "ours": h.cfg.Version, "error": err.Error()}})
	if l := h.link(m); l != nil {
		l.mu.Lock()
		l.foreign = true
		l.mu.Unlock()
	}
}

// familiar says that a protocol in common was found after all.
func (h *Hub) familiar(l *link) {
	l.mu.Lock()
	was := l.foreign
	l.foreign = false
	l.mu.Unlock()
	if was {
		h.cfg.Sink(farm.Event{ID: farm.EventMemberVersion, Severity: farm.Healed, Subject: string(l.id),
			Message: "a protocol in common was found"})
	}
}
