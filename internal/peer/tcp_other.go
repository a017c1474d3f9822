//go:build !linux

package peer

import (
	"net"
	"time"
)

// Other systems have no such option, or none that Go reaches: heartbeats find a silent member.

func keepAlive(net.Conn) {}

func quicken(net.Conn, time.Duration) {}

func leastRTT(net.Conn) (time.Duration, bool) { return 0, false }
