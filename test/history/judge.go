package history

import (
	"fmt"
	"slices"
	"time"
)

// Seen is all that is known when a run is over.
type Seen struct {
	Ops      []Op
	Executed []string                  // ids of the writes that applications have begun to carry out, on all nodes
	Final    map[string]map[string]int // by node and key: the number on its disk after all has healed; Missing if absent
	Outages  []Span                    // in which requests may be without an answer: an edge died with its connections
	Silent   bool                      // a balancer before the nodes closes the connection instead of saying that a write failed
}

// Span is a part of the run.
type Span struct{ From, To time.Time }

func (s Span) touches(o Op) bool { return !o.End.Before(s.From) && !o.Start.After(s.To) }

// Verdict is the judgement.
type Verdict struct {
	Reads, Writes    int
	Unknown, Refused int // writes
	Sure             int // writes that were confirmed
	Cut              int // requests without an answer in an outage
	Faults           []string
	Slowest          time.Duration // of all answers
	P50, P99         time.Duration
}

func (v Verdict) String() string {
	return fmt.Sprintf("%d reads, %d writes (%d confirmed, %d unknown, %d refused), %d cut in outages; answers p50 %s, p99 %s, max %s; %d faults",
		v.Reads, v.Writes, v.Sure, v.Unknown, v.Refused, v.Cut, v.P50.Round(time.Microsecond), v.P99.Round(time.Microsecond), v.Slowest.Round(time.Millisecond), len(v.Faults))
}

func (v *Verdict) fault(format string, args ...any) {
	v.Faults = append(v.Faults, fmt.Sprintf(format, args...))
}

// Judge says what was wrong.
func Judge(s Seen) Verdict {
	var v Verdict
	ops := slices.SortedStableFunc(slices.Values(s.Ops), func(a, b Op) int { return a.Start.Compare(b.Start) })
	v.count(s, ops)
	v.sessions(ops)
	v.executions(s, ops)
	v.disks(s, ops)
	return v
}

// count looks at each request alone.
func (v *Verdict) count(s Seen, ops []Op) {
	var took []time.Duration
	for _, o := range ops {
		cut := o.Status == 0 && slices.ContainsFunc(s.Outages, func(span Span) bool { return span.touches(o) })
		if cut {
			v.Cut++
		}
		if !o.Write {
			v.Reads++
			if !cut && o.Status != 200 && o.Status != 404 {
				v.fault("a read failed: %s", o)
			}
		} else {
			v.Writes++
			if o.Sure {
				v.Sure++
			}
			switch o.outcome() {
			case unknown:
				v.Unknown++
				if o.Status == 0 && !cut && !s.Silent {
					v.fault("a write failed without a status: %s", o)
				}
			case refused:
				v.Refused++
			}
		}
		if o.Status != 0 {
			took = append(took, o.End.Sub(o.Start))
		}
	}
	if slices.Sort(took); len(took) > 0 {
		v.P50, v.P99, v.Slowest = took[len(took)/2], took[len(took)*99/100], took[len(took)-1]
	}
}

// mark is of a session and a key.
type mark struct {
	session int
	key     string
}

// sessions holds each session's reads against what it has written and read before.
func (v *Verdict) sessions(ops []Op) {
	asked := map[string]map[int]Op{} // by key: writes that are not refused, by number
	for _, o := range ops {
		if o.Write && o.outcome() != refused {
			if asked[o.Key] == nil {
				asked[o.Key] = map[int]Op{}
			}
			asked[o.Key][o.Number] = o
		}
	}
	least, why := map[mark]int{}, map[mark]Op{}
	for _, o := range ops {
		at := mark{o.Session, o.Key}
		if o.Write {
			if o.outcome() == done && o.Number > least[at] {
				least[at], why[at] = o.Number, o
			}
			continue
		}
		if o.Status != 200 && o.Status != 404 {
			continue
		}
		w, known := asked[o.Key][o.Number]
		switch {
		case o.Number == Torn, o.Number != Missing && (!known || w.Start.After(o.End)):
			v.fault("a read has what nobody wrote, or refused to: %s", o)
		case o.Number < least[at]:
			v.fault("a read is stale: %s\n      after %s", o, why[at])
		default:
			least[at], why[at] = o.Number, o
		}
	}
}

// executions holds the applications' log against the answers.
func (v *Verdict) executions(s Seen, ops []Op) {
	times := map[string]int{}
	for _, id := range s.Executed {
		times[id]++
	}
	for _, o := range ops {
		if !o.Write {
			continue
		}
		switch n := times[o.ID]; {
		case n > 1:
			v.fault("a write happened %d times: %s", n, o)
		case n == 0 && o.outcome() == done:
			v.fault("a write was answered and never happened: %s", o)
		case n == 1 && o.outcome() == refused:
			v.fault("a write was refused and happened: %s", o)
		}
	}
}

// disks holds what is left against what was answered.
func (v *Verdict) disks(s Seen, ops []Op) {
	last := map[string]Op{}
	for _, o := range ops {
		if o.Write && o.outcome() == done && o.Number > last[o.Key].Number {
			last[o.Key] = o
		}
	}
	for node, files := range s.Final {
		for key, o := range last {
			if files[key] >= o.Number {
				continue
			}
			what := "a write"
			if o.Sure {
				what = "a confirmed write"
			}
			v.fault("%s is lost: %s has number %d: %s", what, node, files[key], o)
		}
	}
	slices.Sort(v.Faults)
}
