package peer

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"sync"
	"time"

	"github.com/klauspost/compress"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"tandem/internal/farm"
	"tandem/internal/wire"
	"tandem/internal/wire/pb"
)

const (
	sampleBytes   = 8 << 10 // of a block, to guess what compressing it would save
	compressAbove = 0.15    // of compress.Estimate: 0 is noise
	worthOfThe    = 8       // a block is sent compressed if that saves one part in so many
	minZstdBytes  = 1 << 10
	zstdWindow    = 1 << 20 // bytes
)

// serveBulk answers on a connection until the other side closes it or is silent for too long.
func (h *Hub) serveBulk(l *link, c *Conn) {
	defer func() { _ = c.Close() }() // whatever happened, it is over
	place := l.bulk.serving()
	select { // where the other side has given up an answer, its place is free when that is found out
	case place <- struct{}{}:
		defer func() { <-place }()
	case <-l.ctx.Done():
		return
	}
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	w := &bulkWriter{conn: c, tools: h.parts, frame: make([]byte, bulkHeaderBytes+wire.ChunkBytes)}
	for ctx.Err() == nil {
		req, err := h.readAsk(c)
		if err != nil {
			return
		}
		if err = h.part(ctx, l, req, w.data); err == nil {
			err = w.send(bulkEnd, nil)
		} else if w.err == nil {
			err = w.fault(err)
		}
		if err != nil {
			h.cfg.Log.Debug("a part did not arrive", "member", l.id, "path", req.Path, "err", err)
			return
		}
	}
}

func (h *Hub) readAsk(c *Conn) (wire.FetchRequest, error) {
	var none wire.FetchRequest
	if err := c.SetReadDeadline(time.Now().Add(2 * bulkIdleAfter)); err != nil {
		return none, err
	}
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return none, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxBulkAskBytes {
		return none, farm.Errorf("serve", string(c.member), farm.Invalid, "a question of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		return none, err
	}
	var q pb.FetchRequest
	if err := proto.Unmarshal(b, &q); err != nil {
		return none, err
	}
	return wire.DecodeFetch(&q)
}

// part hands what was asked for to send, in pieces of at most wire.ChunkBytes, which send does not keep, as fast as the
// link's limit allows. Send tells how much went over the wire.
func (h *Hub) part(ctx context.Context, l *link, q wire.FetchRequest, send func([]byte) (int, error)) (err error) {
	if h.cfg.Parts == nil {
		return farm.Errorf("fetch", q.Path.String(), farm.Unsupported, "this member gives no parts of contents")
	}
	if q.Recipe {
		b, err := h.cfg.Parts.Recipe(ctx, l.id, q.Folder, q.Path, q.Digest, q.Base)
		if err != nil {
			return err
		}
		return paced(ctx, l, bytes.NewReader(b), make([]byte, max(1, min(len(b), wire.ChunkBytes))), send)
	}
	if q.Length == 0 {
		return farm.Errorf("fetch", q.Path.String(), farm.Invalid, "no length is given")
	}
	r, err := h.cfg.Parts.OpenPart(ctx, l.id, q.Folder, q.Path, q.Digest, q.Offset, q.Length)
	if err != nil {
		return err
	}
	defer func() {
		if e := r.Close(); err == nil {
			err = e
		}
	}()
	buf := h.parts.blocks.Get().(*[wire.ChunkBytes]byte)
	defer h.parts.blocks.Put(buf)
	return paced(ctx, l, r, buf[:], send)
}

// paced sends what r gives.
func paced(ctx context.Context, l *link, r io.Reader, buf []byte, send func([]byte) (int, error)) error {
	for {
		if err := l.limit.wait(ctx); err != nil {
			return err
		}
		n, err := io.ReadFull(r, buf[:l.limit.chunk(len(buf))])
		end := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !end {
			return err
		}
		if n > 0 {
			sent, err := send(buf[:n])
			if err != nil {
				return err
			}
			l.limit.spend(sent, false)
		}
		if end {
			return nil
		}
	}
}

// partTools are made when they are first needed.
type partTools struct {
	blocks   sync.Pool // of *[wire.ChunkBytes]byte
	inflater func() (*zstd.Decoder, error)
	deflater func() (*zstd.Encoder, error)
}

func newPartTools() *partTools {
	return &partTools{
		blocks: sync.Pool{New: func() any { return new([wire.ChunkBytes]byte) }},
		// It gives no more than there is room for.
		inflater: sync.OnceValues(func() (*zstd.Decoder, error) {
			return zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxWindow(zstdWindow))
		}),
		// The fastest there is: what it is for is a network that is slower than a disk.
		deflater: sync.OnceValues(func() (*zstd.Encoder, error) {
			return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(zstdWindow), zstd.WithEncoderCRC(false))
		}),
	}
}

// bulkWriter sends the frames of answers.
type bulkWriter struct {
	conn  *Conn
	tools *partTools
	frame []byte
	err   error // of the connection
}

// data sends content, compressed if a look at it says that this pays.
func (w *bulkWriter) data(b []byte) (sent int, err error) {
	if len(b) >= minZstdBytes && compress.Estimate(b[:min(len(b), sampleBytes)]) > compressAbove {
		z, err := w.tools.deflater()
		if err != nil {
			return 0, err
		}
		out := z.EncodeAll(b, w.frame[bulkHeaderBytes:bulkHeaderBytes])
		if len(out) < len(b)-len(b)/worthOfThe {
			return len(out), w.send(bulkZstd, out)
		}
	}
	return len(b), w.send(bulkData, b)
}

func (w *bulkWriter) send(kind byte, b []byte) error {
	w.frame[0] = kind
	binary.BigEndian.PutUint32(w.frame[1:], uint32(len(b)))
	n := bulkHeaderBytes + copy(w.frame[bulkHeaderBytes:], b)
	if w.err = w.conn.SetWriteDeadline(time.Now().Add(idleTimeout)); w.err == nil {
		_, w.err = w.conn.Write(w.frame[:n])
	}
	return w.err
}

func (w *bulkWriter) fault(err error) error {
	st := status.Convert(wire.Status(err))
	b := append([]byte{byte(st.Code())}, st.Message()...)
	return w.send(bulkFault, b[:min(len(b), maxBulkFaultBytes)])
}
