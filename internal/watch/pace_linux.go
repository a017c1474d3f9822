package watch

import "time"

// Pace of reading.
const (
	paceGap   = 12 * time.Millisecond // reads that follow each other as quickly are in a row
	paceAfter = 16                    // reads in a row before one waits
	paceTime  = 2 * time.Millisecond

	stormAfter = 64 // reads in a row that were of concern before one waits longer
	stormTime  = 8 * time.Millisecond
)

// pace slows the reading down while notifications pour in: each read costs waking up, and so does all that follows from it,
// on all members, however little was read. The first ones of a storm are read at once, and so is what a program does now and
// then. What is of no concern, as of other directories on the file system, never makes those wait long that are.
type pace struct {
	last time.Time
	run  int // reads in a row
	ours int // of them, how many were of concern
}

// next waits for as long as the next read may wait.
func (p *pace) next(now time.Time, ours bool) {
	if now.Sub(p.last) > paceGap {
		p.run, p.ours = 0, 0
	}
	p.last = now
	p.run++
	if ours {
		p.ours++
	} else {
		p.ours = max(0, p.ours-1)
	}
	switch {
	case p.ours > stormAfter:
		time.Sleep(stormTime)
	case p.run > paceAfter:
		time.Sleep(paceTime)
	}
}
