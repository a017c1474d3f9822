package replica_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tandem/internal/farm"
	"tandem/internal/replica"
)

var update = flag.Bool("update", false, "write the scenarios' output into their files")

// TestScenarios plays testdata/*.txt: lines that begin with "> " are commands, lines that begin with "#" are talk, the
// rest is what must come out. Commands are documented at (*rig).command.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := playFile(t, want)
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			} else if !bytes.Equal(got, want) {
				t.Errorf("%s: got\n%s\nwant\n%s\nif that is right: go test ./internal/replica -run TestScenarios -update", file, got, want)
			}
		})
	}
}

func playFile(t *testing.T, script []byte) []byte {
	g := newRig()
	lines := bufio.NewScanner(bytes.NewReader(script))
	for lines.Scan() {
		line := lines.Text()
		command, isCommand := strings.CutPrefix(line, "> ")
		if isCommand || strings.HasPrefix(line, "#") || line == "" {
			g.out.WriteString(line + "\n")
		}
		if isCommand {
			if err := g.command(strings.Fields(command)); err != nil {
				t.Fatalf("%s: %v", command, err)
			}
		}
	}
	return []byte(g.out.String())
}

// command executes one of
//
//	start N...               members start with an empty index and link up with those that run
//	seed N                   the same, of a member that joins: its disk is not trusted
//	seedtogether N...        the same, of a folder that is new in the farm
//	choose N WAY             what becomes of extra files: quarantine or push
//	stop N                   a member dies; start begins it again on the same disk and index
//	crash N                  the same, right after the installations that are out and before it can note that
//	save N | setback N       remember index and disk | bring the index back to what it was then
//	powercut N               a member dies, index and disk are as they were remembered, and its next life is another actor's
//	write N PATH CONTENT | ln N PATH TARGET | mkdir N PATH | rm N PATH | chmod N PATH MODE | mv N FROM TO
//	                         an application works; the machine is notified
//	mvdir N FROM TO          an application renames a directory; the machine is notified of that
//	old N                    a member that is told of a renamed directory change by change
//	unseen COMMAND           the same, and the notification does not come
//	rescan N | barrier N ID  notifications were lost | where does the feed stand?
//	hold N | release N       answers of workers wait | come
//	partition N M | heal N M a session is lost | made
//	ring N... | hub N M...   sessions are lost, so that each has only its neighbours | all have only the first
//	drop N M COUNT           pushes from N to M that will be lost
//	fail N PATH COUNT        installations that will fail
//	tear N PATH [CONTENT]    a power cut has left that, or nothing, of a member that is down; its index has survived
//	full N | room N          its disk takes no more content | does again
//	dirty N PATH             a path is notified of, whatever is there
//	fold N                   its disk takes names that differ in case alone for one
//	badsync N | goodsync N   syncs fail | work again
//	exclude N PATH...        what lies at or below the paths is excluded from now on, and nothing else
//	largest N SIZE           files above the size are left out
//	readonly N on|off | pause N | resume N
//	check N on|off           changes wait until the folder was checked
//	pass N | try N | keep N | back N | checks N
//	                         own changes are good | others' are tried | they are good | they are not | what waits
//	brake N PERCENT | letgo N | refuse N
//	fill N DIR COUNT         files that are notified
//	unmount N DIR | mount N DIR
//	                         what is below the directory is gone from the disk, unseen | is back
//	explain N PATH           what is known of the path
//	quiet | loud             what happens is shown no more | again
//	deliver                  messages arrive and are worked off, no time passes
//	wait DURATION            time passes, with ticks of 100 ms
//	clock N DURATION         its clock is set forward, or back
//	settle                   time passes until all is at rest, for five minutes at most
//	show [N...] | state      trees | vectors
//	records                  how many paths each index remembers
//	evict DURATION           for how long a member may be away
//	remove N                 a member is one no more
func (g *rig) command(f []string) error {
	switch f[0] {
	case "start", "seed", "seedtogether":
		g.together = f[0] == "seedtogether"
		for _, id := range f[1:] {
			n := g.node(id)
			if n == nil {
				n = g.add(farm.MemberID(id))
			}
			n.start(f[0] != "start")
		}
		for _, n := range g.nodes {
			if n.machine != nil {
				n.step(replica.Holders{Members: g.members(), EvictAfter: g.evictAfter})
			}
		}
	case "quiet", "loud":
		g.quiet = f[0] == "quiet"
	case "unseen":
		_, err := g.application(f[1:])
		return err
	case "write", "ln", "mkdir", "rm", "chmod", "mv":
		paths, err := g.application(f)
		if err != nil {
			return err
		}
		n := g.node(f[1])
		n.step(replica.Dirty{Paths: paths})
		n.work()
	case "mvdir":
		n, from, to := g.node(f[1]), farm.MustPath(f[2]), farm.MustPath(f[3])
		n.takeTo(from, to)
		n.step(replica.Moved{From: from, To: to})
		n.work()
	case "deliver":
		g.deliver()
	case "wait":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			return err
		}
		g.pass(d)
	case "clock":
		d, err := time.ParseDuration(f[2])
		if err != nil {
			return err
		}
		g.node(f[1]).skew += d
	case "settle":
		g.settle()
	case "show":
		g.show(f[1:])
	case "state":
		for _, n := range g.nodes {
			if n.machine == nil {
				continue
			}
			s := n.machine.State()
			n.logf("known %s, applied %s, durable %s, waiting %d, trusted %v", vector(s.Known), vector(s.Applied), vector(s.Durable),
				s.Waiting, n.machine.Trusted())
		}
	case "records":
		for _, n := range g.nodes {
			n.logf("%d records", len(n.cat.records))
		}
	case "remove":
		n := g.node(f[1])
		for _, o := range g.linked(n) {
			g.unlink(n, o)
		}
		g.nodes = slices.DeleteFunc(g.nodes, func(o *node) bool { return o == n })
		for _, o := range g.nodes {
			o.step(replica.Holders{Members: g.members(), EvictAfter: g.evictAfter})
		}
	case "evict":
		d, err := time.ParseDuration(f[1])
		g.evictAfter = d
		return err
	case "partition", "heal":
		a, b := g.node(f[1]), g.node(f[2])
		if g.cut[pair(a, b)] = f[0] == "partition"; g.cut[pair(a, b)] {
			g.unlink(a, b)
		} else {
			g.link(a, b)
		}
	case "ring", "hub":
		g.shape(f[0], f[1:])
	case "drop":
		count, err := strconv.Atoi(f[3])
		g.drop[[2]farm.MemberID{farm.MemberID(f[1]), farm.MemberID(f[2])}] = count
		return err
	default:
		return g.oneNode(f)
	}
	return nil
}

