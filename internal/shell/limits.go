package shell

import (
	"cmp"
	"time"
)

// Limits bound what visitors may take of a front. A field that is zero has its default.
type Limits struct {
	HeaderBytes int           // of a request's head
	HeaderTime  time.Duration // to send a request's head, and to shake hands
	IdleTime    time.Duration // between two requests of a connection
	StallTime   time.Duration // in which a visitor must take something of an answer, and send MinUpload of a body
	MinUpload   int64         // bytes; below 1 counts as 1. Streams of gRPC may rest
}

// Defaults of Limits.
const (
	DefaultHeaderBytes = 64 << 10
	DefaultHeaderTime  = 30 * time.Second
	DefaultIdleTime    = 5 * time.Minute
	DefaultStallTime   = time.Minute // Caddy's for bodies
)

func (l Limits) orDefault() Limits {
	l.HeaderBytes = cmp.Or(l.HeaderBytes, DefaultHeaderBytes)
	l.HeaderTime = cmp.Or(l.HeaderTime, DefaultHeaderTime)
	l.IdleTime = cmp.Or(l.IdleTime, DefaultIdleTime)
	l.StallTime = cmp.Or(l.StallTime, DefaultStallTime)
	l.MinUpload = max(l.MinUpload, 1)
	return l
}
