// Package demo runs a whole farm on one machine: two nodes and an edge as processes of their own, each with its own
// directory and loopback address, joined by real tokens, serving a gallery whose application writes files.
//
// # Owns
//
// The demo's addresses and files, its processes from start to end, and what it prints.
//
// # Does not own
//
// Anything of the farm: it uses the commands and the control API that an admin would.
//
// # Invariants
//
// When Run returns, no process of the demo lives, and no file is left unless a directory was asked for. If the demo itself
// is killed, its processes die with it (on Linux by the kernel's hand).
//
// # Concurrency
//
// Run owns all; one goroutine per member follows its events, and one prints.
package demo
