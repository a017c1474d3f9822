package edge

import (
	"bufio"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"tandem/internal/farm"
)

const (
	maxAnswerHeadBytes = 64 << 10
	maxInformational   = 8 // 1xx answers before the one that counts
)

// field is one line of an answer's header, its name in canonical form.
type field struct{ name, value string }

// answer is the head of a node's answer. Fields that are about the connection to the node are not among its fields.
type answer struct {
	status  int
	fields  []field // valid until the connection's next answer
	close   bool    // the node will close the connection
	upgrade string  // the protocol that it switches to, with status 101
	chunked bool
	length  int64 // bytes of the body, when not chunked; -1: none was said
	etag    string
}

// malformed is the error for an answer that a correct node never gives.
func malformed(format string, args ...any) error {
	return farm.Errorf("read answer", "", farm.Corrupt, format, args...)
}

// readAnswer reads the head of the next answer to a request with that method.
func (c *conn) readAnswer(method string) (answer, error) {
	head, err := c.readHead()
	if err != nil {
		return answer{}, err
	}
	a := answer{fields: c.fields[:0]}
	err = a.parse(head, method)
	c.fields = a.fields
	return a, err
}

// readHead reads up to and including the empty line.
func (c *conn) readHead() (string, error) {
	c.head = c.head[:0]
	fresh := true // the next byte begins a line
	for {
		line, err := c.br.ReadSlice('\n')
		c.head = append(c.head, line...)
		if len(c.head) > maxAnswerHeadBytes {
			return "", malformed("its header is larger than %d bytes", maxAnswerHeadBytes)
		}
		if err == bufio.ErrBufferFull {
			fresh = false
			continue
		}
		if err != nil {
			return "", err
		}
		if fresh && string(line) == "\r\n" {
			return string(c.head), nil
		}
		fresh = true
	}
}

// parse takes what HTTP/1.1 allows and nothing that two readers could understand differently: no bare line feeds, no
// folded lines, one Content-Length or chunked but not both.
//
// RFC 9112, sections 4 to 6.
func (a *answer) parse(head, method string) error {
	line, rest, _ := strings.Cut(head, "\r\n")
	if err := a.parseStatus(line); err != nil {
		return err
	}
	var listed []string // what Connection lists
	a.length = -1
	for rest != "\r\n" {
		line, rest, _ = strings.Cut(rest, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) {
			return malformed("%.80q is not a header line", line)
		}
		value = strings.Trim(value, " \t")
		if !isFieldValue(value) {
			return malformed("the value of %s has a control character", name)
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		switch name {
		case "Connection":
			listed = appendTokens(listed, value)
		case "Transfer-Encoding":
			if a.chunked || !strings.EqualFold(value, "chunked") {
				return malformed("transfer encoding %.80q", value)
			}
			a.chunked = true
		case "Content-Length":
			if err := a.parseLength(value); err != nil {
				return err
			}
		case "Upgrade":
			a.upgrade = value
		case "Etag":
			a.etag = value
		}
		if !hopByHop(name) && name != "Content-Length" {
			a.fields = append(a.fields, field{name, value})
		}
	}
	a.applyConnection(listed)
	return a.frame(method)
}

func (a *answer) parseStatus(line string) error {
	code, ok := strings.CutPrefix(line, "HTTP/1.1 ")
	if !ok || len(code) < 3 || len(code) > 3 && code[3] != ' ' || !isFieldValue(code) {
		return malformed("%.80q is not a status line", line)
	}
	n, err := parseDigits(code[:3])
	if err != nil || n < 100 {
		return malformed("%.80q is not a status line", line)
	}
	a.status = int(n)
	return nil
}

func (a *answer) parseLength(value string) error {
	n, err := parseDigits(value)
	if err != nil || a.length >= 0 {
		return malformed("content length %.80q", value)
	}
	a.length = n
	return nil
}

// parseDigits is strconv.ParseInt without signs and underscores.
func parseDigits(s string) (int64, error) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, strconv.ErrSyntax
		}
	}
	return strconv.ParseInt(s, 10, 64)
}

func (a *answer) applyConnection(listed []string) {
	for _, name := range listed {
		if strings.EqualFold(name, "close") {
			a.close = true
			continue
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		a.fields = slices.DeleteFunc(a.fields, func(f field) bool { return f.name == name })
	}
}

// frame decides where the body ends. A body that ends with the connection is refused: its end could not be told from
// a break, and no node sends one to an HTTP/1.1 client.
func (a *answer) frame(method string) error {
	switch {
	case a.chunked && a.length >= 0:
		return malformed("both a content length and chunks")
	case a.bodiless(method):
		a.chunked = false
		return nil
	case !a.chunked && a.length < 0:
		return malformed("neither a content length nor chunks")
	}
	return nil
}

// bodiless tells whether the answer has no body whatever its header says.
func (a *answer) bodiless(method string) bool {
	return method == http.MethodHead || a.status < 200 || a.status == http.StatusNoContent || a.status == http.StatusNotModified
}

// get is the value of the first field of that name.
func (a *answer) get(name string) string {
	for _, f := range a.fields {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

// statusOnly tells whether the answer is gRPC's "trailers only": its header says how the call ended, and no body may follow, not even
// the empty frame that would end one whose end comes after a pause.
func (a *answer) statusOnly() bool { return a.get("Grpc-Status") != "" }

// streams tells whether the answer is meant to be passed on piece by piece as it comes.
func (a *answer) streams() bool {
	return strings.HasPrefix(a.get("Content-Type"), "text/event-stream") || a.get("X-Accel-Buffering") == "no"
}
