package peer

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"time"

	"tandem/internal/farm"
	"tandem/internal/wire"
)

// Timing of a session.
const (
	beatLeast    = 250 * time.Millisecond // between heartbeats, see Config.beatTime
	beatMost     = 500 * time.Millisecond
	deadAfter    = 750 * time.Millisecond // of silence, unless Config says otherwise
	greetTimeout = 2 * time.Second        // from connected to live
	dialTimeout  = 2 * time.Second        // TCP and TLS
	pauseMin     = 50 * time.Millisecond  // between dials, doubling
	pauseMax     = 2 * time.Second
	idleTimeout  = 10 * time.Second // unacknowledged bytes on a connection that is no session's
	skewMax      = 2 * time.Second  // between two members' clocks
)

// Limits, per member unless said otherwise.
const (
	queueBytes     = 16 << 20  // waiting to be sent
	queueEntries   = 16 << 10  // changes and other messages waiting to be sent
	frameBytes     = 256 << 10 // changes merged into one frame
	windowBytes    = 1 << 20   // sent and not yet taken by the receiver's handler, per stream
	connWindow     = 4 << 20   // the same, per connection
	maxStreams     = 128       // calls at once, per connection
	maxConns       = 4096      // open connections
	maxHandshakes  = 128       // strangers being asked who they are, on the whole port
	maxJoins       = 8         // joins at once, on the whole port
	maxBackConns   = 2         // waiting to be used
	httpBacklog    = 128       // connections accepted and not yet taken by the HTTP server
	noticeEvery    = 10 * time.Second
	maxNotices     = 1024 // subjects of rate-limited events
	ioBufferBytes  = 64 << 10
	handshakeAfter = 5 * time.Second // a stranger who has not said who he is by then is put out
)

// Member is another member of the farm, as the configuration has it.
type Member struct {
	ID      farm.MemberID
	Address string // host:port
	Roles   []farm.Role

	// Apart: no session is held with it. It may still open connections for visitors' requests, and is dialled for them.
	Apart bool
}

// Handler takes what happens on the sessions. Its methods are called one after the other per member.
type Handler interface {
	// Up is called when a session is live; Send works from then on.
	Up(m farm.MemberID, hello wire.Hello)
	// Down is called when it has ended, with the reason.
	Down(m farm.MemberID, reason error)
	// Receive takes a State, Changes, Move, Want or Have. While it blocks, the sender is held back; ctx is done when the
	// session has ended, and Receive must return then.
	Receive(ctx context.Context, from farm.MemberID, m wire.Message)
}

// Content gives the content of files of this member's folders, verified. The path is where the other side thinks that
// it may be found; size is that of the whole content, offset where to begin. From is who asks, as its certificate says: what it
// may not have is farm.Denied.
type Content interface {
	Open(ctx context.Context, from farm.MemberID, folder farm.FolderID, path farm.Path, digest farm.Digest, offset int64) (r io.ReadCloser, size int64, err error)
}

// Parts gives parts of contents, and their recipes, which it alone understands. A part may turn out to be of another
// content: the receiver checks it. From is as in Content.
type Parts interface {
	OpenPart(ctx context.Context, from farm.MemberID, folder farm.FolderID, path farm.Path, digest farm.Digest, offset, length int64) (io.ReadCloser, error)
	Recipe(ctx context.Context, from farm.MemberID, folder farm.FolderID, path farm.Path, digest, base farm.Digest) ([]byte, error)
}

// Joiner lets a new member in. remote is the address that it called from; farm.Denied means a wrong, used or expired
// token.
type Joiner interface {
	Join(ctx context.Context, remote string, q wire.JoinRequest) (wire.JoinReply, error)
}

// Signer signs certificates for host names; identity.Identity is one.
type Signer interface {
	SignServer(csr []byte) (der []byte, err error)
}

// Renewer signs a new certificate (CSR and answer in DER) for a member that has proved its name in the handshake. It must
// refuse any other key than the one that is listed for that name.
type Renewer interface {
	Renew(name farm.MemberID, csr []byte) (der []byte, err error)
}

// Caller runs control calls for other members.
type Caller interface {
	Call(ctx context.Context, from farm.MemberID, q wire.CallRequest) (body []byte, err error)
}

// Identity gives TLS configurations that verify the other side against the current configuration in every handshake;
// identity.Trust is one.
type Identity interface {
	ServerTLS(protocols ...string) *tls.Config
	ClientTLS(to farm.MemberID, protocol string) *tls.Config
	JoinTLS(protocol string) *tls.Config
}

// Config is what a Hub needs. Content, Parts, Joiner, Signer, Renewer and Caller may be nil: what they would answer is farm.Unsupported.
type Config struct {
	Self     farm.MemberID
	Farm     string // fingerprint of its CA
	Version  string // of the program
	Listen   string // host:port
	Identity Identity
	Handler  Handler
	Content  Content
	Parts    Parts
	Joiner   Joiner
	Signer   Signer
	Renewer  Renewer
	Caller   Caller
	Sink     farm.Sink
	Log      *slog.Logger
	Now      func() time.Time // wall clock

	// DeadAfter is how long a session may be silent; 0 is 750 ms. Machines that stall need more.
	DeadAfter time.Duration
}

// beatTime is the time between heartbeats: six are silence, within bounds that suit whoever is at the other end. Each wakes both
// members, also where nothing else happens.
func (c *Config) beatTime() time.Duration { return min(max(beatLeast, c.DeadAfter/6), beatMost) }
