package peer

import (
	"strconv"

	"tandem/internal/farm"
)

func (h *Hub) up(l *link, s *session) {
	e := farm.Event{ID: farm.EventMemberUp, Severity: farm.Info, Subject: string(l.id), Message: "connected",
		Fields: map[string]string{"version": s.hello.Version, "protocol": strconv.FormatUint(uint64(s.protocol), 10)}}
	l.mu.Lock()
	if l.wasUp {
		e.Severity, e.Message = farm.Healed, "connected again"
	}
	l.wasUp = true
	asTwin := l.asTwin
	l.asTwin = false
	l.mu.Unlock()
	h.cfg.Sink(e)
	if asTwin {
		h.twinOver(h.cfg.Self)
	}
	h.familiar(l)
}

func (h *Hub) down(l *link, reason error) {
	e := farm.Event{ID: farm.EventMemberDown, Severity: farm.Fault, Subject: string(l.id), Message: "connection lost: " + reason.Error(),
		Next: "it is dialled until it answers"}
	if l.ctx.Err() != nil { // of our own will
		e.Severity, e.Message, e.Next = farm.Info, "connection closed: "+reason.Error(), ""
	}
	h.cfg.Sink(e)
}

// refused reports that a member or a stranger was not let in, or did not let us in.
func (h *Hub) refused(subject string, err error) {
	h.notices.raise(farm.Event{ID: farm.EventMemberRefused, Severity: farm.Warning, Subject: subject, Message: err.Error(),
		Next: "if it should be a member, remove it and let it join again"})
}
