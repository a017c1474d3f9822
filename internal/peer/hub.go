package peer

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"

	"tandem/internal/farm"
	"tandem/internal/wire"
	"tandem/internal/wire/pb"
)

// Hub holds the sessions of this member with all others.
type Hub struct {
	cfg     Config
	net     network
	notices *notices
	packer  *wire.Packer
	boot    uint64
	ctx     context.Context // until the hub stops
	stop    context.CancelFunc
	members *grpc.Server // for those with a certificate
	door    *grpc.Server // for those without
	calls   *queueListener
	knocks  *queueListener
	http    *queueListener
	parts   *partTools
	joins   chan struct{} // a place per join under way
	state   atomic.Pointer[pb.Frame]

	mu      sync.Mutex
	links   map[farm.MemberID]*link
	running bool
	group   sync.WaitGroup
}

// New returns a hub that listens and dials over TLS once it runs.
func New(cfg Config) *Hub {
	n := &tlsNet{cfg: cfg}
	h := newHub(cfg, n)
	n.refused = h.refused
	return h
}

func newHub(cfg Config, n network) *Hub {
	if cfg.DeadAfter == 0 {
		cfg.DeadAfter = deadAfter
	}
	packer, err := wire.NewPacker()
	if err != nil {
		panic(err) // only options that can't be would do that
	}
	h := &Hub{cfg: cfg, packer: packer, net: n, notices: newNotices(cfg.Sink, cfg.Now), links: make(map[farm.MemberID]*link),
		joins: make(chan struct{}, maxJoins), boot: rand.Uint64(), parts: newPartTools()}
	h.ctx, h.stop = context.WithCancel(context.Background())
	addr := func() net.Addr { return hostPort(n.address()) }
	h.calls, h.knocks, h.http = newQueueListener(httpBacklog, addr), newQueueListener(maxJoins, addr), newQueueListener(httpBacklog, addr)
	h.members, h.door = newServer(), newServer()
	pb.RegisterMembersServer(h.members, &service{hub: h})
	pb.RegisterDoorServer(h.door, &door{hub: h})
	return h
}

// Listen opens the port, so that a taken one is found before anything runs. Run does it otherwise.
func (h *Hub) Listen() error { return h.net.listen() }

// Addr is the host:port on which the hub listens; "" before Listen.
func (h *Hub) Addr() string { return h.net.address() }

// Run keeps the sessions up until ctx is done. It may be called once. The error is that of the port.
func (h *Hub) Run(ctx context.Context) error {
	defer h.stop()
	if err := h.Listen(); err != nil {
		return err
	}
	unhook := context.AfterFunc(ctx, h.stop)
	defer unhook()
	var serving sync.WaitGroup
	for server, l := range map[*grpc.Server]*queueListener{h.members: h.calls, h.door: h.knocks} {
		serving.Go(func() {
			if err := server.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
				h.cfg.Log.Error("gRPC server ended", "err", err)
			}
		})
	}
	h.startLinks()

	err := h.net.accept(h.ctx, h.take)
	h.stop()
	h.closeLinks()
	_ = h.http.Close() // never fails
	h.members.Stop()
	h.door.Stop()
	serving.Wait()
	h.group.Wait()
	return err
}

func (h *Hub) stopping() bool { return h.ctx.Err() != nil }

func (h *Hub) startLinks() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = true
	for _, l := range h.links {
		h.group.Go(l.run)
	}
}

func (h *Hub) closeLinks() {
	h.mu.Lock()
	h.running = false
	h.mu.Unlock()
	for _, l := range h.allLinks() {
		l.stop()
		l.recheck(true)
	}
}

// SetMembers replaces the set of the others (this member among them is passed over). Who is new is dialled at once;
// who is no longer there, or has a key that is no longer trusted, is cut off before SetMembers returns.
func (h *Hub) SetMembers(list []Member) {
	h.mu.Lock()
	keep := make(map[farm.MemberID]bool, len(list))
	for _, m := range list {
		if m.ID == h.cfg.Self {
			continue
		}
		keep[m.ID] = true
		h.put(m)
	}
	var gone, stay []*link
	for id, l := range h.links {
		if keep[id] {
			stay = append(stay, l)
			continue
		}
		gone = append(gone, l)
		delete(h.links, id)
	}
	h.mu.Unlock()
	for _, l := range gone {
		l.stop()
		l.recheck(true)
	}
	for _, l := range stay {
		l.recheck(false)
		l.dialNow()
	}
}

// put adds or updates a member.
func (h *Hub) put(m Member) {
	if l, ok := h.links[m.ID]; ok {
		l.update(m)
		return
	}
	l := newLink(h, m)
	l.ctx, l.stop = context.WithCancel(h.ctx)
	h.links[m.ID] = l
	if h.running {
		h.group.Go(l.run)
	}
}

func (h *Hub) link(m farm.MemberID) *link {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.links[m]
}

func (h *Hub) allLinks() []*link {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*link, 0, len(h.links))
	for _, l := range h.links {
		out = append(out, l)
	}
	return out
}

// live is the session with m, or farm.Unavailable.
func (h *Hub) live(op string, m farm.MemberID) (*session, error) {
	if l := h.link(m); l != nil {
		if s := l.current(); s != nil && s.ctx.Err() == nil {
			return s, nil
		}
	}
	return nil, farm.Errorf(op, string(m), farm.Unavailable, "there is no session with it")
}

