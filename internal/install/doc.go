// Package install keeps the tree of one folder: it brings paths to the state that the farm has agreed on without ever
// losing bytes that an application wrote, keeps what lost a conflict, and serves content to the other members.
//
// # Owns
//
// The staging directory and the preserved files of the folder's private area; the decision whether the disk is what a
// plan expects it to be.
//
// # Does not own
//
// What should be at a path (replica decides), what is there when nobody asked (scan), the index. It fetches nothing by
// itself: content that is not on this disk comes from a Source.
//
// # Invariants
//
// A path that exists before and after a plan opens, whole, at every moment between: a file gets all content and
// attributes before it gets its name, and takes another's place by exchange.
//
// What an exchange or a removal took out of the tree is looked at afterwards. Is it not what the plan expected, somebody
// was faster: it goes back and the plan ends as Changed; if the name was taken meanwhile, it is preserved.
//
// What was taken out is thrown away only when nobody has it open for writing and it still is what was expected: by
// digest when it is small or in doubt, by inode, size and time otherwise. Until then it stays in staging (Sweep).
//
// Every exchange and removal is preceded by an intent in a log, so that after a kill at any instruction Recover can end
// what was begun: the old or the new state, nothing lost, staging empty. The log is not synced; after a power cut what
// it does not explain is preserved.
//
// The one write that can pass unseen: into a file larger than verifyBytes, in the microseconds between the last look
// and the exchange, with size and time put back to what they were.
//
// # Concurrency
//
// A Keeper may be used by any number of goroutines, with at most one plan per path at a time. It starts none. Recover
// comes before all else; Sweep is called about once a second.
package install
