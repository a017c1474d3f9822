package guard

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/internal/edge"
)

// recorder is a node that notes which requests arrive. It reads them more strictly than any server does: what two
// servers could understand differently is a fault.
type recorder struct {
	net.Listener
	mu     sync.Mutex
	all    []string
	faults []string
	conns  sync.WaitGroup
}

func newRecorder(t *testing.T) *recorder {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{Listener: ln}
	r.conns.Go(r.run)
	t.Cleanup(func() {
		_ = ln.Close()
		r.conns.Wait()
	})
	return r
}

func (r *recorder) run() {
	for {
		c, err := r.Accept()
		if err != nil {
			return
		}
		r.conns.Go(func() { r.serve(c) })
	}
}

// seen is what has arrived, a line for each request, and the faults.
func (r *recorder) seen() (requests, faults []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all), slices.Clone(r.faults)
}

func (r *recorder) note(list *[]string, line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*list = append(*list, line)
}

func (r *recorder) serve(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	br := bufio.NewReader(c)
	for {
		text, err := readStrictly(br)
		var bad ambiguous
		switch {
		case errors.As(err, &bad):
			r.note(&r.faults, err.Error())
			return
		case err != nil:
			return // a request that did not arrive whole is none
		case !strings.HasPrefix(text, "GET "+edge.HealthPath+" "):
			r.note(&r.all, text)
		}
		if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
			return
		}
	}
}

type ambiguous string

func (a ambiguous) Error() string { return string(a) }

var (
	requestLine = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^\\x00-\\x20\\x7f]+) HTTP/1\\.1$")
	headerLine  = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \\t]*([^\\x00-\\x08\\x0a-\\x1f\\x7f]*?)[ \\t]*$")
	lengthText  = regexp.MustCompile(`^(0|[1-9][0-9]{0,17})$`)
	chunkLine   = regexp.MustCompile(`^[0-9a-fA-F]{1,15}$`)
)

// readStrictly reads one request and returns it as a line of text.
func readStrictly(br *bufio.Reader) (string, error) {
	line, err := readLine(br)
	if err != nil {
		return "", err
	}
	m := requestLine.FindStringSubmatch(line)
	if m == nil {
		return "", ambiguous(fmt.Sprintf("request line %.200q", line))
	}
	header := textproto.MIMEHeader{}
	for {
		if line, err = readLine(br); err != nil {
			return "", err
		}
		if line == "" {
			break
		}
		f := headerLine.FindStringSubmatch(line)
		if f == nil {
			return "", ambiguous(fmt.Sprintf("header line %.200q", line))
		}
		header.Add(f[1], f[2])
	}
	body, err := readBody(br, header)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %s host=%s body=%q%s", m[1], m[2], header.Get("Host"), body, others(header)), nil
}

func readLine(br *bufio.Reader) (string, error) {
	line, err := br.ReadString('\n')
	if err != nil {
		return "", err
	}
	line, ok := strings.CutSuffix(line, "\r\n")
	if !ok || strings.ContainsRune(line, '\r') {
		return "", ambiguous(fmt.Sprintf("line end of %.200q", line))
	}
	return line, nil
}

func readBody(br *bufio.Reader, h textproto.MIMEHeader) (string, error) {
	te, cl := h["Transfer-Encoding"], h["Content-Length"]
	switch {
	case len(h["Host"]) != 1:
		return "", ambiguous(fmt.Sprintf("hosts %q", h["Host"]))
	case len(te)+len(cl) > 1:
		return "", ambiguous(fmt.Sprintf("transfer encoding %q and content length %q", te, cl))
	case len(te) == 1 && te[0] != "chunked":
		return "", ambiguous(fmt.Sprintf("transfer encoding %q", te))
	case len(cl) == 1 && !lengthText.MatchString(cl[0]):
		return "", ambiguous(fmt.Sprintf("content length %q", cl))
	case len(cl) == 1:
		n, _ := strconv.Atoi(cl[0])
		body := make([]byte, n)
		_, err := io.ReadFull(br, body)
		return string(body), err
	case len(te) == 1:
		return readChunks(br)
	}
	return "", nil
}

func readChunks(br *bufio.Reader) (string, error) {
	var body strings.Builder
	for {
		line, err := readLine(br)
		if err != nil {
			return "", err
		}
		if !chunkLine.MatchString(line) {
			return "", ambiguous(fmt.Sprintf("chunk size %q", line))
		}
		n, _ := strconv.ParseInt(line, 16, 64)
		if _, err := io.CopyN(&body, br, n); err != nil {
			return "", err
		}
		end, err := readLine(br)
		if err != nil {
			return "", err
		}
		if end != "" {
			return "", ambiguous(fmt.Sprintf("after a chunk %q", end))
		}
		if n == 0 {
			return body.String(), nil
		}
	}
}

// others are the fields that neither every proxy adds nor the outcome has elsewhere.
func others(h textproto.MIMEHeader) string {
	var text []string
	for name, values := range h {
		switch name {
		case "Host", "Content-Length", "Transfer-Encoding", "Connection":
			continue
		case "X-Request-Id", "X-Real-Ip", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto":
			if len(values) == 1 && !strings.Contains(values[0], "6.6.6.6") {
				continue
			}
		}
		text = append(text, fmt.Sprintf(" %s=%q", name, values))
	}
	slices.Sort(text)
	return strings.Join(text, "")
}
