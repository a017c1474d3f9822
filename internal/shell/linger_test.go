package shell

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"tandem/internal/farm"
)

// Who sends a large body before it reads, and is refused at once, gets the answer and no reset.
func TestRefusedWhileStillSending(t *testing.T) {
	for name, pipeline := range map[string]bool{"direct": true, "by Caddy": false} {
		s := New(Config{Log: slog.New(slog.DiscardHandler), Sink: func(farm.Event) {}})
		front := Front{Name: "x", Address: "127.0.0.1:0", Direct: pipeline, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "too much", http.StatusRequestEntityTooLarge)
		})}
		if err := s.Apply(t.Context(), []Front{front}); err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", s.Status()[0].Listening)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		const size = 16 << 20 // more than the system keeps
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size)
		if _, err := c.Write(bytes.Repeat([]byte("x"), size)); err != nil {
			t.Errorf("%s: sending: %v", name, err)
		}
		w, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b, err := io.ReadAll(w.Body); w.StatusCode != http.StatusRequestEntityTooLarge || string(b) != "too much\n" || err != nil {
			t.Errorf("%s: status %d, %q, %v", name, w.StatusCode, b, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if err := s.Close(ctx); err != nil { // the visitor is still there, but there is no more time for it
			t.Errorf("%s: close: %v", name, err)
		}
		cancel()
		_ = c.Close()
	}
}
