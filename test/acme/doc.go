// Package acme tests certificates by ACME with real daemons and a real authority: nodes and an edge as processes on
// loopback addresses of their own, and Let's Encrypt's Pebble, which asks whichever of them a test wants.
package acme
