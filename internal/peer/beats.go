package peer

import (
	"sync"
	"time"

	"tandem/internal/farm"
	"tandem/internal/wire"
)

// rememberedBeats is how many beats may be on their way and still be answered.
const rememberedBeats = 16

// beats are the heartbeats of a session: each answers the latest one heard, which gives the round trip time and tells
// whether the other side is alive now.
type beats struct {
	mu      sync.Mutex
	number  uint64                     // of the latest sent
	sentAt  [rememberedBeats]time.Time // by number
	latest  uint64                     // of the other side
	heardAt time.Time
	echoed  uint64        // our latest that the other side has answered
	heard   chan struct{} // closed and replaced when echoed grows
	rtt     time.Duration
	least   time.Duration // the shortest rtt of the session; zero: none yet
}

// nextBeat makes the next beat; it is to be sent at once.
func (s *session) nextBeat() wire.Beat {
	b := &s.beats
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.number++
	b.sentAt[b.number%rememberedBeats] = now
	out := wire.Beat{Number: b.number, Echo: b.latest, Now: s.link.hub.cfg.Now()}
	if b.latest > 0 {
		out.Held = now.Sub(b.heardAt)
	}
	return out
}

// hear takes a beat of the other side.
func (s *session) hear(m wire.Beat) {
	b := &s.beats
	b.mu.Lock()
	now := time.Now()
	b.latest, b.heardAt = m.Number, now
	if m.Echo > b.echoed && m.Echo <= b.number {
		b.echoed = m.Echo
		close(b.heard)
		b.heard = make(chan struct{})
		if b.number-m.Echo < rememberedBeats {
			b.rtt = max(0, now.Sub(b.sentAt[m.Echo%rememberedBeats])-m.Held)
			if b.least == 0 || b.rtt < b.least {
				b.least = max(1, b.rtt)
			}
		}
	}
	rtt := b.rtt
	b.mu.Unlock()
	s.link.twinGone()
	s.link.compareClocks(m.Now.Add(rtt / 2).Sub(s.link.hub.cfg.Now()))
}

// sign is what a session that was asked for a sign of life has given.
type sign uint8

const (
	unclear sign = iota
	gone         // it has ended
	lives        // the other side has answered
)

// ask asks the other side for a sign of life. A connection to a program that is gone ends soon.
func (s *session) ask() sign {
	s.beats.mu.Lock()
	asked := s.beats.number + 1
	s.beats.mu.Unlock()
	timeout := time.NewTimer(greetTimeout / 2) // the one who dials waits for greetTimeout
	defer timeout.Stop()
	for {
		token(s.beatNow)
		s.beats.mu.Lock()
		echoed, heard := s.beats.echoed, s.beats.heard
		s.beats.mu.Unlock()
		if echoed >= asked {
			return lives
		}
		select {
		case <-s.done:
			return gone
		case <-timeout.C:
			return unclear
		case <-heard:
		}
	}
}

// compareClocks raises an event when the other member's clock begins or ceases to be far off.
func (l *link) compareClocks(ahead time.Duration) {
	far := ahead.Abs() > skewMax
	l.mu.Lock()
	was := l.skewed
	l.skewed = far
	l.mu.Unlock()
	if far == was {
		return
	}
	e := farm.Event{ID: farm.EventClockSkew, Severity: farm.Healed, Subject: string(l.id), Message: "the clocks agree again"}
	if far {
		e.Severity = farm.Warning
		e.Message = "its clock differs from ours by " + ahead.Round(time.Millisecond).String()
		e.Next = "synchronise the clocks of all members, for example with chrony"
		e.Fields = map[string]string{"ahead": ahead.Round(time.Millisecond).String()}
	}
	l.hub.cfg.Sink(e)
}
