package replica

import (
	"time"

	"tandem/internal/farm"
)

// Machine is the engine of one folder on one member. It decides; it does not do. Step takes what happened and returns
// what is to be done; the same inputs on the same catalogue give the same effects.
//
// Ownership: one goroutine.
type Machine struct {
	folder farm.FolderID
	db     Catalogue
	meta   farm.Meta
	counts bool // the next number of ours was never given before; see epoch.go
	draw   uint16
	clock  farm.Clock
	skip   func(farm.Path) bool // excluded; that of rules

	rules  Rules
	before func(farm.Path) bool // see Config; until the start
	ruling int                  // counts changes of what is excluded
	paused bool

	braked  bool // the deletions that are held are too many
	holding int  // works in forBrake
	limit   int  // how many would have been believed
	probed  time.Time

	finished []farm.Plan // see Config; until the start

	seeding  bool // the index is new and others hold the folder: what is on disk is not trusted
	seedScan bool // a peer has told all that it knew: scan when that is settled
	joined   bool // the others held the folder before us
	began    time.Time
	extras   farm.Tally         // see seed.go
	seedLeft map[farm.Path]bool // paths that the scan which ends the seeding has found and that are still to be looked at
	scanned  bool               // a whole scan has ended since the start or since notifications were lost
	scanning bool
	rescan   bool // another scan is due when this one ends

	moving        *moving     // see move.go; nil: none
	queued        []Input     // what waits for its end
	queuedOwn     bool        // ... some of it from this disk
	fences        []farm.Move // the moves among it
	minMoved      int
	finishedMoves []farm.Move // see Config; until the start

	work     map[farm.Path]*work
	below    map[farm.Path]int         // number of works among a directory's direct children
	awaiting map[farm.Path][]farm.Path // paths that wait for their parent
	retries  map[farm.Path]time.Time   // also of directories at rest that are in kept
	gone     gone
	kept     map[farm.Path]int // directories that should be gone and hold what is not replicated: times found so
	cut      int64             // see Config
	trying   bool              // see check.go
	asked    uint64
	doubtful map[farm.Path]bool // see torn.go
	cramped  cramped            // see space.go
	inline   int                // bytes of content held in work
	flying   int                // Examine and Install effects that have no answer yet

	lows     map[farm.Actor]*lowHeap // positions heard of and not yet visible
	early    map[farm.Actor]map[farm.Seq]bool
	reach    farm.Vector // see Reach
	arrivals *Arrivals
	barriers []*barrier
	walks    map[int]bool // walks that have no answer yet; whether barriers wait for them
	lastWalk int
	peers    map[farm.MemberID]*peer
	holders  []farm.MemberID

	evictAfter time.Duration   // 0: nobody is evicted
	overdue    []farm.MemberID // holders that have been away for longer
	ended      bool            // see rejoin

	specials map[farm.Path]string // what was told of as not replicated
	nameless map[farm.Path]nameless
	linked   map[uint64]bool // inodes that had several names when they were looked at
	unkept   map[string]bool // kinds of attributes that were told of as not represented here

	syncing   bool
	badSync   bool // the last one failed
	lastSync  time.Time
	lastSweep time.Time

	sweepEvery time.Duration

	now time.Time
	out []Effect
}

// peer is what the machine knows of another holder of the folder.
type peer struct {
	linked     bool
	aside      bool // there is a session, and nothing is exchanged
	vouched    bool // has said, since our start, all that it knows and we do not
	state      farm.FolderState
	missed     bool            // a move of its was not taken in: its answer, which is on its way, leaves that out
	refused    bool            // a change of its was not taken in since it was asked
	links      []farm.MemberID // with whom it has sessions; nil: it does not say
	asked      time.Time       // when the open Want was sent; zero: none
	aheadSince time.Time       // since when it knows more than we do
	wants      farm.Vector     // what it knew when it asked, while we are paused
	bare       bool            // ... without content
	wanted     time.Time       // when it did; zero: not at all
}

// Config of a Machine.
type Config struct {
	Folder farm.FolderID
	Meta   farm.Meta // as the index has it; its Actor says who we are, its Seed whether what is on disk is trusted
	Anew   bool      // Meta's Actor is new: it has written nothing yet
	Draw   uint16    // was drawn at random; see farm.Epoch.Next
	Joined bool      // while it is being seeded: the others held the folder before us
	Cut    int64     // not 0: power was cut before this moment, nanoseconds since 1970; what was not durable is in doubt

	// Finished are plans of an earlier life that are known to have changed the disk, and whose end may not be in the index.
	Finished []farm.Plan
	// FinishedMoves are moves of which the same is known.
	FinishedMoves []farm.Move
	MinMoved      int // entries from which on a rename is one step; 0: a sensible number

	Sweep  time.Duration // between looks for what can be forgotten; 0: ten minutes
	Rules  Rules
	Before func(farm.Path) bool // what was excluded in the life before; nil: the same as now
	Paused bool
}

