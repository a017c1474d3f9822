package peer

import (
	"slices"
	"strings"
	"time"

	"tandem/internal/farm"
)

// Stats is how a link fares.
type Stats struct {
	Member        farm.MemberID `json:"member"`
	Address       string        `json:"address"`
	State         State         `json:"state"`
	Since         time.Time     `json:"since"`
	Reason        string        `json:"reason,omitempty"` // why it is lost or refused
	Version       string        `json:"version,omitempty"`
	Protocol      uint32        `json:"protocol,omitempty"` // of the session
	Dialled       bool          `json:"dialled"`            // by this member
	RTT           time.Duration `json:"rtt_ns"`
	SentBytes     uint64        `json:"sent_bytes"` // since the member was added, all connections together
	ReceivedBytes uint64        `json:"received_bytes"`
	LimitBytes    int64         `json:"limit_bytes,omitempty"` // a second, that are sent at most; 0: no limit
	QueuedBytes   int           `json:"queued_bytes"`
	QueuedEntries int           `json:"queued_entries"`
	Gaps          uint64        `json:"gaps"`    // messages dropped because the queue was full
	Invalid       uint64        `json:"invalid"` // messages of its that did not obey the limits
}

// Stats gives the links to all other members, ordered by name.
func (h *Hub) Stats() []Stats {
	var out []Stats
	for _, l := range h.allLinks() {
		out = append(out, l.stats())
	}
	slices.SortFunc(out, func(a, b Stats) int { return strings.Compare(string(a.Member), string(b.Member)) })
	return out
}

func (l *link) stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := Stats{Member: l.id, Address: l.member.Address, State: l.state, Since: l.since, Reason: l.reason,
		SentBytes: l.sent.Load(), ReceivedBytes: l.received.Load(), LimitBytes: l.limit.limited(), Gaps: l.gaps.Load(), Invalid: l.invalid.Load()}
	if s := l.session; s != nil {
		st.Version, st.Protocol, st.Dialled, st.RTT = s.hello.Version, s.protocol, s.dialled, s.beats.roundTrip()
		st.QueuedBytes, st.QueuedEntries = s.out.size()
	}
	return st
}

func (b *beats) roundTrip() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rtt
}

// shortest is the shortest round trip of the session: what the network takes, without what waited to be sent before a
// beat. A session begins with beats and nothing else.
func (b *beats) shortest() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.least
}
