//go:build linux

package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// lan is a network of namespaces: a bridge in one, every server in its own.
type lan struct {
	t      *testing.T
	prefix string
	next   int
	sky    *sky // not nil: there is no bridge, and packets go through the weather
}

// lans tells the networks of this process apart.
var lans atomic.Int32

func newLAN(t *testing.T) *lan {
	l := &lan{t: t, prefix: fmt.Sprintf("tdm%d-%d-", os.Getpid(), lans.Add(1)), next: 10}
	l.ip("netns", "add", l.prefix+"lan")
	t.Cleanup(func() { l.ip("netns", "del", l.prefix+"lan") })
	l.in("lan", "link", "add", "br0", "type", "bridge")
	l.in("lan", "link", "set", "br0", "up")
	return l
}

func (l *lan) ip(args ...string) {
	l.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		l.t.Errorf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func (l *lan) in(ns string, args ...string) {
	l.t.Helper()
	l.ip(append([]string{"-n", l.prefix + ns}, args...)...)
}

// host adds a namespace with an address on the network and returns that.
func (l *lan) host(name string) string {
	l.next++
	addr := fmt.Sprintf("10.77.0.%d", l.next)
	ns := l.prefix + name
	l.ip("netns", "add", ns)
	l.t.Cleanup(func() { l.ip("netns", "del", ns) })
	l.in(name, "link", "set", "lo", "up")
	if l.sky != nil {
		l.sky.device(ns, byte(l.next))
		l.in(name, "link", "set", "eth0", "mtu", "1500", "up")
		l.in(name, "addr", "add", addr+"/24", "dev", "eth0")
		return addr
	}
	l.in("lan", "link", "add", "v"+name, "type", "veth", "peer", "name", "eth0", "netns", ns)
	l.in("lan", "link", "set", "v"+name, "master", "br0", "up")
	l.in(name, "addr", "add", addr+"/24", "dev", "eth0")
	l.in(name, "link", "set", "eth0", "up")
	return addr
}

// cut and mend take a host off the network and put it back.
func (l *lan) cut(name string)  { l.in("lan", "link", "set", "v"+name, "nomaster", "down") }
func (l *lan) mend(name string) { l.in("lan", "link", "set", "v"+name, "master", "br0", "up") }

// command is a command inside a host.
func (l *lan) command(host string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", l.prefix + host}, args...)...)
}

// dial opens a connection from inside a host.
func (l *lan) dial(host string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, _, addr string) (net.Conn, error) {
		var d net.Dialer
		// One address family and a literal address: no second goroutine, which would run in our own namespace.
		return inside(l, host, func() (net.Conn, error) { return d.DialContext(ctx, "tcp4", addr) })
	}
}

// packets opens a socket for datagrams inside a host.
func (l *lan) packets(host string) (net.PacketConn, error) {
	return inside(l, host, func() (net.PacketConn, error) { return net.ListenPacket("udp4", ":0") })
}

// inside opens a socket in a host's namespace.
func inside[T any](l *lan, host string, open func() (T, error)) (T, error) {
	type result struct {
		socket T
		err    error
	}
	got := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is in the other namespace and ends with this goroutine
		fd, err := unix.Open("/run/netns/"+l.prefix+host, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			_ = unix.Close(fd)
		}
		if err != nil {
			var none T
			got <- result{none, err}
			return
		}
		socket, err := open()
		got <- result{socket, err}
	}()
	r := <-got
	return r.socket, r.err
}