// New returns a machine whose first input must be Start.
func New(cfg Config, db Catalogue) *Machine {
	rules := cfg.Rules.complete()
	if cfg.Sweep == 0 {
		cfg.Sweep = sweepEvery
	}
	m := &Machine{
		folder: cfg.Folder, db: db, meta: cfg.Meta, counts: cfg.Anew, draw: cfg.Draw, skip: rules.Excluded, joined: cfg.Joined,
		seeding: cfg.Meta.Seed.Mode == farm.SeedEmpty || cfg.Meta.Seed.Mode == farm.SeedFull,
		rules:   rules, before: cfg.Before, paused: cfg.Paused, cut: cfg.Cut,
		finished: cfg.Finished, finishedMoves: cfg.FinishedMoves, minMoved: cfg.MinMoved,
		work:       map[farm.Path]*work{},
		below:      map[farm.Path]int{},
		awaiting:   map[farm.Path][]farm.Path{},
		retries:    map[farm.Path]time.Time{},
		kept:       map[farm.Path]int{},
		arrivals:   &Arrivals{},
		lows:       map[farm.Actor]*lowHeap{},
		early:      map[farm.Actor]map[farm.Seq]bool{},
		peers:      map[farm.MemberID]*peer{},
		walks:      map[int]bool{},
		specials:   map[farm.Path]string{},
		nameless:   map[farm.Path]nameless{},
		linked:     map[uint64]bool{},
		unkept:     map[string]bool{},
		sweepEvery: cfg.Sweep,
	}
	if m.minMoved == 0 {
		m.minMoved = minMoved
	}
	m.clock.Observe(cfg.Meta.Clock)
	return m
}

// Step takes one input at a time and returns what is to be done about it.
func (m *Machine) Step(now time.Time, in Input) []Effect {
	m.now, m.out = now, nil
	if m.ended {
		return nil
	}
	m.admit(in)
	if !m.ended {
		m.goOn()
	}
	return m.out
}

// handle decides on an input.
func (m *Machine) handle(in Input) {
	switch in := in.(type) {
	case Start:
		m.start()
	case Holders:
		m.held(in)
	case Dirty:
		m.found(in)
	case Tree:
		m.dirty(in.Dir)
		m.walk(in.Dir, true, true)
	case Rescan:
		m.scanned = false
		m.scan(true)
	case Audit:
		m.scan(false)
	case Walked:
		m.walked(in)
	case Barrier:
		m.barrier(in.ID)
	case Observed:
		m.observed(in)
	case Installed:
		m.installed(in.Installed)
	case Synced:
		m.synced(in)
	case Arrived:
		if !m.paused {
			m.arrived(in.From, in.Change)
		}
	case Had:
		if !m.paused {
			m.had(in)
		}
	case Wanted:
		m.wanted(in)
	case Ruled:
		m.ruled(in)
	case Pause:
		m.pause(in.On)
	case Pass:
		m.pass()
	case Try:
		m.trial(in.On)
	case Back:
		m.bring(in.Disks)
	case Release:
		m.letGo()
	case Refuse:
		m.refuse()
	case PeerUp:
		m.peerUp(in)
	case PeerDown:
		m.peerDown(in.Peer)
	case PeerState:
		m.peer(in.Peer).links = in.Links
		m.peerState(in.Peer, in.State)
	case Relayed:
		m.relayed(in)
	case Expire:
		m.expire(in.Paths)
	case Choose:
		m.choose(in.Extra)
	case Chosen:
		m.chosen(in.Paths)
	case Tick:
		m.tick(in.Full)
	default:
		m.handleMove(in)
	}
}

// handleMove decides on an input about a directory that was renamed.
func (m *Machine) handleMove(in Input) {
	switch in := in.(type) {
	case Moved:
		m.moved(in)
	case Compared:
		m.compared(in)
	case ArrivedMove:
		if !m.paused {
			m.arrivedMove(in)
		}
	case Shifted:
		m.shifted(in)
	}
}

func (m *Machine) emit(e Effect) { m.out = append(m.out, e) }

// Actor is who this member writes as.
func (m *Machine) Actor() farm.Actor { return m.meta.Actor }

