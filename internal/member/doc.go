// Package member is the composition root: it builds a member of the farm out of all the other packages and runs it.
//
// # Owns
//
// Which part is connected to which port of which other; the order in which they start and stop; the places of files;
// making a farm (Init) and joining one (Join).
//
// # Does not own
//
// What the parts do. Nothing here decides about files, configurations or requests.
//
// # Invariants
//
// A member boots alone, from member.toml, its identity and the last good revision. Every goroutine belongs to Run's
// group; when Run returns, all have ended, the last words to the others said and the indices closed.
//
// # Concurrency
//
// Member's methods, which implement the ports of the parts, may be called by any goroutine.
package member
