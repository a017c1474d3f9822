// Package acme orders certificates for the farm's hosts by ACME (RFC 8555), and renews them: once for the farm, whatever
// member or edge the authority's question reaches.
//
// # Owns
//
// Which hosts need a certificate now, which member orders it, the authority's account, answers to challenges, and when
// to try again. All of it that must outlive a member lies in one directory, which is replicated like any folder:
//
//	HOST.pem         key and chain, as in the certificate store
//	HOST.json        an attempt: who makes it since when, or how it failed and when the next may be
//	account-*.json   key and address of the account at an authority
//	challenge/       answers that are due
//
// # Does not own
//
// Which certificate is served for a host (certs), how the directory comes to be the same everywhere (replica), what
// hosts there are (web): a Farm says so.
//
// # Invariants
//
// Of the members that are up the first by name issues, the next one after a failure, so that a member without a way out
// is no dead end. Before it asks the authority for anything it claims the host in HOST.json, waits until all members that are
// up have that, and gives way if another claim won. Both halves of a parted farm may order: that costs an order, and
// the later certificate stays. A member that sees less than half of the farm waits before it does.
//
// A challenge is answered by every member: the answer is on all that are up before the authority is asked to look.
//
// A host that failed is left alone for a time that grows, whoever issues, restarts or not.
//
// # Concurrency
//
// Run is one goroutine and makes one order at a time. Answer and Certificate may be called by any number of goroutines,
// and read files that others write in one step.
package acme
