// Package control lets people and programs look at a running member and ask things of it.
//
// # Owns
//
// The control API (HTTP and JSON on a unix socket) and its client, the JSON types that the API and `tandem --json`
// speak, the event journal with its view of open faults, and the metrics.
//
// # Does not own
//
// What is reported or done: a Backend, which package member implements, knows the folders, the configuration and the
// other members. How it looks in a terminal: cmd/tandem.
//
// # Invariants
//
// Whoever may open the socket may do everything: it has mode 0600 from its first moment, and stands under its name only
// while the server lives. An error crosses the API with operation, subject, kind and next step, so that a command ends
// with the same exit code as if it had failed in the daemon. Event sequence numbers grow for ever, across restarts too;
// they may have gaps. Whoever follows the journal gets every event or is told how many were left out. Nothing that a
// client sends is read without a limit, and no slow client holds up the journal.
//
// # Concurrency
//
// Server.Run and Journal.Run block until their context ends and own all goroutines. Journal.Sink, Client and all else
// may be called by any number of goroutines. Backend is called by several goroutines at once.
package control
