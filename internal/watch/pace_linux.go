package watch

import "time"

// Pace of reading.
const (
	paceAfter = 16                   // reads in a row that come quickly one after the other
	paceGap   = 6 * time.Millisecond // what is quickly
	paceTime  = 2 * time.Millisecond
)

// pace slows the reading down while notifications pour in: each read costs waking up, and so does all that follows from it,
// however little was read. The first ones of a storm are read at once, and so is what a single program does now and then.
type pace struct {
	last time.Time
	run  int // reads in a row
}

// next waits for as long as the next read may wait.
func (p *pace) next(now time.Time) {
	if now.Sub(p.last) > paceGap {
		p.run = 0
	}
	p.last = now
	if p.run++; p.run > paceAfter {
		time.Sleep(paceTime)
	}
}