// Waiting is the number of paths that are not as they should be, or that are being looked at.
func (m *Machine) Waiting() int {
	n := len(m.work) + len(m.queued)
	if m.moving != nil {
		n++
	}
	return n
}

// Arrivals are the paths of which more is known than is on disk.
func (m *Machine) Arrivals() *Arrivals { return m.arrivals }

// Flying is the number of paths for which an answer is outstanding.
func (m *Machine) Flying() int { return m.flying }

// Inline is the number of bytes of content that is held for paths in work.
func (m *Machine) Inline() int { return m.inline }

// Idle tells whether nothing waits for time to pass, but for what is done every few minutes.
func (m *Machine) Idle() bool {
	if len(m.retries) > 0 || m.moving != nil || m.meta.Seed.Mode != farm.NotSeeding || m.syncing || !m.meta.Durable.CoversAll(m.applied()) {
		return false
	}
	for _, p := range m.peers {
		if p.linked && !p.aheadSince.IsZero() {
			return false
		}
	}
	return true
}

// Trusted tells whether the disk is known to be as the index says: scanned, and seeded.
func (m *Machine) Trusted() bool { return m.scanned && !m.seeding }

// Seeding tells whether the folder is being brought to the farm's state for the first time.
func (m *Machine) Seeding() bool { return m.seeding }

// State is what the other members are told.
func (m *Machine) State() farm.FolderState {
	return farm.FolderState{
		Actor: m.meta.Actor, Known: m.meta.Known, Applied: m.applied(), Durable: m.meta.Durable,
		Waiting: int64(m.Waiting()), Paused: m.paused, Braked: m.braked, Seeding: m.meta.Seed.Mode,
		Forgot: m.meta.Forgot,
	}
}

// start restores what a crash left half done: paths whose disk is behind what is known.
func (m *Machine) start() {
	m.finish()
	m.finishMoves()
	m.began = m.now
	for r := range m.db.Under(farm.Path{}) {
		if m.skip(r.Path) {
			continue
		}
		if m.isExtra(r) {
			m.startExtra(r)
			continue
		}
		m.doubt(r)
		loose := r.Disk.Type != farm.Absent && r.Disk.Content.Dot.IsZero() // of no version: it is to be replaced
		if c := r.Context(); r.Intent != nil || loose || !r.Disk.Context.CoversAll(c) {
			m.open(r.Path).dirty = true // an Install may have happened: look before planning another
			m.lower(r.Path, r, c)
		}
	}
	if m.before != nil {
		m.include(m.before)
		m.before = nil
	}
	for p := range m.work {
		m.retries[p] = m.now
	}
	if !m.seeding {
		m.scan(false)
	}
	m.sortExtras()
}

// scan compares the whole tree with the index. One at a time: a request during a scan starts another after it.
func (m *Machine) scan(lost bool) {
	if m.scanning {
		m.rescan = true
		return
	}
	m.scanning = true
	m.walk(farm.Path{}, true, lost)
}

// walk has what is in dir, or (deep) all below it, compared with the index, and returns the walk's id. Lost: it stands for
// notifications, so that barriers wait for it. (A scan at the start does not: what happens meanwhile is notified.)
func (m *Machine) walk(dir farm.Path, deep, lost bool) int {
	m.lastWalk++
	m.walks[m.lastWalk] = lost
	m.emit(Walk{ID: m.lastWalk, Dir: dir, Deep: deep, Scan: dir.IsRoot() && deep && !lost})
	return m.lastWalk
}

func (m *Machine) walked(in Walked) {
	delete(m.walks, in.ID)
	m.passWalk(in)
	if !in.Dir.IsRoot() {
		if in.Err != nil {
			m.dirty(in.Dir)
		}
		return
	}
	m.scanning = false
	if in.Err != nil {
		m.retries[farm.Path{}] = m.now.Add(maxRetry)
		return
	}
	if m.rescan {
		m.rescan, m.scanning = false, true
		m.rescanBegins(m.walk(farm.Path{}, true, true))
		return
	}
	m.scanned = true
	m.tryNames()
	m.seedWalked()
}

func (m *Machine) raise(id farm.EventID, sev farm.Severity, p farm.Path, msg, next string, fields map[string]string) {
	m.emit(Raise{farm.Event{ID: id, Severity: sev, Subject: p.String(), Folder: m.folder, Message: msg, Next: next, Fields: fields}})
}

// putMeta records counters and clock along with the records that they belong to.
func (m *Machine) putMeta() {
	m.meta.Clock = m.clock.Last()
	m.db.SetMeta(m.meta)
}
