package edge

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	// inlineBytes is the largest body that is written before the answer is read. It fits the socket's buffer, so that
	// a node that answers without reading it can't block the edge.
	inlineBytes = 16 << 10
	// expectTime is how long a node may take to say whether it wants a body that the visitor holds back.
	expectTime = time.Second
	// lastByteTime is how long the sender may take to notice that it is done after the node has answered.
	lastByteTime  = 10 * time.Millisecond
	copyBodyBytes = 32 << 10
)

// send hands the request to the connection. When it returns, all was handed over, or a sender is doing it.
func (t *trip) send() (fate, error) {
	x, c := t.x, t.c
	c.wrote = 0
	if x.safe && !x.load.present() {
		c.setWaiting(true)
	}
	_, err := c.bw.Write(x.head)
	inline := len(x.load.kept) <= inlineBytes
	if inline && err == nil {
		_, err = c.bw.Write(x.load.kept)
	}
	if err == nil {
		err = c.bw.Flush()
	}
	if err != nil {
		t.stale = c.reused
		if c.wrote == 0 {
			return unseen, err
		}
		return silent, err
	}
	c.readBy(x.answerBy(time.Now()))
	if !inline || x.load.stream && !x.load.expect {
		t.startSending()
	}
	return whole, nil
}

// receive reads the head of the answer, and passes on what comes before it.
func (t *trip) receive() (fate, error) {
	x, c := t.x, t.c
	if x.load.expect && !t.wanted() {
		t.startSending()
	}
	for range maxInformational {
		if _, err := c.br.Peek(1); err != nil {
			t.stale = c.reused && !isTimeout(err)
			return t.blame(err)
		}
		a, err := c.readAnswer(x.r.Method)
		if err != nil {
			return t.blame(err)
		}
		switch {
		case a.status == http.StatusContinue:
			if x.load.expect && t.sender == nil {
				t.startSending()
			}
		case a.status == http.StatusSwitchingProtocols && x.upgrade == "":
			return silent, malformed("it switches to a protocol that nobody asked for")
		case a.status < 200 && a.status != http.StatusSwitchingProtocols:
			if x.status == 0 {
				x.inform(&a)
			}
		default:
			c.setWaiting(false)
			c.readBy(time.Time{})
			t.a = a
			return whole, nil
		}
	}
	return silent, malformed("more than %d informational answers", maxInformational)
}

// wanted waits for the node to say whether it wants the body, and tells whether it did. Mute nodes get the body.
func (t *trip) wanted() bool {
	now := time.Now()
	by := t.x.answerBy(now)
	t.c.readBy(now.Add(min(expectTime, by.Sub(now))))
	_, err := t.c.br.Peek(1)
	t.c.readBy(by)
	return !isTimeout(err)
}

// blame is the fate of a request of which some was handed over and that got no answer.
func (t *trip) blame(err error) (fate, error) {
	if s := t.sender; s != nil {
		if t.x.r.Context().Err() != nil { // net/http ends it when it can't read the body; so the sender ends, too
			<-s.done
		}
		if failed := s.visitorFailed(); failed != nil {
			return gone, failed
		}
	}
	return silent, unexpected(err)
}

// inform passes an informational answer on.
func (x *exchange) inform(a *answer) {
	h := x.w.Header()
	kept := h.Clone()
	setFields(h, a.fields)
	x.w.WriteHeader(a.status)
	clear(h)
	for name, values := range kept {
		h[name] = values
	}
}

// sender writes a request's body while the answer may already come.
type sender struct {
	done    chan struct{}
	visitor error // the visitor did not deliver; valid after done
	node    error // the node did not take; valid after done
}

// visitorFailed is what went wrong on the visitor's side, as far as the sender is done.
func (s *sender) visitorFailed() error {
	select {
	case <-s.done:
		return s.visitor
	default:
		return nil
	}
}

func (t *trip) startSending() {
	x, c := t.x, t.c
	s := &sender{done: make(chan struct{})}
	t.sender = s
	if x.load.stream {
		x.load.begun = true
		// Else net/http would read the rest of the body itself as soon as an answer begins.
		_ = http.NewResponseController(x.w).EnableFullDuplex()
		c.readBy(time.Time{}) // how long the visitor takes to send is not the node's fault
	}
	go func() {
		defer close(s.done)
		if !x.load.stream {
			_, s.node = c.Conn.Write(x.load.kept)
			return
		}
		s.visitor, s.node = x.streamBody(c)
		if s.visitor != nil {
			c.interrupt() // the node must not take what came for the whole
			return
		}
		c.readBy(x.answerBy(time.Now()))
	}()
}

// streamBody copies the body. The end is only written when the visitor's body ended as it should.
func (x *exchange) streamBody(c *conn) (visitor, node error) {
	buf := make([]byte, copyBodyBytes)
	chunked := x.load.length < 0
	for {
		n, err := x.r.Body.Read(buf)
		if n > 0 {
			if node := writePiece(c, buf[:n], chunked); node != nil {
				return nil, node
			}
		}
		switch {
		case err == io.EOF:
			x.load.ended.Store(true)
			if chunked {
				_, _ = c.bw.WriteString("0\r\n\r\n")
			}
			return nil, c.bw.Flush()
		case err != nil:
			return fmt.Errorf("%w: %w", errVisitor, err), nil
		}
	}
}

// writePiece hands a piece of the body over at once: who sends slowly may expect the other end to see it.
func writePiece(c *conn, p []byte, chunked bool) error {
	if !chunked {
		_, _ = c.bw.Write(p)
		return c.bw.Flush()
	}
	var size [maxChunkSizeDigits + 2]byte
	_, _ = c.bw.Write(append(strconv.AppendInt(size[:0], int64(len(p)), 16), "\r\n"...))
	_, _ = c.bw.Write(p)
	_, _ = c.bw.WriteString("\r\n")
	return c.bw.Flush()
}

// endSending ends the sender if there is one, and tells whether the body was sent whole. A node may answer without
// having read all: then the rest is not read from the visitor either.
func (t *trip) endSending() bool {
	s := t.sender
	if s == nil {
		return !t.x.load.expect
	}
	timer := time.NewTimer(lastByteTime)
	defer timer.Stop()
	select {
	case <-s.done:
		return s.visitor == nil && s.node == nil
	case <-timer.C:
	}
	t.c.interrupt()
	if t.x.load.stream {
		err := http.NewResponseController(t.x.w).SetReadDeadline(aLongTimeAgo)
		if errors.Is(err, http.ErrNotSupported) {
			return false // it ends when net/http closes the body
		}
	}
	<-s.done
	return false
}
