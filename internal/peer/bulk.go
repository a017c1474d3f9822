package peer

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"tandem/internal/farm"
	"tandem/internal/wire"
)

// Parts of contents travel over connections of their own, beside gRPC, whose framing and copying cost as much again as
// TLS does. The dialler asks with a FetchRequest behind its length (4 bytes); the answer is frames of a kind (1 byte), a
// length (4 bytes) and that many bytes, up to one of kind bulkEnd or bulkFault. Then it may ask again.
const (
	bulkData  = 1 // content
	bulkZstd  = 2 // content, compressed
	bulkEnd   = 3 // all is said
	bulkFault = 4 // a gRPC status code (1 byte) and a message
)

const (
	bulkHeaderBytes   = 5
	maxBulkAskBytes   = 16 << 10
	maxBulkFaultBytes = 16 << 10
	bulkReadBytes     = 256 << 10        // read from the system at a time
	bulkConns         = 4                // in use at once, per member
	bulkServed        = 8                // answered at once, per member
	bulkIdleAfter     = 30 * time.Second // an unused connection is given up
	bulkPatience      = 60 * time.Second // for the next bytes of an answer: a recipe may have to be made, a limit may be low
	bulkAgain         = 30 * time.Second // until a member that can't be dialled is dialled again
)

// bulkPool are the connections to one member. Its zero value is empty.
type bulkPool struct {
	once  sync.Once
	place chan struct{} // one per connection in use

	serve chan struct{} // one per connection that is answered

	mu   sync.Mutex
	idle []*bulkConn
	not  time.Time // until then it is not dialled, because that has failed
}

type bulkConn struct {
	*Conn
	r      *bufio.Reader
	used   bool
	expire *time.Timer // while it is idle
}

func (p *bulkPool) make() {
	p.place, p.serve = make(chan struct{}, bulkConns), make(chan struct{}, bulkServed)
}

// serving has room for the connections that are answered at once.
func (p *bulkPool) serving() chan struct{} {
	p.once.Do(p.make)
	return p.serve
}

// take waits for a place, and gives an idle connection, or nil.
func (p *bulkPool) take(ctx context.Context) (*bulkConn, error) {
	p.once.Do(p.make)
	select {
	case p.place <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		c.expire.Stop()
		return c, nil
	}
	return nil, nil
}

// give ends a use. A connection that is not nil may be used again.
func (p *bulkPool) give(c *bulkConn) {
	if c != nil {
		p.mu.Lock()
		c.used = true
		c.expire = time.AfterFunc(bulkIdleAfter, func() { p.drop(c) })
		p.idle = append(p.idle, c)
		p.mu.Unlock()
	}
	<-p.place
}

// drop gives up a connection that nobody used for long.
func (p *bulkPool) drop(c *bulkConn) {
	p.mu.Lock()
	i := slices.Index(p.idle, c)
	if i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
	}
	p.mu.Unlock()
	if i >= 0 {
		_ = c.Close() // nobody waits for anything from it
	}
}

// readAhead takes from the system more than TLS asks for, which is a record at a time.
type readAhead struct {
	net.Conn
	r *bufio.Reader
}

func (c *readAhead) Read(b []byte) (int, error) { return c.r.Read(b) }

// dialBulk opens a connection for parts.
func (l *link) dialBulk(ctx context.Context) (*bulkConn, error) {
	p := &l.bulk
	now := l.hub.cfg.Now()
	p.mu.Lock()
	not := p.not
	p.mu.Unlock()
	if now.Before(not) {
		return nil, errLost
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := l.hub.dial(ctx, l, protoBulk)
	if err != nil {
		p.mu.Lock()
		p.not = now.Add(bulkAgain)
		p.mu.Unlock()
		return nil, err
	}
	return &bulkConn{Conn: c, r: bufio.NewReaderSize(c, bulkReadBytes)}, nil
}

// OpenPart returns a part of a content from a member that has it, n bytes from the offset on. What comes is not checked
// but for its length. A member that can't be dialled is asked on the connection that it has made. Errors:
// farm.Unavailable, farm.Corrupt, and what the member's Parts answered. The caller closes the reader.
func (h *Hub) OpenPart(ctx context.Context, from farm.MemberID, folder farm.FolderID, path farm.Path, digest farm.Digest, offset, n int64) (io.ReadCloser, error) {
	return h.ask(ctx, from, wire.FetchRequest{Folder: folder, Path: path, Digest: digest, Offset: offset, Length: n})
}

// Recipe returns the recipe of a content from a member that has it. Base is the digest of a content whose recipe the
// caller has; the member may refer to it.
func (h *Hub) Recipe(ctx context.Context, from farm.MemberID, folder farm.FolderID, path farm.Path, digest, base farm.Digest) ([]byte, error) {
	r, err := h.ask(ctx, from, wire.FetchRequest{Folder: folder, Path: path, Digest: digest, Recipe: true, Base: base})
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, wire.MaxRecipeBytes+1))
	if err == nil && len(b) > wire.MaxRecipeBytes {
		err = farm.Errorf("fetch", path.String(), farm.Corrupt, "its recipe has more than %d bytes", wire.MaxRecipeBytes)
	}
	return b, errors.Join(err, r.Close())
}