// oneNode executes the commands that make trouble for a member.
func (g *rig) oneNode(f []string) error {
	n := g.node(f[1])
	switch f[0] {
	case "stop", "crash", "powercut":
		for _, o := range g.linked(n) {
			g.unlink(n, o)
		}
		switch f[0] {
		case "crash":
			n.crash()
		case "powercut":
			n.powerCut()
		}
		n.machine = nil
	case "save":
		n.saved = &catalogue{maps.Clone(n.cat.records), n.cat.meta}
		n.savedDisk = clonedDisk(n)
	case "setback":
		n.cat = catalogue{maps.Clone(n.saved.records), n.saved.meta}
	case "choose":
		x, err := farm.ParseExtraFiles(f[2])
		n.step(replica.Choose{Extra: x})
		n.work()
		return err
	case "rescan":
		n.step(replica.Rescan{})
		n.work()
	case "barrier":
		id, err := strconv.ParseUint(f[2], 10, 64)
		n.step(replica.Barrier{ID: id})
		return err
	case "hold", "release":
		n.held = f[0] == "hold"
		n.work()
	case "fail":
		count, err := strconv.Atoi(f[3])
		n.fails[farm.MustPath(f[2])] = count
		return err
	case "tear":
		n.tear(farm.MustPath(f[2]), f[3:])
	case "old":
		n.old = true
	case "full", "room":
		n.full = f[0] == "full"
	case "dirty":
		n.give(replica.Dirty{Paths: []farm.Path{farm.MustPath(f[2])}})
	case "fold":
		n.folds = true
	case "badsync", "goodsync":
		n.badSync = f[0] == "badsync"
	default:
		return n.steer(f)
	}
	return nil
}

