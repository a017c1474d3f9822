// Package sim runs farms of two to five real replication engines in one goroutine: virtual network, clock and disks, one
// seed, applications that write, and an oracle that knows what must not get lost.
//
// # Owns
//
// The world (events in virtual time), the wires between members, the applications' random programs (operations.go), the
// faults (troubles.go, and fault in node.go for what comes between two system calls), and the invariants that are checked at
// the end and on the way (oracle.go).
//
// Three families of runs are drawn from a seed: Mix, with the few operations and faults of the first days, Wide, with all
// of them, and Steered, in which people pause, filter and protect folders besides (steer.go). To add an operation of applications, add a line to operations: what it writes, replaces or removes it tells the
// oracle (wrote, replaced), and the paths the watcher (notice). To add a fault, add a line to troubles and a field to Options
// that turns it on, and set that in Wide; what it leaves behind, settle ends. To add an invariant, add a check to oracle.check
// or a hook where it can be seen, and a sabotage to TestOracleSeesFaults that breaks it.
//
// # Does not own
//
// Any logic of the product. It runs replica.Machine over scan and install as they are, on vfs.Mem.
//
// # Invariants
//
// The same seed gives the same trace, byte for byte. Each value that an application writes is unique.
//
// Not modelled: a member's clock that goes back while it runs (timers go by the monotonic clock, which made-up times don't
// have), two members that forget at the same time, and two with one id, which refuse each other before they get
// here.
//
// # Concurrency
//
// None: everything happens in the goroutine that calls Run.
package sim
