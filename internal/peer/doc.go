// Package peer holds the sessions with the other members of the farm.
//
// # Owns
//
// The one port between members, who may come in, dialling and redialling, the one live session per pair, its
// heartbeats, queues and limits; content fetched from and served to others; the door where new members knock; the
// connections on which edges send visitors' requests to nodes. Net is an in-memory network for the same hubs.
//
// # Does not own
//
// What a message means or when it is sent (replica, member), who is a member (config, through SetMembers), trust
// (identity), the bytes of a message (wire).
//
// # Invariants
//
// At most one session per pair is live. Messages of one folder arrive in the order in which they were sent, or not
// at all; what was dropped because a queue was full shows as a gap in the sequence numbers of the feed. Up comes before
// the first Receive of a session and Down after its last; a member is never Up twice without Down between. A removed
// member's connections are closed before SetMembers returns.
//
// A link to another member is always in one of these states:
//
//	           dial                 connected, no           both said Hello
//	Connecting ----> (TCP and TLS) ---other session---> Greeting -----------> Live
//	    ^  |                                               |                   |
//	    |  +-- can't be reached --> Lost <-- no answer ----+--- silent, gone --+
//	    |  +-- certificate -------> Refused <-- "denied" --+
//	    +------ after a pause of 50 ms to 2 s, or at once when the other dials, or when the members change
//
// Both sides may dial. Who has the smaller name decides: it refuses an incoming session while its own is Greeting or
// Live; the larger gives up its own for an incoming one. Where a session is live already, it is asked for a sign of
// life first (a beat that answers a new one): if it gives one, the new session is refused, and if its Hello came from
// another start of the program, two members use one name.
//
// # Concurrency
//
// All methods of Hub may be called by any goroutine. The methods of Handler are called by one goroutine per member,
// one after the other; while Receive blocks, the sender is held back by flow control.
package peer
