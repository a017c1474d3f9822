package sim

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/replica"
	"tandem/internal/vfs"
)

var (
	firstSeed = flag.Uint64("seed", 1, "first seed")
	seeds     = flag.Uint64("seeds", 0, "number of seeds; 0: forty of each kind, twelve with -short")
	which     = flag.String("kind", "", "mix: only those with the few faults of old; wide: only those with everything; back: only those of wide with a member that is set back; steer: only those that people steer, too; empty: all")
	traceAll  = flag.Bool("story", false, "print the trace")
)

// Seeds played when the command line does not say how many.
const (
	normally = 40
	shortly  = 12
)

// once are seeds that found a fault. What they found then:
//
//	420             an intent that had been answered explained a later deletion by an application
//	1452            the oracle did not know that a power cut leaves half-written files
//	1627, 1735      a change of mode brought a content back that was on no disk any more
//	26, 233, 1016   a directory was kept alive by a version of it that had been replaced
//	202, 341, 349   a directory was kept alive by a child whose every living version had been replaced
//	872             a content that one had overwritten knowingly and another called lost came back by a change of its mode
//	1659            a change of mode during an installation was taken for what the file system makes of it
//	1846            a file that was deleted between an installation that kill -9 cut short and the start came back
//	1970            two members preserved what lost against an earlier life of its author
//	2705            the oracle did not know that a name may be lost by a power cut that a member is just recovering from
//	2800            what an installation had made, and an application removed while the member was dead, came back
//	3160            a content that nobody had any more kept all waiting for ever
//	3762            the oracle did not know that what was there before half of a file was written comes back after a power cut
//	3992            an exchange that could not be undone was said to have been undone
//	4049            what lost was not preserved after a power cut had brought it back
//	8878            the deletion of a directory was forgotten while children waited for the directory
//	9502            a power cut during the recovery from a power cut
//	26435           the oracle did not know that what was there half-written came back by a rename
var once = []uint64{26, 202, 233, 341, 349, 420, 872, 1016, 1452, 1627, 1659, 1735, 1846, 1970, 2705, 2800, 3160, 3762, 3992, 4049, 8878, 9502, 26435}

// onceWide are seeds of Wide that found a fault:
//
//	316             an index was set back, and of what had its numbers nothing was left but what vectors tell
//	344             an edit on a member that joins was undone as a leftover
//	397             a directory that took another's place was taken for it, and what was in it never looked at
//	686             a version that had seen more of a member than that knows itself replaced what it had just written
//	846             an edit on a member that joins bore the time of a leftover
//	4939, 4951      links of the simulator went on flapping when all faults had ended
//	5346            what an installation had made, and an application removed while the member was dead, came back
//	10087           the oracle did not know how long a member may not see what is being done
//	985             an intent explained that an application moved a whole directory away
//	171             the oracle did not know that a small file has its name a moment before that is noted
//	8937            the oracle did not know that what an application removes while its directory is renamed goes along
//	6725, 6953      the simulator told the machine of the holders ahead of its start, and heard that all it knows is durable
//	9795            the simulator's heartbeats ended when nothing changed
var onceWide = []uint64{62, 171, 316, 344, 397, 686, 846, 985, 4939, 4951, 5346, 6725, 6953, 8937, 9795, 10087}

// onceBack are seeds of Back that found a fault:
//
//	529, 655        the simulator restored an index of a time that a machine which was set back had left
//	1086, 3932      the oracle did not know that nobody can tell what a member preserved in an earlier life
//	10579, 10909    a member that was evicted while it was being seeded went on
//	11562           the oracle did not know what an old index makes of the disk
//	11664           an epoch was given twice, under a clock that had been set back
//	22866, 23821    the oracle did not know that others rename a half-written file
var onceBack = []uint64{529, 655, 1086, 3932, 10579, 10909, 11562, 11664, 22866, 23821}

// onceSteered are seeds of Steered that found a fault:
//
//	953             what had another name was preserved by its inode: who wrote to the other name wrote to what was preserved
//	1395            a name of a file with several was written to and removed, and the other names not looked at
//	3148            of a hard link that was made and written through at once the other names were not looked at
//	175, 3800       the oracle did not know that what is lost before it is seen is undone
var onceSteered = []uint64{175, 953, 1395, 3148, 3800}

// kinds are the families of runs.
var kinds = []struct {
	name    string
	options func(uint64) Options
}{{"mix", Mix}, {"wide", Wide}, {"back", Back}, {"steer", Steered}}

// TestSeeds plays many random farms. A failure names its seed; replay it with
//
//	go test ./internal/sim -run TestSeeds -seed N -seeds 1 -story
func TestSeeds(t *testing.T) {
	n := *seeds
	switch {
	case n > 0:
	case testing.Short():
		n = shortly
	default:
		n = normally
	}
	for seed := *firstSeed; seed < *firstSeed+n; seed++ {
		for _, kind := range kinds {
			if *which == "" || *which == kind.name {
				play(t, kind.options(seed), kind.name)
			}
		}
	}
}

// TestLarge plays farms with large contents: those of which a part is at hand are put together, and what is interrupted
// goes on.
func TestLarge(t *testing.T) {
	n := uint64(8)
	if *seeds > 0 {
		n = *seeds
	}
	for seed := *firstSeed; seed < *firstSeed+n; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			opt := Mix(seed)
			opt.Large, opt.Operations = true, 50
			trace, err := Run(opt)
			if *traceAll {
				t.Log("\n" + trace)
			}
			if err != nil {
				t.Errorf("seed %d: %.2000s\nreplay: go test ./internal/sim -run TestLarge -seed %d -seeds 1 -story", seed, err, seed)
			}
		})
	}
}

