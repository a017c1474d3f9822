package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/internal/farm"
)

// Stage says that a revision is tried on one member, the canary, before the others run it. What came of that is said by
// its child: one with the same files if it passed, else one with the files of before. The zero Stage: it is for all at once.
type Stage struct {
	Canary farm.MemberID
	For    time.Duration // that it has to do well there; whole milliseconds
}

// Limits of a trial.
const (
	MinTrial = time.Second
	MaxTrial = time.Hour
)

// IsZero tells whether the revision is for all members at once.
func (s Stage) IsZero() bool { return s == Stage{} }

func (s Stage) check(parents int) error {
	if s.IsZero() {
		return nil
	}
	if _, err := farm.ParseMemberID(string(s.Canary)); err != nil {
		return fmt.Errorf("canary: %w", err)
	}
	if s.For < MinTrial || s.For > MaxTrial || s.For%time.Millisecond != 0 {
		return fmt.Errorf("a trial takes %v to %v, not %v", MinTrial, MaxTrial, s.For)
	}
	if parents != 1 {
		return fmt.Errorf("a revision that is tried has one parent, not %d", parents)
	}
	return nil
}

func (s Stage) line() string {
	return fmt.Sprintf("stage %s %d\n", s.Canary, s.For.Milliseconds())
}

func decodeStage(text string) (Stage, error) {
	name, millis, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(millis, 10, 32)
	return Stage{farm.MemberID(name), time.Duration(n) * time.Millisecond}, err
}

// Trials splits revisions: those of which it is decided whether they are for all, and those that are tried, the earliest
// first. Files are not looked at. A member that is not the canary acts as if it had never heard of a trial.
func Trials(all []Revision) (decided, tried []Revision) {
	parents := map[farm.Digest]bool{}
	for _, r := range all {
		for _, p := range r.Parents {
			parents[p] = true
		}
	}
	for _, r := range all {
		if !r.Stage.IsZero() && !parents[r.Digest] {
			tried = append(tried, r)
		} else {
			decided = append(decided, r)
		}
	}
	slices.SortFunc(tried, later)
	return decided, tried
}

// Trial is what a canary is to try on top of the head; without a digest: nothing. All other trials of its own it takes
// back, lest a revision reaches all that was never tried with what they run.
func Trial(tried []Revision, head farm.Digest, self farm.MemberID) (run Revision, back []Revision) {
	for _, r := range tried {
		switch {
		case r.Stage.Canary != self:
		case run.Digest.IsZero() && slices.Equal(r.Parents, []farm.Digest{head}):
			run = r
		default:
			back = append(back, r)
		}
	}
	return run, back
}
