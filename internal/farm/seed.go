package farm

// SeedMode says how a folder that is new on a member is being brought to the farm's state.
type SeedMode uint8

const (
	NotSeeding SeedMode = iota
	SeedEmpty           // it was empty: what appears on disk was written by an application
	SeedFull            // it held files of which nothing was known: they are not trusted
	SeedFound           // nobody in the farm had anything: what is on disk here is the farm's, merged with what others find so
)

func (s SeedMode) String() string {
	return [...]string{"", "empty", "pre-seeded", "founding"}[s&3]
}

// ExtraFiles says what becomes of files that a pre-seeded folder holds and the farm does not know.
type ExtraFiles uint8

const (
	ExtraWait       ExtraFiles = iota // they stay as they are and are not replicated, until somebody chooses
	ExtraQuarantine                   // they become preserved files
	ExtraPush                         // they become files of the farm; whatever else the farm knows of their paths wins
)

func (x ExtraFiles) String() string {
	return [...]string{"wait", "quarantine", "push"}[x%3]
}

// ParseExtraFiles is the inverse of String, of the two that can be chosen.
func ParseExtraFiles(s string) (ExtraFiles, error) {
	for _, x := range []ExtraFiles{ExtraQuarantine, ExtraPush} {
		if s == x.String() {
			return x, nil
		}
	}
	return 0, Errorf("choose", s, Invalid, "extra files are handled by %s or %s", ExtraQuarantine, ExtraPush)
}

// Tally counts paths, and the bytes of those that are files.
type Tally struct{ Count, Bytes int64 }

// Add counts a path.
func (t *Tally) Add(a Attr) { t.Count++; t.Bytes += a.Size }

// Remove takes a path out of the count.
func (t *Tally) Remove(a Attr) { t.Count--; t.Bytes -= a.Size }

// Seed is the state of a seeding, and when that is over, what came of it.
type Seed struct {
	Mode      SeedMode
	Since     int64 // when it began, in nanoseconds since 1970 by this member's clock
	Extra     ExtraFiles
	Equal     Tally // files, directories and links that were as the farm has them
	Different Tally // that were replaced and preserved
	Missing   Tally // that came from the farm
}
