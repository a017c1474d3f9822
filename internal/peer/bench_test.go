package peer_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"tandem/internal/farm"
	"tandem/internal/peer"
	"tandem/internal/peer/peertest"
	"tandem/internal/wire"
)

// ponger sends every Changes back, or tells that one has come back.
type ponger struct {
	hub  *peer.Hub
	back bool
	up   chan farm.MemberID
	came chan struct{}
}

func (p *ponger) Up(m farm.MemberID, _ wire.Hello) { p.up <- m }
func (p *ponger) Down(farm.MemberID, error)        {}

func (p *ponger) Receive(_ context.Context, from farm.MemberID, m wire.Message) {
	switch {
	case p.back:
		p.hub.Send(from, m)
	default:
		p.came <- struct{}{}
	}
}

// BenchmarkRoundTrip sends a change with 4 KiB to another member and back, over TLS on loopback. p50 and p99 are in
// microseconds.
func BenchmarkRoundTrip(b *testing.B) {
	w := newTLSWorld(b)
	start := func(self farm.MemberID, p *ponger) *peer.Hub {
		p.up, p.came = make(chan farm.MemberID, 1), make(chan struct{}, 1)
		h := w.Hub(peer.Config{Self: self, Handler: p, Sink: func(farm.Event) {}})
		p.hub = h
		ctx, cancel := context.WithCancel(b.Context())
		done := make(chan error, 1)
		go func() { done <- h.Run(ctx) }()
		b.Cleanup(func() { cancel(); <-done })
		return h
	}
	ping, pong := &ponger{}, &ponger{back: true}
	x, y := start("web1", ping), start("web2", pong)
	list := []peer.Member{{ID: "web1", Address: x.Addr()}, {ID: "web2", Address: y.Addr()}}
	x.SetMembers(list)
	y.SetMembers(list)
	<-ping.up
	<-pong.up
	m := wire.Changes{Folder: "gallery", List: []farm.Change{peertest.Change(1, 4<<10)}}
	var times []time.Duration
	for b.Loop() {
		began := time.Now()
		if !x.Send("web2", m) {
			b.Fatal("dropped")
		}
		<-ping.came
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-us")
}