// application changes a disk and returns what a watcher would tell.
func (g *rig) application(f []string) ([]farm.Path, error) {
	n := g.node(f[1])
	if n == nil {
		n = g.add(farm.MemberID(f[1]))
	}
	p := farm.MustPath(f[2])
	was := n.disk[p]
	switch f[0] {
	case "write":
		a := farm.Attr{Type: farm.File, Mode: 0o644, Size: int64(len(f[3])), MTime: g.now.UnixNano()}
		if was.Type == farm.File {
			a.Mode = was.Mode
		}
		copy(a.Digest[:], f[3])
		n.put(p, a)
	case "ln":
		n.put(p, farm.Attr{Type: farm.Symlink, Target: f[3], MTime: g.now.UnixNano()})
	case "mkdir":
		n.put(p, farm.Attr{Type: farm.Dir, Mode: 0o755})
	case "rm":
		gone := append(n.below(p), p)
		for _, q := range gone {
			n.put(q, farm.Attr{})
		}
		return gone, nil
	case "chmod":
		mode, err := strconv.ParseUint(f[3], 8, 32)
		if err != nil {
			return nil, err
		}
		was.Mode = uint32(mode)
		n.disk[p] = was
	case "mv":
		to := farm.MustPath(f[3])
		for _, q := range append(n.below(p), p) {
			a := n.disk[q]
			n.put(q, farm.Attr{})
			n.put(farm.MustPath(to.String()+q.String()[len(p.String()):]), a)
		}
		return []farm.Path{p, to}, nil
	}
	return []farm.Path{p}, nil
}

func (g *rig) node(id string) *node {
	for _, n := range g.nodes {
		if string(n.id) == id {
			return n
		}
	}
	return nil
}

func (g *rig) members() (ids []farm.MemberID) {
	for _, n := range g.nodes {
		ids = append(ids, n.id)
	}
	return ids
}

// work lets a member's workers answer, and heartbeats tell of what has changed.
func (n *node) work() {
	for len(n.jobs) > 0 && !n.held && n.machine != nil {
		do := n.jobs[0]
		n.jobs = n.jobs[1:]
		do()
	}
	if n.machine == nil {
		return
	}
	s := n.machine.State()
	if s.Known.Equal(n.told.Known) && s.Applied.Equal(n.told.Applied) && s.Durable.Equal(n.told.Durable) && s.Actor == n.told.Actor && n.told.Forgot.Equal(s.Forgot) && slices.Equal(n.links, n.linkedIDs()) {
		return
	}
	n.told = s
	says := n.says()
	for _, o := range n.rig.linked(n) {
		n.rig.send(n.id, o.id, says)
	}
}

// deliver lets everything happen that takes no time.
func (g *rig) deliver() {
	for busy := true; busy; {
		busy = false
		for _, n := range g.nodes {
			n.work()
			for _, o := range g.linked(n) {
				wire := [2]farm.MemberID{o.id, n.id}
				if len(g.wires[wire]) == 0 {
					continue
				}
				in := g.wires[wire][0]
				g.wires[wire] = g.wires[wire][1:]
				n.note(in)
				n.step(in)
				busy = true
			}
			busy = busy || len(n.jobs) > 0 && !n.held && n.machine != nil
		}
	}
}

func (g *rig) pass(d time.Duration) {
	const tick = 100 * time.Millisecond
	g.deliver()
	for ; d > 0; d -= tick {
		g.now = g.now.Add(tick)
		for _, n := range g.nodes {
			if n.machine != nil {
				n.step(replica.Tick{})
			}
		}
		g.deliver()
		if g.now.UnixMilli()%1000 == 0 {
			g.gossip()
		}
	}
}

func (g *rig) settle() {
	for range 600 {
		g.pass(500 * time.Millisecond)
		if g.atRest() {
			return
		}
	}
	g.out.WriteString("not at rest after five minutes\n")
}

func (g *rig) atRest() bool {
	for _, n := range g.nodes {
		if n.machine == nil {
			continue
		}
		s := n.machine.State()
		if s.Waiting > 0 || !n.machine.Trusted() || !s.Durable.Equal(s.Known) {
			return false
		}
		for _, o := range g.linked(n) {
			if !o.machine.State().Known.Equal(s.Known) {
				return false
			}
		}
	}
	return true
}

func (g *rig) show(only []string) {
	for _, n := range g.nodes {
		if len(only) > 0 && !slices.Contains(only, string(n.id)) {
			continue
		}
		n.logf("disk")
		for _, p := range slices.SortedFunc(maps.Keys(n.disk), farm.Path.Compare) {
			fmt.Fprintf(&g.out, "  %s\n", describe(p, n.disk[p]))
		}
		for _, k := range n.kept {
			fmt.Fprintf(&g.out, "  preserved %s\n", describe(k.Path, k.Attr))
		}
	}
}
