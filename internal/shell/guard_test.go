package shell

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// visitor is one who may stop to send or to take; a deadline in the past ends the waiting, as with a connection.
type visitor struct {
	http.ResponseWriter
	cutRead, cutWrite chan struct{}
}

func newVisitor() *visitor {
	return &visitor{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
}

func (v *visitor) SetReadDeadline(time.Time) error  { close(v.cutRead); return nil }
func (v *visitor) SetWriteDeadline(time.Time) error { close(v.cutWrite); return nil }

func (v *visitor) Read([]byte) (int, error) { <-v.cutRead; return 0, os.ErrDeadlineExceeded }
func (v *visitor) Close() error             { return nil }
func (v *visitor) Write([]byte) (int, error) {
	<-v.cutWrite
	return 0, os.ErrDeadlineExceeded
}

func TestStalledVisitorsAreCutOff(t *testing.T) {
	for _, c := range []struct {
		name    string
		proto   int
		handler func(w http.ResponseWriter, r *http.Request) error
	}{
		{"body of HTTP/1.1", 1, func(_ http.ResponseWriter, r *http.Request) error { _, err := io.ReadAll(r.Body); return err }},
		{"body of HTTP/2", 2, func(_ http.ResponseWriter, r *http.Request) error { _, err := io.ReadAll(r.Body); return err }},
		{"answer of HTTP/2", 2, func(w http.ResponseWriter, _ *http.Request) error { _, err := w.Write([]byte("x")); return err }},
		{"answer of HTTP/3", 3, func(w http.ResponseWriter, _ *http.Request) error { _, err := w.Write([]byte("x")); return err }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVisitor()
				r := httptest.NewRequest("POST", "/", nil)
				r.Body, r.ProtoMajor = v, c.proto
				begun := time.Now()
				guarded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if err := c.handler(w, r); !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("got %v", err)
					}
				}), v, r, Limits{}.orDefault())
				if took := time.Since(begun); took < DefaultStallTime || took > 2*DefaultStallTime {
					t.Errorf("cut off after %v", took)
				}
			})
		})
	}
}

// TestSlowVisitorsAreNot: progress, however slow, is progress, and so is a handler that thinks for long.
func TestSlowVisitorsAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pr, pw := io.Pipe()
		go func() {
			for range 5 {
				time.Sleep(DefaultStallTime * 2 / 3)
				_, _ = pw.Write([]byte("x"))
			}
			_ = pw.Close()
		}()
		r := httptest.NewRequest("POST", "/", pr)
		r.ProtoMajor = 2
		v := newVisitor()
		guarded(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if b, err := io.ReadAll(r.Body); err != nil || len(b) != 5 {
				t.Errorf("got %d bytes, %v", len(b), err)
			}
			time.Sleep(3 * DefaultStallTime)
		}), v, r, Limits{}.orDefault())
		select {
		case <-v.cutRead:
			t.Error("it was cut off")
		case <-v.cutWrite:
			t.Error("it was cut off")
		default:
		}
		time.Sleep(3 * DefaultStallTime) // nothing is left that would fire
	})
}
