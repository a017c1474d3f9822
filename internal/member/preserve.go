package member

import (
	"strings"
	"time"

	"tandem/internal/farm"
)

// preserveSpec says what of a folder is preserved here.
type preserveSpec struct {
	bytes   int64
	age     time.Duration // 0: any
	deleted bool          // what other members delete, too
}

// moveTime is how far apart the two halves of a rename, a deletion and a new file, are written at most.
const moveTime = 5 * time.Second

// needless tells whether a file that others deleted need not be preserved: a probe wrote it, or it has only moved.
func (f *folder) needless(p farm.Path, d farm.Digest, by farm.Stamp) bool {
	name := p.String()
	return strings.HasPrefix(name, probePrefix) && !strings.Contains(name, "/") || f.moved(p, d, by)
}

// moved tells whether the content of p, which by deleted, stands at another path that the same member wrote at that time.
func (f *folder) moved(p farm.Path, d farm.Digest, by farm.Stamp) bool {
	paths, err := f.index.ByDigest(d)
	if err != nil {
		return false // one copy too many
	}
	for _, q := range paths {
		if q == p {
			continue
		}
		r, ok, err := f.index.Get(q)
		if err != nil || !ok || r.Disk.Digest != d || r.Disk.Content.Dot.Actor != by.Dot.Actor {
			continue
		}
		if apart := r.Disk.Content.Time.Wall().Sub(by.Time.Wall()).Abs(); apart <= moveTime {
			return true
		}
	}
	return false
}
