package shell

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// mayMove lets the connections that a listener accepts send from their address when it is this machine's no more: an answer that was
// under way when a virtual address moved still reaches its visitor. It takes CAP_NET_RAW; without it such answers are lost.
//
// ip(7), IP_TRANSPARENT: of all that it does, this is what matters here.
func mayMove(ln net.Listener) error {
	tcp, ok := ln.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		if failed = unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_TRANSPARENT, 1); failed != nil {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_TRANSPARENT, 1)
		}
	}); err != nil {
		return err
	}
	return failed
}
