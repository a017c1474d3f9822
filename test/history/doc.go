// Package history judges what visitors saw of a farm, after the fact.
//
// # Owns
//
// The record of requests, and the rules: read your writes, monotonic reads, nothing lost that was answered, no write
// that happens twice, no reading that fails.
//
// # Does not own
//
// Sending requests, hurting the farm, looking at its disks: tests do that, and give what they saw to Judge.
//
// # The model
//
// A key is a file that one session alone writes, and anybody reads. Each write has a value of its own, and its number: the first
// write of a key is 1, and 0 is that the file does not exist. Since its session waits for each answer, the numbers are
// the order in which the writes were asked for. What is read is a number too; so each promise is a comparison.
//
// A write whose answer did not come, or says that nobody knows, may show or not, from then on. It must not come back
// after a later one was seen.
//
// # Concurrency
//
// A Log may be added to by any goroutine. Judge is a function of values.
package history
