package peer

import (
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tandem/internal/farm"
	"tandem/internal/wire"
)

// State is where the link to another member stands; see the package documentation.
type State string

const (
	Connecting State = "connecting" // dialling, or waiting to be dialled
	Greeting   State = "greeting"   // connected, saying Hello
	Live       State = "live"
	Lost       State = "lost"    // can't be reached, or gone; dialled again after a pause
	Apart      State = "apart"   // the configuration wants no session with it
	Refused    State = "refused" // one side does not take the other's certificate; dialled again after a pause
)

// link is everything about one other member.
type link struct {
	hub  *Hub
	id   farm.MemberID
	wake chan struct{} // a token: dial now

	ctx  context.Context // of the time between add and remove while the hub runs
	stop context.CancelFunc

	mu       sync.Mutex
	member   Member
	state    State
	since    time.Time
	reason   string
	greeting *greeting // the one session that is about to become live
	session  *session  // live, or live until a moment ago
	asked    bool      // session is being asked for a sign of life
	unheard  bool      // the last dial did not get through
	wasUp    bool
	skewed   bool
	twinSeen time.Time // when a second program last used its name; zero: none does
	asTwin   bool      // it has refused us as a second program of our name
	foreign  bool      // it speaks no protocol that we speak
	conns    map[*Conn]struct{}
	bulk     bulkPool

	limit limiter // of what is sent

	sent, received atomic.Uint64
	gaps, invalid  atomic.Uint64
}

// greeting is a session in the making. Who is superseded finds another one in its place.
type greeting struct {
	dialled bool
	cancel  context.CancelFunc // nil for one that came in
}

var (
	errTaken   = farm.Errorf("greet", "", farm.Exists, "another session with the member is live or about to be")
	errRemoved = farm.Errorf("session", "", farm.Unavailable, "the member was removed or changed its key")
	errStopped = farm.Errorf("session", "", farm.Unavailable, "this member is stopping")
	errLost    = farm.Errorf("session", "", farm.Unavailable, "the connection was lost")
	errApart   = farm.Errorf("session", "", farm.Exists, "the configuration wants no session with the member")
	errSilent  = farm.Errorf("session", "", farm.Unavailable, "nothing was heard for too long")
)

func newLink(h *Hub, m Member) *link {
	return &link{hub: h, id: m.ID, member: m, wake: make(chan struct{}, 1), state: Connecting, since: h.cfg.Now(),
		conns: make(map[*Conn]struct{})}
}

// reached ends the pause between two dials when the other side has dialled us: it can most likely be reached now. It
// does so only if the last dial did not get through, or two who refuse each other would go on without a pause.
func (l *link) reached() {
	l.mu.Lock()
	unheard := l.unheard
	l.unheard = false
	l.mu.Unlock()
	if unheard {
		l.dialNow()
	}
}

// dialNow ends the pause between two dials.
func (l *link) dialNow() {
	token(l.wake)
}

// run keeps the link up until it is stopped.
func (l *link) run() {
	pause := pauseMin
	for l.ctx.Err() == nil {
		s, err := l.current(), error(nil)
		switch {
		case s != nil:
			<-s.done
		case l.apart():
			l.stayApart()
			continue
		default:
			s, err = l.attempt()
		}
		switch {
		case s != nil && s.lasted() > deadAfter:
			pause = pauseMin
		case errors.Is(err, errTaken):
			// The other side's session is on its way; if it does not come about, we try again.
			l.hub.cfg.Log.Debug("own session given up", "member", l.id)
		case err != nil:
			l.failed(err)
		}
		pause = l.rest(pause)
	}
}

// rest waits before the next dial and returns the pause after that.
func (l *link) rest(pause time.Duration) time.Duration {
	jitter := pause/2 + rand.N(pause/2+1)
	t := time.NewTimer(jitter)
	defer t.Stop()
	select {
	case <-l.ctx.Done():
	case <-l.wake:
	case <-t.C:
	}
	return min(2*pause, pauseMax)
}

func (l *link) current() *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session
}

func (l *link) where() Member {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.member
}

// set changes the state of a link that has no session; where one is live or greeting by the other side's doing, that
// counts.
func (l *link) set(s State, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == nil && l.greeting == nil {
		l.change(s, reason)
	}
}

func (l *link) change(s State, reason string) {
	if l.state != s {
		l.since = l.hub.cfg.Now()
	}
	l.state, l.reason = s, reason
}

// after is the state of a link without a session, by what went wrong.
func after(err error) State {
	if farm.KindOf(err) == farm.Denied {
		return Refused
	}
	return Lost
}

// failed notes and reports why a dial led to no session.
func (l *link) failed(err error) {
	if l.ctx.Err() != nil {
		return
	}
	l.set(after(err), err.Error())
	l.hub.cfg.Log.Debug("no session", "member", l.id, "err", err)
	switch farm.KindOf(err) {
	case farm.Denied:
		l.hub.refused(string(l.id), err)
	case farm.Conflict:
		l.refusedAsTwin()
	}
}