func (h *Hub) ask(ctx context.Context, from farm.MemberID, q wire.FetchRequest) (io.ReadCloser, error) {
	s, err := h.live("fetch", from)
	if err != nil {
		return nil, err
	}
	for {
		c, err := s.link.bulk.take(ctx)
		if err != nil {
			return nil, wire.FromStatus("fetch", string(from)+":"+q.Path.String(), err)
		}
		if c == nil {
			if c, err = s.link.dialBulk(ctx); err != nil {
				s.link.bulk.give(nil)
				return askByCall(ctx, s, q)
			}
		}
		r := &part{link: s.link, conn: c, path: q.Path, left: q.Length, any: q.Recipe}
		unhook := context.AfterFunc(ctx, func() { _ = c.Close() })
		unhookSession := context.AfterFunc(s.ctx, func() { _ = c.Close() })
		r.unhook = func() bool { a, b := unhook(), unhookSession(); return a && b }
		used := c.used // before the answer, with whose end another may get it
		if err = r.begin(q); err == nil {
			return r, nil
		}
		stale := used && !r.ended && farm.KindOf(err) == farm.Unavailable && ctx.Err() == nil
		r.end(false)
		if !stale { // else it was closed while nobody used it
			return nil, err
		}
	}
}

// part is an answer that comes in.
type part struct {
	link   *link
	conn   *bulkConn
	path   farm.Path
	left   int64 // to come, unless any number may
	any    bool
	rest   []byte // of the frame
	buf    []byte
	raw    []byte
	unhook func() bool
	err    error // sticky
	ended  bool
}

// begin asks and waits for the first frame.
func (r *part) begin(q wire.FetchRequest) error {
	ask, err := proto.Marshal(wire.EncodeFetch(q))
	if err != nil {
		return err
	}
	_ = r.conn.SetDeadline(time.Now().Add(bulkPatience)) // it fails if the connection has ended, and so will the next line
	if _, err := r.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(ask))), ask...)); err != nil {
		return r.lost(err)
	}
	if r.err = r.next(); r.err != io.EOF {
		return r.err
	}
	return nil
}

func (r *part) lost(err error) error {
	return &farm.Error{Op: "fetch", Path: string(r.link.id) + ":" + r.path.String(), Kind: farm.Unavailable, Err: err}
}

func (r *part) corrupt(format string, args ...any) error {
	return farm.Errorf("fetch", string(r.link.id)+":"+r.path.String(), farm.Corrupt, format, args...)
}

// Read gives the part as it comes in.
func (r *part) Read(b []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err == nil {
			r.err = r.next()
		}
		if r.err != nil {
			return 0, r.err
		}
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// next receives a frame. At the end of the answer it is io.EOF.
func (r *part) next() error {
	var head [bulkHeaderBytes]byte
	if _, err := io.ReadFull(r.conn.r, head[:]); err != nil {
		return r.lost(err)
	}
	_ = r.conn.SetDeadline(time.Now().Add(bulkPatience)) // as above
	n := binary.BigEndian.Uint32(head[1:])
	switch {
	case head[0] == bulkEnd && n == 0:
		if r.left != 0 {
			return r.corrupt("it ends %d bytes too early", r.left)
		}
		r.end(true)
		return io.EOF
	case head[0] == bulkFault && n <= maxBulkFaultBytes, (head[0] == bulkData || head[0] == bulkZstd) && n <= wire.ChunkBytes:
	default:
		return r.corrupt("a frame of kind %d and %d bytes", head[0], n)
	}
	if cap(r.buf) < int(n) {
		r.buf = make([]byte, max(n, bulkHeaderBytes))
	}
	r.buf = r.buf[:n]
	if _, err := io.ReadFull(r.conn.r, r.buf); err != nil {
		return r.lost(err)
	}
	switch head[0] {
	case bulkFault:
		return r.fault()
	case bulkZstd:
		return r.inflate()
	}
	return r.got(r.buf)
}

func (r *part) got(b []byte) error {
	if !r.any {
		if int64(len(b)) > r.left {
			return r.corrupt("more comes than was asked for")
		}
		r.left -= int64(len(b))
	}
	r.rest = b
	return nil
}

func (r *part) inflate() error {
	d, err := r.link.hub.parts.inflater()
	if err != nil {
		return err
	}
	if r.raw == nil {
		r.raw = make([]byte, 0, wire.ChunkBytes)
	}
	b, err := d.DecodeAll(r.buf, r.raw[:0])
	if err != nil {
		return r.corrupt("%w", err)
	}
	return r.got(b)
}

// fault is what the member says instead. The connection is good for the next question.
func (r *part) fault() error {
	if len(r.buf) == 0 || r.buf[0] == byte(codes.OK) {
		return r.corrupt("a fault that is none")
	}
	err := status.Error(codes.Code(r.buf[0]), string(r.buf[1:]))
	err = wire.FromStatus("fetch", string(r.link.id)+":"+r.path.String(), err)
	r.end(true)
	return err
}

// end gives the connection back; what has not come to its end can't be used again.
func (r *part) end(whole bool) {
	if r.ended {
		return
	}
	r.ended = true
	if live := r.unhook(); whole && live {
		r.link.bulk.give(r.conn)
		return
	}
	_ = r.conn.Close() // nobody waits for anything from it
	r.link.bulk.give(nil)
}

// Close ends the part, complete or not.
func (r *part) Close() error {
	r.end(false)
	return nil
}
