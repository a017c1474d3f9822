package control

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"tandem/internal/farm"
)

// tally collects the samples of a probe: at most MaxProbeCount per member.
type tally struct {
	folder  farm.FolderID
	req     ProbeRequest
	rounds  int // of which at least one sample came
	targets map[farm.MemberID]*targetTally
}

type targetTally struct {
	took    []time.Duration
	lost    int
	problem string
}

func newTally(folder farm.FolderID, req ProbeRequest) *tally {
	return &tally{folder: folder, req: req, targets: map[farm.MemberID]*targetTally{}}
}

// add tells whether the sample begins a round.
func (t *tally) add(s ProbeSample) bool {
	m := t.targets[s.Member]
	if m == nil {
		m = &targetTally{}
		t.targets[s.Member] = m
	}
	if s.Err != nil {
		m.lost++
		m.problem = s.Err.Error()
	} else {
		m.took = append(m.took, s.Took)
	}
	begins := s.Round+1 > t.rounds
	t.rounds = max(t.rounds, s.Round+1)
	return begins
}

func (t *tally) result() ProbeResult {
	r := ProbeResult{Folder: t.folder, Count: t.req.Count, SizeBytes: t.req.SizeBytes, Targets: []ProbeTarget{}}
	for _, name := range slices.Sorted(maps.Keys(t.targets)) {
		m := t.targets[name]
		slices.SortFunc(m.took, cmp.Compare[time.Duration])
		r.Targets = append(r.Targets, ProbeTarget{
			Member: name, Arrived: len(m.took), Lost: m.lost, Problem: m.problem,
			P50MS: quantileMS(m.took, 0.50), P95MS: quantileMS(m.took, 0.95), P99MS: quantileMS(m.took, 0.99), MaxMS: quantileMS(m.took, 1),
		})
	}
	return r
}

// quantileMS is the smallest of the sorted times that at least the part q of them does not exceed, in milliseconds
// (nearest rank: a time that was measured, never one in between). 0 if there is none.
func quantileMS(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	return float64(sorted[max(i, 0)].Microseconds()) / 1000
}
