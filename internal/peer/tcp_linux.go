package peer

import (
	"crypto/tls"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// keepAlive lets the system give up a connection whose other side does not acknowledge what it was sent.
func keepAlive(c net.Conn) { userTimeout(c, idleTimeout) }

// quicken does the same within the time after which a session counts as dead.
func quicken(c net.Conn, deadAfter time.Duration) {
	if t, ok := c.(*tls.Conn); ok {
		userTimeout(t.NetConn(), deadAfter)
	}
}

func userTimeout(c net.Conn, d time.Duration) {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return // closed already
	}
	// Heartbeats find a silent member without it, a little later.
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	})
}

// leastRTT is the shortest round trip that the system has lately seen on the connection; false if it does not say.
func leastRTT(c net.Conn) (rtt time.Duration, ok bool) {
	if t, is := c.(*tls.Conn); is {
		c = t.NetConn()
	}
	t, is := c.(*net.TCPConn)
	if !is {
		return 0, false
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return 0, false
	}
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			rtt, ok = time.Duration(info.Min_rtt)*time.Microsecond, info.Min_rtt > 0
		}
	})
	return rtt, ok
}
