// Package replica is the engine of one replicated folder on one member.
//
// # Owns
//
// Machine, which decides: what an application did becomes a version and is pushed; what others wrote is merged and
// installed; what is visible, durable and known is accounted in vectors. Runner, which executes what Machine decides
// through the ports in ports.go and gives it the answers.
//
// # Does not own
//
// What two versions mean together (reconcile); how the disk is looked at (scan) or changed (install); where records are
// kept (index); how messages travel (peer). It imports none of them.
//
// # The life of a path
//
// A path at rest has no work. Otherwise:
//
//	              dirty                          Observed
//	(at rest) ------------> examining ------------------------+
//	    |                      ^                              v
//	    |  Arrived             | dirty again, Changed       settle ---- as it should be ----> (at rest)
//	    +----------------------|-----------------------------> |
//	                           +---- installing <--------------+---> forParent    the parent is no directory yet
//	                                                           +---> forChildren  a directory's children come first
//	                                                           +---> forRetry     unreadable, being written, no source
//
// settle is the only place where the next step is decided.
//
// # Invariants
//
// A version is committed before it is sent. Its vector is the context of what was on disk when the application wrote, so
// a version that has been heard of and is not installed yet does not count as seen. A member's versions of one path
// descend from each other. Known covers a position only when the change at it, or one that descends from it, is in the
// catalogue; applied covers it only when that is visible on disk; durable only when it survives a power cut.
//
// Feeds are caught up by state: Want carries what the asker knows, the answer is all entries whose dot that does not
// cover, then Had. Live changes are pushed as they are made. A gap shows in the numbers, or in a heartbeat that claims
// more than was told, and leads to a Want.
//
// # Renamed directories
//
// Moved (a hint, from here) and ArrivedMove (from a peer) are dealt with one at a time; see move.go:
//
//	Moved ------> waiting --> Compare --> Compared --> written down, pushed
//	ArrivedMove -> waiting --> Shift ----> Shifted ---> written down
//	                  |           |           |
//	                  +-----------+-----------+-------> abandoned: looked at, or asked for, change by change
//
// What else comes for their two trees meanwhile waits behind them.
//
// # Concurrency
//
// Machine belongs to Runner.Run's goroutine and reads no clock. Workers examine and install; per path at most one of
// them is out at a time.
package replica
