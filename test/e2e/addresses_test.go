//go:build linux

package e2e

import (
	"fmt"
	"net"
	"testing"
	"time"

	"tandem/internal/control"
)

// TestAddressesComeAndGo: bindings of all servers stand in one configuration. Each takes its own and skips the others; an
// address that appears later is answered on without a restart, and one that vanishes is let go.
func TestAddressesComeAndGo(t *testing.T) {
	need(t)
	f := newFarm(t, "web1", "web2")
	const moving = "10.77.1.1"
	site := fmt.Sprintf("http://notes.test:8081 {\n\tbind %s %s %s\n\trespond hello\n}\n", f.members["web1"].addr, f.members["web2"].addr, moving)
	f.found("\n[folder.www]\npath = \"/var/www\"\n", map[string]string{"notes.caddy": site})
	before := f.processes()
	binding := func(n, address string, want control.BindingState) {
		t.Helper()
		f.await(10*time.Second, fmt.Sprintf("%s is %s on %s", address, want, n), func() error {
			st, err := f.status(n)
			for _, b := range st.Bindings {
				if b.Address == address+":8081" && b.State == want {
					return err
				}
			}
			return fmt.Errorf("%v, %v", st.Bindings, err)
		})
	}
	answers := func(n, address string, want bool) {
		t.Helper()
		f.await(10*time.Second, fmt.Sprintf("%s answers on %s: %v", n, address, want), func() error {
			conn, err := f.lan.dial(n)(t.Context(), "tcp", net.JoinHostPort(address, "8081"))
			if err == nil {
				_ = conn.Close()
			}
			if (err == nil) != want {
				return fmt.Errorf("dial: %v", err)
			}
			return nil
		})
	}
	for _, n := range f.order {
		for _, o := range f.order {
			want := control.BindingSkipped
			if n == o {
				want = control.BindingLive
			}
			binding(n, f.members[o].addr, want)
		}
		binding(n, moving, control.BindingSkipped)
	}
	for range 2 { // there and back: it may move from one to the other and again
		for _, n := range f.order {
			f.lan.in(n, "addr", "add", moving+"/32", "dev", "lo")
			binding(n, moving, control.BindingLive)
			answers(n, moving, true)
			f.lan.in(n, "addr", "del", moving+"/32", "dev", "lo")
			binding(n, moving, control.BindingSkipped)
			answers(n, moving, false)
			answers(n, f.members[n].addr, true)
		}
	}
	for n, p := range f.processes() {
		if p != before[n] {
			t.Errorf("%s: the process was restarted: %s, was %s", n, p, before[n])
		}
	}
}
