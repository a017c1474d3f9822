// Package reconcile decides what a path should be, given all that is known of it.
//
// # Owns
//
// Two functions on values. Merge adds a version to the causally maximal versions of a path. Decide says what those
// versions together mean: what should be on disk, and which contents nobody will find there any more.
//
// # Does not own
//
// When to decide, and what to do about it (replica); bytes (install).
//
// # Invariants
//
// Merge is commutative, associative and idempotent, and Decide is a function of the merged set alone. So all members
// that have heard of the same versions decide the same, whatever the order in which they heard of them.
//
// A version that descends from another replaces it. Between versions of which neither descends from the other: what
// lives beats a deletion, a directory beats what is not one, then the later hybrid logical time wins, then the member
// with the greater name. Content and attributes are decided apart, so that a change of mode on one member and an edit
// on another both survive. A change of attributes alone keeps nothing alive: where another's writer had the content
// before its eyes and deleted or replaced it, the content is out, because it may be on no disk any more.
//
// A content is lost when the winner's writer never had it before its eyes. It is said by name (Version.Lost), because a
// version vector covers it like any other write.
//
// # Concurrency
//
// Pure functions. Shapiro et al., "Conflict-free replicated data types", 2011; Preguiça et al., "Dotted version
// vectors", 2010.
package reconcile
