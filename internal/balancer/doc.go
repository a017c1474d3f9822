// Package balancer writes the configuration of programs that stand before the farm: HAProxy and nginx in place of an edge,
// and keepalived, which moves an address between edges.
//
// # Owns
//
// What such a program must know of the farm, and how it is said in its language.
//
// # Does not own
//
// Where the facts come from (the control API), and where the text goes.
//
// # Invariants
//
// Only a request with a safe method, or one that no node has seen, is ever sent a second time. What a visitor says about
// their own address is thrown away. The scheme that the visitor used is the one in which the node is asked.
// The same farm gives the same text.
//
// # Concurrency
//
// Functions of values: they open nothing and start nothing.
package balancer
