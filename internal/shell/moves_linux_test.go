package shell

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Answers under way leave after their address has moved only if each connection inherits that from its listener.
func TestConnectionsMaySendFromAnAddressThatMoved(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::]:0"} {
		ln, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if err := mayMove(ln); errors.Is(err, os.ErrPermission) {
			t.Skip("needs CAP_NET_RAW")
		} else if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		visitor, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", ln.Addr().(*net.TCPAddr).Port))
		if err != nil {
			t.Fatal(err)
		}
		defer visitor.Close()
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		raw, err := c.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Control(func(fd uintptr) {
			if is, err := unix.GetsockoptInt(int(fd), unix.SOL_IP, unix.IP_TRANSPARENT); is != 1 || err != nil {
				t.Errorf("%s: IP_TRANSPARENT is %d, %v", at, is, err)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
}