// Send queues Changes, a Move, a Want or a Have for a member and never blocks. It returns false if there is no session or the
// queue is full; the message is dropped then, and the receiver finds the gap. The message must not be changed any more.
// A State goes through SetState.
func (h *Hub) Send(to farm.MemberID, m wire.Message) bool {
	s, err := h.live("send", to)
	if err != nil {
		return false
	}
	if !s.out.push(m) {
		s.link.gaps.Add(1)
		return false
	}
	return true
}

// Crowded returns what is closed when there may be room for the folder's next changes to the member; nil if there is now,
// or if waiting would not help because it is not linked or has to catch up anyway.
func (h *Hub) Crowded(to farm.MemberID, folder farm.FolderID) <-chan struct{} {
	s, err := h.live("send", to)
	if err != nil {
		return nil
	}
	return s.out.crowded(folder)
}

// Lag says that the member takes the folder's changes too slowly to wait for: none are sent before it has asked for them.
func (h *Hub) Lag(to farm.MemberID, folder farm.FolderID) {
	if s, err := h.live("send", to); err == nil {
		s.link.gaps.Add(1)
		s.out.lag(folder)
	}
}

// CatchUp begins the answer to the member's question for all that it does not know of a folder. What of an earlier answer
// waits to be sent is dropped; its sender's context must have ended. SendWait sends the answer.
func (h *Hub) CatchUp(to farm.MemberID, folder farm.FolderID) {
	if s, err := h.live("send", to); err == nil {
		s.out.begin(folder)
	}
}

// Behind tells whether the member has missed a change of the folder since the last CatchUp, so that it will ask again,
// and the number of the first of the actor's; 0: none.
func (h *Hub) Behind(to farm.MemberID, folder farm.FolderID, actor farm.Actor) (first farm.Seq, is bool) {
	s, err := h.live("send", to)
	if err != nil {
		return 0, true
	}
	return s.out.behind(folder, actor)
}

// SendWait is Send for catching up: it waits for room in the queue, of which it leaves half to Send, and sends in as
// many frames as it takes. Error farm.Unavailable if there is no session or it ends meanwhile.
func (h *Hub) SendWait(ctx context.Context, to farm.MemberID, m wire.Message) error {
	s, err := h.live("send", to)
	if err != nil {
		return err
	}
	return s.out.pushWait(ctx, m)
}

// SetLimit is how many bytes a second are sent to a member at most, besides visitors' requests; 0: no limit. It counts at
// once.
func (h *Hub) SetLimit(m farm.MemberID, bytesPerSecond int64) {
	if l := h.link(m); l != nil {
		l.limit.set(bytesPerSecond)
	}
}

// SetState is what this member says of itself. It is sent to all at once and to every new session first; where the
// wire is busy only the latest is sent. One that does not fit into a frame is logged and the last one stays.
func (h *Hub) SetState(st farm.MemberState) {
	f, err := wire.Encode(wire.State{MemberState: st})
	if err != nil {
		h.cfg.Log.Error("the state of this member can't be sent", "err", err)
		return
	}
	h.state.Store(f)
	for _, l := range h.allLinks() {
		if s := l.current(); s != nil {
			token(s.changed)
		}
	}
}

// dial opens a connection that is closed when the member is removed.
func (h *Hub) dial(ctx context.Context, l *link, protocol string) (*Conn, error) {
	c, err := h.net.dial(ctx, l.where(), protocol)
	if err != nil {
		return nil, err
	}
	if err := l.track(c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// take sorts an incoming connection.
func (h *Hub) take(c *Conn) {
	if c.protocol == protoJoin {
		h.knocks.deliver(c)
		return
	}
	l := h.link(c.member)
	if l == nil || l.track(c) != nil {
		_ = c.Close() // not a member yet, or no more: it dials again
		return
	}
	l.reached()
	switch c.protocol {
	case protoMembers:
		h.calls.deliver(c)
	case protoHTTP:
		h.http.deliver(c)
	case protoBulk:
		h.group.Go(func() { h.serveBulk(l, c) })
	case protoBack:
		l.takeBack(c)
	default:
		_ = c.Close() // the handshake admits no other
	}
}

func (h *Hub) hello() wire.Hello {
	return wire.Hello{Name: h.cfg.Self, ProtocolMin: wire.ProtocolMin, ProtocolMax: wire.ProtocolMax,
		Version: h.cfg.Version, Farm: h.cfg.Farm, Now: h.cfg.Now(), Boot: h.boot}
}

// receiveHello reads and checks the first message of a session.
func (h *Hub) receiveHello(s stream, from farm.MemberID) (wire.Hello, error) {
	f, err := s.Recv()
	if err != nil {
		return wire.Hello{}, err
	}
	m, err := wire.Decode(f)
	if err != nil {
		return wire.Hello{}, err
	}
	hello, ok := m.(wire.Hello)
	switch {
	case !ok:
		return hello, farm.Errorf("greet", string(from), farm.Invalid, "the first message is a %T", m)
	case hello.Name != from:
		return hello, farm.Errorf("greet", string(from), farm.Denied, "it calls itself %s", hello.Name)
	case hello.Farm != h.cfg.Farm:
		return hello, farm.Errorf("greet", string(from), farm.Denied, "it is of another farm")
	}
	if _, err = wire.Agree(h.hello(), hello); err != nil {
		h.strange(from, hello, err)
	}
	return hello, err
}
