// Package sim runs farms of two to four real replication engines in one goroutine: virtual network, clock and disks, one
// seed, applications that write, and an oracle that knows what must not get lost.
//
// # Owns
//
// The world (events in virtual time), the wires between members, the applications' random programs, the faults
// (partitions, lost pushes, lost notifications, kill -9, power cuts, writes between two system calls of an install) and
// the invariants that are checked at the end: I1, I2, I4 to I6, I10 and I12 of the scenarios.
//
// # Does not own
//
// Any logic of the product. It runs replica.Machine over scan and install as they are, on vfs.Mem.
//
// # Invariants
//
// The same seed gives the same trace, byte for byte. Each value that an application writes is unique.
//
// # Concurrency
//
// None: everything happens in the goroutine that calls Run.
package sim
