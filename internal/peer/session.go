package peer

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"tandem/internal/farm"
	"tandem/internal/wire"
	"tandem/internal/wire/pb"
)

// stream is either end of a Session call.
type stream interface {
	Send(*pb.Frame) error
	Recv() (*pb.Frame, error)
}

func sendTo(s stream, m wire.Message) error {
	f, err := wire.Encode(m)
	if err != nil {
		return err
	}
	return s.Send(f)
}

// session is one live connection with the member of a link. Its reader runs in run, its writer beside it.
type session struct {
	link     *link
	stream   stream
	conn     *Conn
	hello    wire.Hello // of the other side
	dialled  bool
	protocol uint32 // that both sides speak
	began    time.Time
	release  func() // ends the call; may be nil
	calls    *client

	ctx  context.Context
	fail context.CancelCauseFunc // ends the session; the first reason counts
	done chan struct{}           // closed when Down has returned

	out     *queue
	changed chan struct{} // a token: the hub's state is another
	beatNow chan struct{} // a token: send a beat
	back    chan *Conn    // connections on which we may call one who dialled us
	beats   beats
}

// newSession makes the session that a greeting has led to. It is then run, or discarded.
func newSession(l *link, st stream, conn *Conn, hello wire.Hello, dialled bool) (*session, error) {
	s := &session{link: l, stream: st, conn: conn, hello: hello, dialled: dialled, began: time.Now(), done: make(chan struct{}),
		out: newQueue(), changed: make(chan struct{}, 1), beatNow: make(chan struct{}, 1), back: make(chan *Conn, maxBackConns)}
	s.beats.heard = make(chan struct{})
	s.protocol, _ = wire.Agree(l.hub.hello(), hello) // receiveHello has refused those without one
	s.ctx, s.fail = context.WithCancelCause(l.ctx)
	var err error
	if s.calls, err = s.callBack(); err != nil {
		s.fail(err)
		return nil, err
	}
	return s, nil
}

// discard ends a session that was never live.
func (s *session) discard() {
	s.fail(errTaken)
	_ = s.conn.Close() // first: gRPC would wait for a connection that is stuck
	if s.release != nil {
		s.release()
	}
	s.closeCalls()
}

func (s *session) lasted() time.Duration { return time.Since(s.began) }

// run carries the session to its end: Up, Receive..., Down.
func (s *session) run() {
	l := s.link
	defer close(s.done)
	defer l.ended(s)
	quicken(s.conn.Conn, l.hub.cfg.DeadAfter)
	// Closing the connection is what wakes the reader and the writer, whatever they wait for.
	closed := make(chan struct{})
	context.AfterFunc(s.ctx, func() {
		defer close(closed)
		s.out.close(context.Cause(s.ctx))
		_ = s.conn.Close() // it is over either way
		if s.release != nil {
			s.release()
		}
	})
	var group sync.WaitGroup
	group.Go(s.write)
	group.Go(s.watch)
	if s.dialled {
		group.Go(s.offerBack)
	}
	l.hub.up(l, s)
	l.hub.cfg.Handler.Up(l.id, s.hello)
	s.fail(s.read())
	<-closed
	group.Wait()
	s.closeCalls()

	reason := context.Cause(s.ctx)
	if l.ctx.Err() != nil {
		reason = errRemoved
		if l.hub.stopping() {
			reason = errStopped
		}
	}
	l.down(reason)
	l.hub.down(l, reason)
	l.hub.cfg.Handler.Down(l.id, reason)
}

// watch ends the session when its connection is closed. That the reader would see only when its handler returns.
func (s *session) watch() {
	select {
	case <-s.conn.closed:
		s.fail(errLost)
	case <-s.ctx.Done():
	}
}

