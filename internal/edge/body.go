package edge

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/textproto"
	"strings"
)

const (
	maxChunkSizeDigits = 15
	maxFrameLineBytes  = 8 << 10 // must fit the read buffer
	maxTrailerBytes    = 8 << 10
)

// body reads the body of an answer in place: what it hands out lies in the connection's buffer. After a read that
// timed out it goes on where it was, which net/http's reader can't.
type body struct {
	br      *bufio.Reader
	chunked bool
	part    part
	left    int64 // bytes of the body (or of the chunk) still to come
	trailer int   // bytes of trailer read

	trailers []field // that came after the chunks
}

// part is what a chunked body has next.
type part uint8

const (
	partSize    part = iota // a line with the size of a chunk
	partData                // bytes of the chunk
	partDataEnd             // the line end after the chunk
	partTrailer             // lines up to an empty one
	partEnd                 // nothing
)

func newBody(br *bufio.Reader, a *answer, method string) body {
	if a.bodiless(method) {
		return body{part: partEnd}
	}
	if a.chunked {
		return body{br: br, chunked: true}
	}
	return body{br: br, part: partData, left: a.length}
}

// peek returns the next bytes of the body, as many as are here; if none are, it reads. They are valid until the next
// call. io.EOF is the end of the body, io.ErrUnexpectedEOF a connection that ended before.
func (b *body) peek() ([]byte, error) {
	for b.framed() {
		if err := b.frame(); err != nil {
			return nil, unexpected(err)
		}
	}
	if b.ended() {
		return nil, io.EOF
	}
	if b.br.Buffered() == 0 {
		if _, err := b.br.Peek(1); err != nil {
			return nil, unexpected(err)
		}
	}
	return b.br.Peek(int(min(b.left, int64(b.br.Buffered()))))
}

// atHand tells whether peek would return without reading from the connection.
func (b *body) atHand() bool {
	for b.framed() {
		if !b.lineAtHand() {
			return false
		}
		if b.frame() != nil {
			return true // as peek will tell
		}
	}
	return b.ended() || b.br.Buffered() > 0
}

// advance takes n of the bytes that peek returned.
func (b *body) advance(n int) {
	_, _ = b.br.Discard(n) // never fails: they are in the buffer
	b.left -= int64(n)
}

// ended tells whether nothing of the body is left.
func (b *body) ended() bool { return b.part == partEnd || !b.chunked && b.left == 0 }

// framed tells whether a line of the chunks' frame comes before more of the body.
func (b *body) framed() bool {
	return b.chunked && b.part != partEnd && (b.part != partData || b.left == 0)
}

// frame reads one line of the chunks' frame.
func (b *body) frame() error {
	if b.part == partData { // all of it was taken
		b.part = partDataEnd
	}
	line, err := b.line()
	if err != nil {
		return err
	}
	switch b.part {
	case partSize:
		if b.left, err = chunkSize(line); err != nil {
			return err
		}
		b.part = partData
		if b.left == 0 {
			b.part = partTrailer
		}
	case partDataEnd:
		if len(line) > 0 {
			return malformed("a chunk is longer than its size")
		}
		b.part = partSize
	case partTrailer:
		b.trailer += len(line)
		if b.trailer > maxTrailerBytes {
			return malformed("its trailer is larger than %d bytes", maxTrailerBytes)
		}
		if len(line) == 0 {
			b.part = partEnd
			break
		}
		if err := b.addTrailer(string(line)); err != nil {
			return err
		}
	}
	_, err = b.br.Discard(len(line) + len("\r\n"))
	return err
}

// addTrailer takes a line behind the chunks. What is about the message itself or about who the visitor is can't stand there.
//
// RFC 9110, section 6.5.1.
func (b *body) addTrailer(line string) error {
	name, value, ok := strings.Cut(line, ":")
	value = strings.Trim(value, " \t")
	if !ok || !isToken(name) || !isFieldValue(value) {
		return malformed("%.80q is not a line of a trailer", line)
	}
	switch name = textproto.CanonicalMIMEHeaderKey(name); name {
	case "Content-Length", "Content-Encoding", "Content-Type", "Content-Range", "Host", "Set-Cookie", "Location", "Cache-Control":
	default:
		if !hopByHop(name) {
			b.trailers = append(b.trailers, field{name, value})
		}
	}
	return nil
}

// line returns the next line without taking it, so that nothing is lost when the read times out.
func (b *body) line() ([]byte, error) {
	for {
		p, _ := b.br.Peek(b.br.Buffered())
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			if i == 0 || p[i-1] != '\r' || bytes.IndexByte(p[:i-1], '\r') >= 0 {
				return nil, malformed("a line of the chunks' frame does not end in CR LF")
			}
			return p[:i-1], nil
		}
		if len(p) >= maxFrameLineBytes {
			return nil, malformed("a line of the chunks' frame is too long")
		}
		if _, err := b.br.Peek(len(p) + 1); err != nil {
			return nil, err
		}
	}
}

func (b *body) lineAtHand() bool {
	p, _ := b.br.Peek(b.br.Buffered())
	return bytes.IndexByte(p, '\n') >= 0
}

// chunkSize takes hexadecimal digits and nothing else; no node of ours sends chunk extensions.
func chunkSize(line []byte) (int64, error) {
	if len(line) == 0 || len(line) > maxChunkSizeDigits {
		return 0, malformed("chunk size %q", line)
	}
	var n int64
	for _, c := range line {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, malformed("chunk size %q", line)
		}
		n = n<<4 | int64(c)
	}
	return n, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
