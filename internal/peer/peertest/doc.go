// Package peertest is the contract of peer.Hub as a list of tests that every network under it must pass.
//
// # Owns
//
// The suite, and a Handler that records what it is told and checks that it is told in order.
//
// # Does not own
//
// The hubs: a World makes them.
//
// # Invariants
//
// No test sleeps: it waits until a condition holds, or fails after Patience.
//
// # Concurrency
//
// A Recorder may be read while hubs call it.
package peertest
