// Package client tells who a request comes from.
//
// # Owns
//
// What of X-Forwarded-For, X-Forwarded-Proto and Forwarded is believed, and from whom.
//
// # Does not own
//
// The PROXY protocol, which is about connections (shell), and what is done with the address.
//
// # Invariants
//
// Only what a trusted proxy has seen itself counts: nothing that a visitor sends can make it seem to come from elsewhere.
//
// # Concurrency
//
// Functions of their arguments.
package client
