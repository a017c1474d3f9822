// Package farm holds the nouns of Tandem as values.
//
// # Owns
//
// Member, folder and path names; digests; positions, version vectors and hybrid logical time; entries, changes and
// index records; what scan reports (Observation) and what install is asked to do (Plan, Outcome); events and errors.
//
// # Does not own
//
// Any decision, input or output. Nothing here opens a file, starts a goroutine or reads a clock.
//
// # Invariants
//
// Every value is immutable once it is shared. A Path never holds "..", an empty component or a NUL. A Vector is
// sorted by actor and has one sequence per actor.
//
// # Concurrency
//
// Values may be read by any number of goroutines. Clock alone has state and belongs to one goroutine.
package farm
