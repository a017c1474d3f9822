package farm

import "time"

// EventID names a kind of event for ever: scripts and alerts are written against it.
type EventID string

// Severity says how much an event wants attention.
type Severity string

const (
	Info    Severity = "info"
	Warning Severity = "warning"
	Fault   Severity = "fault"
	Healed  Severity = "healed" // a fault of the same id and subject is over
)

// Event ids, by the package that raises them.
const (
	EventMemberUp      EventID = "member.up"      // a session with the member is established
	EventMemberDown    EventID = "member.down"    // the session with the member is lost
	EventMemberRefused EventID = "member.refused" // a certificate that is not of this farm, or revoked
	EventTokenRefused  EventID = "token.refused"  // a wrong, used or expired invite token
	EventMemberJoined  EventID = "member.joined"  // a token was redeemed
	EventMemberVersion EventID = "member.version" // a member speaks no protocol that this one speaks
	EventMemberRenewed EventID = "member.renewed" // this member's certificate was renewed, or could not be
	EventMemberTwin    EventID = "member.twin"    // two live members use one name
	EventFrameRefused  EventID = "frame.refused"  // a message of a member does not obey the limits

	EventFileSent      EventID = "file.sent"      // a local change was versioned and pushed
	EventFileInstalled EventID = "file.installed" // a remote change became visible here
	EventFileConflict  EventID = "file.conflict"  // two concurrent versions; the loser is preserved
	EventFilePreserved EventID = "file.preserved" // bytes were kept outside the tree
	EventFileBlocked   EventID = "file.blocked"   // a path can't be installed or read
	EventFileUndone    EventID = "file.undone"    // a change on a node that only reads was undone
	EventFileDropped   EventID = "file.dropped"   // a preserved file was removed to make room for newer ones

	EventFolderOverflow  EventID = "folder.overflow"  // notifications were lost; a scan follows
	EventFolderUnkept    EventID = "folder.unkept"    // something of the tree can't be represented here, or is not replicated
	EventFolderUnwatched EventID = "folder.unwatched" // watches ran out; a part of the folder is polled
	EventFileTorn        EventID = "file.torn"        // a power cut left something else than was written
	EventFolderFull      EventID = "folder.full"      // files wait for space on the disk
	EventFolderBehind    EventID = "folder.behind"    // too many paths wait: further changes are fetched later
	EventFolderHalted    EventID = "folder.halted"    // the root is gone or not the one expected; nothing is done
	EventFolderPaused    EventID = "folder.paused"    // a person paused it, or let it go on
	EventFolderBraked    EventID = "folder.braked"    // a scan found too much deleted; nothing of it is deleted elsewhere
	EventFolderCheck     EventID = "folder.check"     // the folder's check command refuses changes
	EventFolderApply     EventID = "folder.apply"     // the folder's apply command was run
	EventFolderSeeded    EventID = "folder.seeded"    // a folder that is new here has been brought to the farm's state
	EventFolderEvicted   EventID = "folder.evicted"   // a member was away too long and is not waited for; or it was this one
	EventFolderProgress  EventID = "folder.progress"  // how far a long seeding, catching up or scan is
	EventFolderEpoch     EventID = "folder.epoch"     // the index was new, lost or set back
	EventClockSkew       EventID = "clock.skew"       // a member's clock is far from ours

	EventConfigLive      EventID = "config.live"      // a revision is live on this member
	EventConfigRefused   EventID = "config.refused"   // what was typed does not check; the old revision goes on
	EventConfigMerged    EventID = "config.merged"    // concurrent edits became one revision
	EventConfigConflict  EventID = "config.conflict"  // the same file was edited on two members; the later wins
	EventConfigCanary    EventID = "config.canary"    // a revision is tried on one member; passed, or was taken back
	EventRevisionCorrupt EventID = "revision.corrupt" // a file in the folder .farm holds no revision
	EventSiteRefused     EventID = "site.refused"     // one site does not compile here; the others are live
	EventBindingFailed   EventID = "binding.failed"   // an address can't be listened on now; it is retried
	EventCertRefused     EventID = "cert.refused"     // a certificate in the store can't be used
	EventACMEIssued      EventID = "acme.issued"      // a certificate was ordered or renewed
	EventACMEFailed      EventID = "acme.failed"      // that failed; it is tried again
	EventCertExpiring    EventID = "cert.expiring"    // a certificate that is served ends soon, or has ended

	EventWriteUnconfirmed EventID = "write.unconfirmed" // what visitors write is not on as many nodes as the site asks for

	EventNodeUp   EventID = "node.up"   // the edge sends visitors to the node
	EventNodeDown EventID = "node.down" // the edge sends no visitors to the node

	EventSiteDown    EventID = "site.down"    // the edge sends no visitors of a site to a node, for its probe
	EventSiteEjected EventID = "site.ejected" // the same for a while, for its answers

	EventDrain       EventID = "member.drain" // a person said that it should take no new visitors, or take them again
	EventEdgeCrowded EventID = "edge.crowded" // there are as many connections as there may be, or the access log can't keep up

	EventStarted EventID = "member.started"
	EventStopped EventID = "member.stopped"

	EventJournalMissed EventID = "journal.missed" // a follower was too slow; its stream leaves events out
)

// Event is a change of state that somebody may want to know.
type Event struct {
	ID       EventID           `json:"id"`
	Time     time.Time         `json:"time"`
	Severity Severity          `json:"severity"`
	Member   MemberID          `json:"member"`           // who raised it
	Subject  string            `json:"subject"`          // member, path, file or address that it is about
	Folder   FolderID          `json:"folder,omitempty"` // when it is about a folder
	Message  string            `json:"message"`          // what happened, lower case, no full stop
	Next     string            `json:"next,omitempty"`   // what to do about it
	Fields   map[string]string `json:"fields,omitempty"` // stable keys per id, documented in docs/events.md
}

// Sink takes events. It never blocks for long and may be called by any goroutine. Who raises an event fills all but
// Time and Member.
type Sink func(Event)
