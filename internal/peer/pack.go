package peer

import (
	"time"

	"tandem/internal/farm"
	"tandem/internal/wire"
	"tandem/internal/wire/pb"
)

// slowRTT is the round trip from which on a link counts as slow: there bytes cost more than compressing them. A link
// with a limit is slow, too.
const slowRTT = 5 * time.Millisecond

// encode makes the frame of a message as the session's protocol and link want it.
func (s *session) encode(m wire.Message) (*pb.Frame, error) {
	c, changes := m.(wire.Changes)
	if changes && !wire.Can(s.protocol, wire.CanRich) {
		plain, lost := wire.Plain(c)
		if m = plain; lost {
			s.tellPlain()
		}
	}
	f, err := wire.Encode(m)
	if err != nil || !changes || !wire.Can(s.protocol, wire.CanPack) || !s.slow() {
		return f, err
	}
	return s.link.hub.packer.Pack(f), nil
}

func (s *session) slow() bool {
	return s.link.limit.limited() > 0 || s.shortestRTT() >= slowRTT
}

// shortestRTT is what the network takes, without what waits to be sent: a busy link is not a slow one.
func (s *session) shortestRTT() time.Duration {
	if rtt, ok := leastRTT(s.conn.Conn); ok {
		return rtt
	}
	return s.beats.shortest()
}

// tellPlain reports that a member gets less than there is, because of its version.
func (s *session) tellPlain() {
	s.link.hub.notices.raise(farm.Event{ID: farm.EventMemberVersion, Severity: farm.Warning, Subject: string(s.link.id),
		Message: "it runs tandem " + s.hello.Version + ", this member " + s.link.hub.cfg.Version +
			": extended attributes and setuid bits are not sent to it, their protocol does not have them",
		Next: "upgrade tandem on " + string(s.link.id), Fields: map[string]string{"theirs": s.hello.Version, "ours": s.link.hub.cfg.Version}})
}
