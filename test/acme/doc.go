// Package acme tests certificates with real daemons and authorities: nodes and an edge as processes on loopback addresses
// of their own, Let's Encrypt's Pebble, which asks whichever of them a test wants, and an OCSP responder.
package acme
