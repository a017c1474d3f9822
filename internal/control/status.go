package control

import (
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// Status is what a member knows of itself and the farm at one moment (GET /v1/status). Lists are sorted by name.
type Status struct {
	Member    farm.MemberID `json:"member"`
	Farm      string        `json:"farm"`
	Version   string        `json:"version"` // of the program
	Since     time.Time     `json:"since"`   // when this daemon started
	Time      time.Time     `json:"time"`    // when the status was taken
	Roles     []farm.Role   `json:"roles"`
	Addresses []string      `json:"addresses"` // on which the other members reach it, host:port
	Draining  bool          `json:"draining"`
	Drained   *Drained      `json:"drained,omitempty"` // a person said that it should drain; nil: nobody did

	Faults  Faults       `json:"faults"` // filled by the server from its journal
	Members []Member     `json:"members"`
	Folders []Folder     `json:"folders"`
	Config  ConfigStatus `json:"config"`

	Sites       []Site        `json:"sites"`       // empty on an edge that is no node
	Maintenance []Maintenance `json:"maintenance"` // sites that the edges answer for themselves
	Bindings    []Binding     `json:"bindings"`    // of sites and of the edge
	Nodes       []Node        `json:"nodes"`       // as the edge sees them; empty on a member that is no edge
}

// Drained says since when a member drains because a person said so.
type Drained struct {
	Since time.Time     `json:"since"`
	By    farm.MemberID `json:"by"` // the member where it was said
}

// Faults are the faults of this daemon's life that have not healed, oldest first.
type Faults struct {
	Open []OpenFault `json:"open"`
	More int         `json:"more,omitempty"` // open faults beyond MaxOpenFaults, of which only the number is known
}

// OpenFault is a fault that has not healed: its latest event, and since when and how often it was raised.
type OpenFault struct {
	Since time.Time  `json:"since"`
	Count int        `json:"count"`
	Event farm.Event `json:"event"`
}

// LinkState is how a member is connected to another.
type LinkState string

// The states of a link.
const (
	LinkSelf LinkState = "self" // the member that answers
	LinkUp   LinkState = "up"   // a session is established
	LinkDown LinkState = "down" // there is none; it is being tried

	LinkApart LinkState = "apart" // the configuration wants none: what the member does is heard through others
)

// Member is a member of the farm as the answering one sees it.
type Member struct {
	Name      farm.MemberID `json:"name"`
	Roles     []farm.Role   `json:"roles"`
	Addresses []string      `json:"addresses"` // host:port
	Link      LinkState     `json:"link"`
	RTTMS     float64       `json:"rtt_ms,omitempty"`    // round trip of the latest heartbeat, milliseconds; 0: not known
	LastSeen  *time.Time    `json:"last_seen,omitempty"` // when it was last heard; nil: never in this daemon's life
	Version   string        `json:"version,omitempty"`   // of its program, when it was ever linked
	Protocol  uint32        `json:"protocol,omitempty"`  // that is spoken with it, while it is linked
	Draining  bool          `json:"draining,omitempty"`
	Evicted   bool          `json:"evicted,omitempty"`     // it was away for so long that nobody waits for what it has of the folders
	Paused    bool          `json:"paused,omitempty"`      // it gets no changes of folders and gives none
	Limit     int64         `json:"limit_bytes,omitempty"` // that this member sends to it at most, bytes a second; 0: no limit
	Reason    string        `json:"reason,omitempty"`      // why the link is down
}

// FolderState is what a folder does.
type FolderState string

// The states of a folder.
const (
	FolderScanning FolderState = "Scanning" // compares the disk with the index before it may answer for it
	FolderLive     FolderState = "Live"     // follows the disk and the other members
	FolderHalted   FolderState = "Halted"   // does nothing, for the reason given
)

// Folder is a replicated folder as this member holds it.
type Folder struct {
	ID      farm.FolderID `json:"id"`
	Path    string        `json:"path"` // of its root on this member
	State   FolderState   `json:"state"`
	Watch   string        `json:"watch"` // "fanotify", "inotify" or "scan"
	Entries int64         `json:"entries"`
	Bytes   int64         `json:"bytes"`   // sum of file sizes
	Waiting int64         `json:"waiting"` // paths known of, but not yet on disk as they should be
	InSync  bool          `json:"in_sync"` // nothing is waiting here, all others are linked and have all that is here
	Reason  string        `json:"reason,omitempty"`
	Applied farm.Vector   `json:"applied"` // what is visible here
	Durable farm.Vector   `json:"durable"` // what survives a power cut here
	Peers   []FolderPeer  `json:"peers"`

	Paused   *FolderPause `json:"paused,omitempty"`    // nil: it is not
	Braked   *FolderBrake `json:"braked,omitempty"`    // nil: the brake is off
	Refused  string       `json:"refused,omitempty"`   // why the folder's check refuses what waits
	ReadOnly bool         `json:"read_only,omitempty"` // what is changed here is undone

	Preserved PreservedUsage `json:"preserved"` // kept here outside the tree

	// Unkept counts by kind what is not, or not wholly, replicated here, as the last whole scan saw it; FIFOs, sockets and
	// devices as they are now: "fifo", "socket",
	// value in the farm can't be represented on this member; and "name", of paths that can't be here for their name now.
	Unkept map[string]int64 `json:"unkept,omitempty"`

	Progress *Progress  `json:"progress,omitempty"` // while it is behind, or compares the disk with the index
	Extra    *SeedTally `json:"extra,omitempty"`    // on disk since before the seeding, unknown to the farm and not replicated
}

// FolderPause says since when a folder is paused on a member: it sends and installs nothing.
type FolderPause struct {
	Since time.Time     `json:"since"`
	By    farm.MemberID `json:"by"` // the member where it was said
}

// FolderBrake says what the brake holds on a member: deletions that a scan found, too many to be believed.
type FolderBrake struct {
	Held  int `json:"held"`  // paths
	Limit int `json:"limit"` // as many would have been believed
}

// FolderPeer is another member that holds the folder.
type FolderPeer struct {
	Member  farm.MemberID `json:"member"`
	Linked  bool          `json:"linked"`
	Paused  bool          `json:"paused,omitempty"` // the folder, there
	Braked  bool          `json:"braked,omitempty"`
	Refused string        `json:"refused,omitempty"` // why its check refuses what waits there
	Evicted bool          `json:"evicted,omitempty"` // it was away for so long that nobody waits for it
	Backlog uint64        `json:"backlog"`           // changes that this member has applied and that one has not, as last heard
	Applied farm.Vector   `json:"applied"`
	Durable farm.Vector   `json:"durable"`

	// Conflicts counts the files that it preserves and that were not meant to go; nil: it has not said. What two members
	// preserve counts on both.
	Conflicts *int64 `json:"conflicts,omitempty"`
}

// Site is a site file of the live revision.
type Site struct {
	File   string        `json:"file"`  // "sites/shop.caddy"
	Hosts  []string      `json:"hosts"` // names that it answers to
	Live   bool          `json:"live"`
	Faults config.Faults `json:"faults,omitempty"` // why it is refused here
}

// BindingState is what a member does with a binding.
type BindingState string

// The states of a binding.
const (
	BindingLive    BindingState = "live"    // answers
	BindingSkipped BindingState = "skipped" // the address is another member's
	BindingRefused BindingState = "refused" // the address is this member's but can't be taken
)

// Binding is an address on which visitors are, or would be, answered.
type Binding struct {
	Address string       `json:"address"` // host:port
	For     string       `json:"for"`     // site file, or "edge"
	State   BindingState `json:"state"`
	Reason  string       `json:"reason,omitempty"`
}

// HealthState is what the edge thinks of a node.
type HealthState string

// The states of a node behind the edge.
const (
	HealthUnknown  HealthState = "Unknown"
	HealthHealthy  HealthState = "Healthy"
	HealthFailing  HealthState = "Failing"
	HealthStrained HealthState = "Strained"
	HealthDraining HealthState = "Draining"
)

// Node is a node behind the edge.
type Node struct {
	Member   farm.MemberID `json:"member"`
	State    HealthState   `json:"state"`
	Reason   string        `json:"reason,omitempty"`
	Active   int64         `json:"active"`              // requests under way
	Requests uint64        `json:"requests"`            // sent since the daemon started
	Failures uint64        `json:"failures"`            // of those, not answered
	AnswerMS float64       `json:"answer_ms,omitempty"` // that it is expected to take to begin an answer; 0: not known
	Out      []SiteOut     `json:"out,omitempty"`       // sites of which it gets no visitors
}

// SiteOut is a site that a node gets no visitors of.
type SiteOut struct {
	Site   string `json:"site"`  // its file, and the first name of the block
	State  string `json:"state"` // "failing": its probe says so; "ejected": its answers do
	Reason string `json:"reason,omitempty"`
}

// Health is the short answer for a monitor (GET /v1/health): 200 when OK, otherwise 503.
type Health struct {
	OK      bool     `json:"ok"`
	Reasons []string `json:"reasons"` // what is wrong, most urgent first
}