// TestFold plays farms with a member whose file system can't tell some names apart: what it can't have harms nobody.
func TestFold(t *testing.T) {
	n := uint64(40)
	if *seeds > 0 {
		n = *seeds
	}
	for seed := *firstSeed; seed < *firstSeed+n; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			opt := Mix(seed)
			opt.Fold, opt.PowerCuts, opt.Nodes = true, false, 2+int(seed%2)
			trace, err := Run(opt)
			if *traceAll {
				t.Log("\n" + trace)
			}
			if err != nil {
				t.Errorf("seed %d: %v\nreplay: go test ./internal/sim -run TestFold -seed %d -seeds 1 -story", seed, err, seed)
			}
		})
	}
}

// TestOnceFailed plays the seeds that have failed before.
func TestOnceFailed(t *testing.T) {
	for _, seed := range once {
		play(t, Mix(seed), "mix")
	}
	for _, seed := range onceWide {
		play(t, Wide(seed), "wide")
	}
	for _, seed := range onceBack {
		play(t, Back(seed), "back")
	}
	for _, seed := range onceSteered {
		play(t, Steered(seed), "steer")
	}
}

func play(t *testing.T, opt Options, kind string) {
	t.Run(fmt.Sprint(opt.Seed, kind), func(t *testing.T) {
		t.Parallel()
		opt.Versions = *traceAll
		trace, err := Run(opt)
		if *traceAll {
			t.Log("\n" + trace)
		}
		if err != nil {
			t.Errorf("seed %d, %+v: %v\nreplay: go test ./internal/sim -run TestSeeds -seed %d -seeds 1 -kind %s -story", opt.Seed, opt, err, opt.Seed, kind)
		}
	})
}

// The same seed gives the same trace, or a failure could not be replayed.
func TestSameSeedSameTrace(t *testing.T) {
	for _, seed := range []uint64{1, 10, 420, 1735} { // with crashes, power cuts, races, skew
		first, err := Run(Mix(seed))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if second, _ := Run(Mix(seed)); second != first {
			t.Errorf("seed %d: two traces differ", seed)
		}
	}
}

// The oracle can fail: farms whose machines have a fault are caught by one of a few seeds, by the invariant that the
// fault breaks.
func TestOracleSeesFaults(t *testing.T) {
	push := func(spoil func(*farm.Version, farm.Attr)) sabotages {
		return sabotages{effect: func(e replica.Effect) replica.Effect {
			if p, ok := e.(replica.Push); ok {
				spoil(&p.Change.Entry.Version, p.Change.Entry.Attr)
				return p
			}
			return e
		}}
	}
	install := func(spoil func(*farm.Plan)) sabotages {
		return sabotages{effect: func(e replica.Effect) replica.Effect {
			if in, ok := e.(replica.Install); ok {
				spoil(&in.Plan)
				return in
			}
			return e
		}}
	}
	for _, tt := range []struct {
		fault    string
		breaks   string // the invariant
		sabotage sabotages
	}{
		{"the loser is not preserved", "I2", install(func(p *farm.Plan) { p.Preserve = nil })},
		{"a wrong mode is installed", "I1", install(func(p *farm.Plan) { p.Want.Mode ^= 0o001 })},
		{"a deletion forgets what it saw", "I1", push(func(v *farm.Version, a farm.Attr) {
			if a.Type == farm.Absent {
				v.Vector = farm.VectorOf(v.Dot)
			}
		})},
		{"a version forgets what has lost", "I", push(func(v *farm.Version, _ farm.Attr) { v.Lost = nil })},
		{"what is replaced is moved away first", "I3", sabotages{fs: func(fs vfs.FS) vfs.FS { return slowExchange{fs} }}},
		{"the index forgets what an application had seen", "I8", sabotages{record: func(r farm.Record) farm.Record {
			if r.Disk.Context.Len() > 1 {
				r.Disk.Context = farm.VectorOf(r.Disk.Content.Dot)
			}
			return r
		}}},
		{"what is heard of is said to be visible", "I9", sabotages{state: func(s farm.FolderState) farm.FolderState {
			s.Applied = s.Known
			return s
		}}},
		{"what is thrown away stays in staging", "I13", sabotages{fs: func(fs vfs.FS) vfs.FS { return hoarder{fs} }}},
		{"lost notifications are not made up for", "I15", sabotages{input: func(in replica.Input) replica.Input {
			if _, ok := in.(replica.Rescan); ok {
				return nil
			}
			return in
		}}},
		{"what is found late counts from then on", "I21", sabotages{input: func(in replica.Input) replica.Input {
			if o, ok := in.(replica.Observed); ok {
				o.Seen.Stat.CTime = 0
				return o
			}
			return in
		}}},
		{"a file comes before its directory", "I17", install(func(p *farm.Plan) {
			if p.Want.Type == farm.File {
				p.Path = farm.MustPath("nowhere/" + p.Path.String())
			}
		})},
	} {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= 200; seed++ {
				opt := Mix(seed)
				opt.sabotage = tt.sabotage
				if _, err := Run(opt); err != nil && strings.HasPrefix(err.Error(), tt.breaks) {
					return
				}
			}
			t.Error("no seed noticed")
		})
	}
}

// slowExchange does in three steps what must be one.
type slowExchange struct{ vfs.FS }

func (e slowExchange) Exchange(a, b farm.Path) error {
	aside := farm.MustPath(a.String() + "-aside")
	return errors.Join(e.RenameNoReplace(b, aside), e.RenameNoReplace(a, b), e.RenameNoReplace(aside, a))
}

// hoarder throws nothing away.
type hoarder struct{ vfs.FS }

func (hoarder) Remove(farm.Path) error { return nil }
