package wire

import (
	"time"

	"tandem/internal/farm"
)

// Protocol versions that this program speaks. Two members use the highest that both know.
const (
	ProtocolMin = 1
	ProtocolMax = 2
)

// Limits on what travels. A frame is one message of a session; a list is any list in it.
const (
	MaxFrameBytes     = 4 << 20
	MaxEntries        = 1024      // changes per frame
	MaxList           = 1024      // elements of any list: vector, actors of a frame, folders, sites, faults
	MaxFramePositions = 256 << 10 // in all vectors of a frame together
	MaxMoved          = 16 << 20  // entries of a directory that is renamed in one message

	MaxTextBytes     = 4096      // version, fault, reason
	MaxOwnerBytes    = 255       // name of a user or group
	MaxSiteNameBytes = 255       // name of a site file
	MaxAddressBytes  = 255       // host:port
	MaxTokenBytes    = 64        // id and secret of a token, each
	MaxMethodBytes   = 64        // name of a call
	MaxBodyBytes     = 2 << 20   // of a call or its answer
	MaxCertBytes     = 64 << 10  // a certificate, key or request
	MaxRevisionBytes = 3 << 20   // farm configuration handed to a new member
	ChunkBytes       = 256 << 10 // content per chunk of a fetch
	MaxRangeBytes    = 64 << 20  // content asked for in one piece, unless it is asked for to its end
	MaxRecipeBytes   = 32 << 20  // of a content
)

// Message is what a frame holds: Hello, Beat, State, Heard, Changes, Move, Want or Have.
type Message interface{ message() }

// Hello is the first message of either side of a session.
type Hello struct {
	Name                     farm.MemberID
	ProtocolMin, ProtocolMax uint32
	Version                  string // of the program
	Farm                     string // fingerprint of its CA
	Now                      time.Time
	Boot                     uint64 // random, drawn at every start of the program: tells a member from its twin
}

// Beat says "still here". It answers the latest beat received, which gives the round trip time without a frame of
// its own: now - sent(Echo) - Held.
type Beat struct {
	Number uint64
	Echo   uint64        // number of the latest beat received; 0: none yet
	Held   time.Duration // since that was received
	Now    time.Time     // wall clock of the sender
}

// State is what a member says of itself.
type State struct{ farm.MemberState }

// Heard is what another member has said of itself, passed on to one who can't hear it. It takes CanRelay.
type Heard struct{ farm.MemberState }

// Changes are changes of one folder, in the order in which they are to be taken.
type Changes struct {
	Folder farm.FolderID
	List   []farm.Change
}

// Move is a directory that was renamed. It takes CanMove.
type Move struct {
	Folder farm.FolderID
	farm.Move
}

// Want asks for all changes of the folder that Known does not include.
type Want struct {
	Folder farm.FolderID
	Known  farm.Vector
	Bare   bool // without content: the asker has most of it
}

// Have ends the answer to a Want: the asker now has been sent all that Known includes.
type Have struct {
	Folder farm.FolderID
	Known  farm.Vector
}

func (Hello) message()   {}
func (Beat) message()    {}
func (State) message()   {}
func (Heard) message()   {}
func (Changes) message() {}
func (Move) message()    {}
func (Want) message()    {}
func (Have) message()    {}

// Agree is the protocol version that two sides use. Error farm.Unsupported if they have none in common.
func Agree(a, b Hello) (uint32, error) {
	v := min(a.ProtocolMax, b.ProtocolMax)
	if v < max(a.ProtocolMin, b.ProtocolMin) {
		e := farm.Errorf("greet", string(b.Name), farm.Unsupported, "it speaks protocol %d to %d, we speak %d to %d",
			b.ProtocolMin, b.ProtocolMax, a.ProtocolMin, a.ProtocolMax)
		e.Next = "run versions of tandem that are no more than one release apart"
		return 0, e
	}
	return v, nil
}

// Sizes used by Size, in bytes: upper bounds of what protobuf makes of them.
const (
	entryOverheadBytes = 192
	positionBytes      = 16 // so that MaxFramePositions of them fill a frame
)

// Size is an upper bound of the bytes that the change takes in a frame.
func Size(c *farm.Change) int {
	e := &c.Entry
	return entryOverheadBytes + len(e.Path.String()) + len(e.Target) + len(e.Owner.User) + len(e.Owner.Group) +
		len(c.Content) + len(e.XAttrs.Encoded()) + positionBytes*(e.Version.Vector.Len()+len(e.Version.Lost))
}
