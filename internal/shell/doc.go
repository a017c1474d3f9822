// Package shell is the door to the outside: the sockets on which visitors come in, and the one embedded Caddy instance
// through which the requests of sites pass. Those of the balancer don't (Front.Direct): it costs a tenth of a request.
//
// # Owns
//
// Listening sockets, who may connect (door.go), which connections are passed on before their TLS begins (pass.go), TLS,
// HTTP/1.1, HTTP/2 and HTTP/3, time-outs against slow clients, draining. The Caddy instance:
// its registration, its configuration, its log, and the context in which web loads a site's modules.
//
// # Does not own
//
// What is served (handlers come with each front), certificates (a function gives them), the farm's mTLS port (peer).
// No request ever goes out from here: no ACME, no OCSP, no admin endpoint, no file in anybody's home directory.
//
// # Invariants
//
// Caddy is loaded once and never again, because a reload of Caddy closes every idle connection and is all or nothing.
// It is given no listeners: each front has a socket and an http.Server of its own, and Caddy's request pipeline is the
// handler of those that are not Direct. Hence:
//
//   - a changed handler is swapped for the next request, also on connections that are open;
//   - a front that is added or removed touches no connection of another, idle or busy;
//   - an address that can't be listened on is reported and retried, and refuses no other;
//   - a removed front (or one whose TLS option changed) accepts nothing more at once, closes its idle connections, lets
//     requests in flight finish and closes what is left after DrainTime.
//
// # Concurrency
//
// A Shell may be used by any number of goroutines; Apply and Close run one at a time. New starts nothing. Apply starts
// one goroutine per front, which ends by the time Close returns. Run retries what could not be listened on, and blocks.
package shell
