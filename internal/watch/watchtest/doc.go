// Package watchtest is the list of what every way to watch must notice.
//
// # Owns
//
// The contract suite of watch.Watcher, and Rig, which drives a Watcher in tests.
//
// # Does not own
//
// Tests of one way only: they stand beside its code.
//
// # Invariants
//
// No test waits for time to pass: each ends its changes with a barrier and looks at what came before it.
//
// # Concurrency
//
// A Rig belongs to the test's goroutine.
package watchtest