// attempt dials, greets and carries the session to its end. The error says why there was none.
func (l *link) attempt() (*session, error) {
	l.set(Connecting, "")
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	dialCtx, cancelDial := context.WithTimeout(ctx, dialTimeout)
	defer cancelDial()
	conn, err := l.hub.dial(dialCtx, l, protoMembers)
	l.mu.Lock()
	l.unheard = err != nil
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	g := &greeting{dialled: true, cancel: cancel}
	if !l.begin(g) {
		return nil, errors.Join(errTaken, conn.Close())
	}
	s, err := l.greet(ctx, conn)
	if err == nil && !l.adopt(g, s) {
		err = errTaken
		s.discard()
	}
	if err != nil {
		l.abandon(g, err)
		_ = conn.Close() // the reason is in err
		return nil, err
	}
	s.run()
	return s, nil
}

// begin makes our own dial the greeting, unless the other side was faster. From then on the smaller name's dial wins.
func (l *link) begin(g *greeting) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session != nil || l.greeting != nil || l.ctx.Err() != nil {
		return false
	}
	l.greeting = g
	l.change(Greeting, "")
	return true
}

// abandon ends a greeting that has not become a session.
func (l *link) abandon(g *greeting, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.greeting == g {
		l.greeting = nil
		l.change(after(err), err.Error())
	}
}

// greet says Hello over a connection that we dialled and returns the session-to-be.
func (l *link) greet(ctx context.Context, conn *Conn) (*session, error) {
	client, err := newClient(once(conn))
	if err != nil {
		return nil, err
	}
	// The stream has a context of its own: it must outlive the greeting, and end when the greeting is given up.
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(greetTimeout, func() { cancel(errSilent) })
	defer timer.Stop()
	fail := func(err error) (*session, error) {
		_ = conn.Close() // first: gRPC would wait for a connection that is stuck
		cancel(err)
		_ = client.close() // the reason is in err
		if conn.refused.Load() {
			return nil, farm.Errorf("greet", string(l.id), farm.Denied, "it does not take this member's certificate")
		}
		return nil, wire.FromStatus("greet", string(l.id), err)
	}
	stream, err := client.Session(ctx)
	if err != nil {
		return fail(err)
	}
	if err := sendTo(stream, l.hub.hello()); err != nil && !errors.Is(err, io.EOF) { // then Recv says why
		return fail(err)
	}
	hello, err := l.hub.receiveHello(stream, l.id)
	if err != nil {
		return fail(err)
	}
	s, err := newSession(l, stream, conn, hello, true)
	if err != nil {
		return fail(err)
	}
	s.release = func() { cancel(errLost); _ = client.close() } // closing twice is all that can fail
	return s, nil
}

// claim decides whether a session that the other side opened may go on, and makes it the greeting.
func (l *link) claim(hello wire.Hello) (*greeting, error) {
	for {
		l.mu.Lock()
		old := l.session
		switch {
		case l.ctx.Err() != nil:
			l.mu.Unlock()
			return nil, errRemoved
		case l.member.Apart:
			l.mu.Unlock()
			return nil, errApart
		case old != nil && l.asked:
			l.mu.Unlock()
			return nil, errTaken
		case old != nil:
			l.asked = true
			l.mu.Unlock()
			if err := l.ask(old, hello); err != nil {
				return nil, err
			}
			continue
		case l.greeting != nil && (!l.greeting.dialled || l.hub.cfg.Self < l.id):
			l.mu.Unlock()
			return nil, errTaken
		case l.greeting != nil:
			l.greeting.cancel()
		}
		g := &greeting{}
		l.greeting = g
		l.change(Greeting, "")
		l.mu.Unlock()
		return g, nil
	}
}

// adopt makes the greeting's session the live one.
func (l *link) adopt(g *greeting, s *session) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.greeting != g || l.session != nil || l.ctx.Err() != nil {
		return false
	}
	l.greeting, l.session = nil, s
	l.change(Live, "")
	return true
}

// ended takes the session out, when Down has returned.
func (l *link) ended(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == s {
		l.session = nil
	}
}

// down notes why the live session is over.
func (l *link) down(reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.change(Lost, reason.Error())
}

// track makes a connection one of the link's, so that it is closed when the member is removed. It fails when that has
// happened already.
func (l *link) track(c *Conn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return errRemoved
	}
	if len(l.conns) >= maxConns {
		return farm.Errorf("connect", string(l.id), farm.Full, "%d connections are open", len(l.conns))
	}
	c.sent, c.received = &l.sent, &l.received
	l.conns[c] = struct{}{}
	c.forget = func() {
		l.mu.Lock()
		delete(l.conns, c)
		l.mu.Unlock()
	}
	return nil
}

// recheck closes the connections whose certificate is no longer trusted; all of them when the member is removed.
func (l *link) recheck(removed bool) {
	l.mu.Lock()
	conns, s := slices.Collect(maps.Keys(l.conns)), l.session
	l.mu.Unlock()
	for _, c := range conns {
		if !removed && c.verify() == nil {
			continue
		}
		if s != nil && s.conn == c {
			s.fail(errRemoved)
		}
		_ = c.Close() // nobody is left to tell
	}
}

// badFrame counts and reports a frame that does not obey the limits. It is dropped: closing the session would bring
// the same frame again.
func (l *link) badFrame(err error) {
	l.invalid.Add(1)
	l.hub.notices.raise(farm.Event{ID: farm.EventFrameRefused, Severity: farm.Fault, Subject: string(l.id),
		Message: "a message from it is not valid and was dropped: " + err.Error(),
		Next:    "compare the versions of tandem on both members"})
}
