package edge

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// HoldBytes and HoldTime bound how much of the answer to a request that may be repeated is waited for before the
	// visitor gets any of it: until then a node may die without anybody noticing. Event streams are not held.
	HoldBytes = 64 << 10
	HoldTime  = 50 * time.Millisecond
)

// NodeHeader is the field of an answer that names the node.
const NodeHeader = "Tandem-Node"

// holdBuffers holds buffers of HoldBytes.
var holdBuffers = sync.Pool{New: func() any { return new([HoldBytes]byte) }}

// relay passes the answer on to the visitor.
func (t *trip) relay() (fate, error) {
	x, a := t.x, &t.a
	if a.status == http.StatusSwitchingProtocols {
		return t.tunnel()
	}
	b := newBody(t.c.br, a, x.r.Method)
	room := holdBuffers.Get().(*[HoldBytes]byte)
	defer holdBuffers.Put(room)
	held, all, err := t.hold(&b, room[:])
	if err != nil {
		return t.blame(err)
	}
	length := a.length
	if all && a.chunked && len(b.trailers) == 0 {
		length = int64(len(held))
	}
	x.commit(t.s, a, length)
	if err := x.write(held); err != nil {
		return gone, err
	}
	if all {
		x.trail(&b)
		return whole, nil
	}
	x.download = x.downloadOf(a)
	return t.stream(&b)
}

// hold reads the first part of the body, and tells whether that is all. What it returns is valid until the next read.
func (t *trip) hold(b *body, room []byte) (held []byte, all bool, err error) {
	if b.part == partEnd {
		return nil, true, nil
	}
	if !b.chunked && b.left <= int64(b.br.Buffered()) { // small answers: no copy, no wait
		p, _ := b.br.Peek(int(b.left))
		b.advance(len(p))
		return p, true, nil
	}
	if !t.a.statusOnly() && (!t.x.safe || t.a.streams() || !b.chunked && b.left > HoldBytes) {
		return nil, false, nil
	}
	timed := false
	defer func() {
		if timed {
			t.c.readBy(time.Time{})
		}
	}()
	for len(held) < len(room) {
		if !timed && !b.atHand() {
			timed = true
			t.c.readBy(time.Now().Add(HoldTime))
		}
		p, err := b.peek()
		switch {
		case err == io.EOF:
			return held, true, nil
		case isTimeout(err) && !t.c.isCut():
			return held, false, nil
		case err != nil:
			return nil, false, err
		}
		n := copy(room[len(held):], p)
		held = room[:len(held)+n]
		b.advance(n)
	}
	return held, false, nil
}

// stream passes the rest of the body on as it comes: when the node pauses, the visitor has all that it sent. With a
// known length that only goes for the header; the few bytes that net/http may keep back are not worth a flush each time.
func (t *trip) stream(b *body) (fate, error) {
	for first := true; ; first = false {
		if (first || b.chunked) && !b.atHand() {
			if err := t.x.flush(); err != nil {
				return gone, err
			}
		}
		p, err := b.peek()
		if err == io.EOF {
			t.x.trail(b)
			return whole, nil
		}
		if err != nil {
			return t.goOn(err)
		}
		if err := t.x.write(p); err != nil {
			return gone, err
		}
		b.advance(len(p))
	}
}

// commit begins the answer to the visitor. From here on the request can't be sent again.
func (x *exchange) commit(s *standing, a *answer, length int64) {
	h := x.w.Header()
	setFields(h, a.fields)
	if length >= 0 && a.status != http.StatusNoContent {
		h["Content-Length"] = []string{strconv.FormatInt(length, 10)}
	}
	x.mark(h)
	x.status = a.status
	x.bind(h, s)
	x.w.WriteHeader(a.status)
}

// trail passes on what the node sent behind the chunks, as gRPC's status is.
func (x *exchange) trail(b *body) {
	if len(b.trailers) > 0 {
		_ = x.flush() // else net/http would still give a short answer a length, with which HTTP/1.1 has no trailer
	}
	for _, f := range b.trailers {
		x.w.Header().Add(http.TrailerPrefix+f.name, f.value)
	}
}

// mark says who answered.
func (x *exchange) mark(h http.Header) {
	h["X-Request-Id"] = []string{x.id}
	leave := x.edge.drains.Load() || x.edge.leaving.Load()
	if x.endsConnection() || leave && x.r.ProtoMajor < 3 { // with HTTP/2 it makes net/http say GOAWAY
		h["Connection"] = []string{"close"}
	}
	if !x.edge.limits.Load().HideNode && x.node != "" {
		h[NodeHeader] = []string{string(x.node)}
	}
}

// setFields puts the node's fields in the place of those of the same name.
func setFields(h http.Header, fields []field) {
	values := make([]string, len(fields))
	for _, f := range fields {
		delete(h, f.name)
	}
	for i, f := range fields {
		if have := h[f.name]; have != nil {
			h[f.name] = append(have, f.value)
			continue
		}
		values[i] = f.value
		h[f.name] = values[i : i+1 : i+1]
	}
}

func (x *exchange) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	n, err := x.w.Write(p)
	x.bytes += int64(n)
	return err
}

func (x *exchange) flush() error {
	err := http.NewResponseController(x.w).Flush()
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}