// read hands what comes in to the handler until the session ends. Silence counts only while it waits for the other
// side: a handler that takes its time holds the sender back and hears nothing meanwhile.
func (s *session) read() error {
	deadAfter := s.link.hub.cfg.DeadAfter
	silence := time.AfterFunc(deadAfter, func() { s.fail(errSilent) })
	defer silence.Stop()
	for {
		silence.Reset(deadAfter)
		f, err := s.stream.Recv()
		silence.Stop()
		if err != nil {
			return s.ending(err)
		}
		f, err = s.link.hub.packer.Unpack(f)
		if err != nil {
			s.link.badFrame(err)
			continue
		}
		m, err := wire.Decode(f)
		if err != nil {
			s.link.badFrame(err)
			continue
		}
		switch m := m.(type) {
		case wire.Beat:
			s.hear(m)
		case wire.Hello:
			return farm.Errorf("session", string(s.link.id), farm.Invalid, "a second Hello")
		case wire.Heard:
			if m.Member == s.link.id || !wire.Can(s.protocol, wire.CanRelay) {
				s.link.badFrame(farm.Errorf("receive", "heard.member", farm.Invalid, "it passes on what %s said", m.Member))
				continue
			}
			s.link.hub.cfg.Handler.Receive(s.ctx, s.link.id, m)
		case wire.Move:
			if !wire.Can(s.protocol, wire.CanMove) {
				s.link.badFrame(farm.Errorf("receive", "move", farm.Invalid, "protocol %d has no such message", s.protocol))
				continue
			}
			s.link.hub.cfg.Handler.Receive(s.ctx, s.link.id, m)
		case wire.State:
			if m.Member != s.link.id {
				s.link.badFrame(farm.Errorf("receive", "state.member", farm.Invalid, "it speaks for %s", m.Member))
				continue
			}
			s.link.hub.cfg.Handler.Receive(s.ctx, s.link.id, m)
		default:
			s.link.hub.cfg.Handler.Receive(s.ctx, s.link.id, m)
		}
		if s.ctx.Err() != nil {
			return context.Cause(s.ctx)
		}
	}
}

// ending is the reason behind an error of the stream.
func (s *session) ending(err error) error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	s.link.hub.cfg.Log.Debug("stream ended", "member", s.link.id, "err", err) // in gRPC's words, which tell an admin nothing
	return errLost
}

// write sends beats, what is queued, and the state, in turn: none of them holds up another for more than a frame.
func (s *session) write() {
	ticker := time.NewTicker(s.link.hub.cfg.beatTime())
	defer ticker.Stop()
	beat, state := true, true // the first beat lets both sides measure at once
	for s.ctx.Err() == nil {
		if beat {
			s.send(s.nextBeat(), beatFrame)
		}
		queued, wait := s.sendQueued()
		// After what is queued: a position that the state names is mostly on the wire by then.
		if f := s.link.hub.state.Load(); state && f != nil {
			s.sendFrame(f, liveFrame)
		}
		beat, state = s.due(ticker.C, beat || queued || state, wait)
	}
}

// sendQueued sends the next message of the queue, unless the link's limit wants it to wait: then it says how long.
func (s *session) sendQueued() (sent bool, wait time.Duration) {
	bulk, any := s.out.next()
	if !any {
		return false, 0
	}
	if wait = s.link.limit.delay(!bulk); wait > 0 {
		return false, wait
	}
	m, ok := s.out.pop(bulk)
	if ok {
		s.send(m, frameKind(bulk))
	}
	return ok, 0
}

// due tells what is to be sent besides what is queued; when not busy, it waits until there is anything to send, or until
// what is queued may be.
func (s *session) due(tick <-chan time.Time, busy bool, wait time.Duration) (beat, state bool) {
	if !busy {
		var paid <-chan time.Time
		if wait > 0 {
			t := time.NewTimer(min(wait, beatLeast)) // the limit may be lifted meanwhile
			defer t.Stop()
			paid = t.C
		}
		select {
		case <-s.ctx.Done():
		case <-tick:
			beat = true
		case <-s.beatNow:
			beat = true
		case <-s.changed:
			state = true
		case <-s.out.ready:
		case <-paid:
		}
		return beat, state
	}
	select {
	case <-tick:
		beat = true
	case <-s.beatNow:
		beat = true
	default:
	}
	select {
	case <-s.changed:
		state = true
	default:
	}
	return beat, state
}

// kind is what a frame counts as under a limit.
type kind uint8

const (
	beatFrame kind = iota // not at all
	liveFrame
	bulkFrame
)

func frameKind(bulk bool) kind {
	if bulk {
		return bulkFrame
	}
	return liveFrame
}

// send encodes and sends a message. Changes that are too much for one frame, which happens when they name more actors
// than a frame may, go in halves.
func (s *session) send(m wire.Message, k kind) {
	f, err := s.encode(m)
	if err == nil {
		s.sendFrame(f, k)
		return
	}
	if c, ok := m.(wire.Changes); ok && len(c.List) > 1 {
		half := len(c.List) / 2
		s.send(wire.Changes{Folder: c.Folder, List: c.List[:half]}, k)
		s.send(wire.Changes{Folder: c.Folder, List: c.List[half:]}, k)
		return
	}
	s.link.gaps.Add(1)
	s.link.hub.cfg.Log.Error("a message can't be sent", "member", s.link.id, "err", err)
}

func (s *session) sendFrame(f *pb.Frame, k kind) {
	if s.link.limit.limited() > 0 && k != beatFrame {
		s.link.limit.spend(proto.Size(f), k == liveFrame)
	}
	if err := s.stream.Send(f); err != nil {
		s.fail(s.ending(err))
	}
}
