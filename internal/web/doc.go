// Package web serves the farm's sites on a node.
//
// # Owns
//
// Site files turned into handlers: each sites/*.caddy is adapted by Caddy's own Caddyfile adapter, and its modules are
// loaded in one caddy.Context per site. The router from host names to sites. Access logs. The directives
// read_your_writes and confirm.
//
// # Does not own
//
// Sockets and TLS (shell); which requests come from an edge (who mounts Trusted behind the farm's mTLS); the balancer
// (edge); when a configuration is tried and goes live (reload); how writes travel (replica, behind Consistency).
//
// # Invariants
//
// A site file that can't be used refuses only itself, with file and line. A site whose expanded source did not change
// keeps its context, its connections and its counters over revisions. A request is served by one revision from its
// first byte to its last: a site that was replaced is unloaded when its last request is through. Which site answers is
// looked up in constant time, however many there are.
//
// Handlers see the visitor, never the edge: before a site is entered, address and scheme of the request are those of
// the visitor, and no forwarding header of a client is left. Nothing below a directory called .tandem is ever served.
//
// A GET request for a file that is on its way here waits a moment, and then is answered by a member that has the file.
//
// With read_your_writes, an answer contains everything that the visitor has written, or it is fetched from a member that has
// it, or it is a 503; and all that the visitor has seen, or it says that nobody who is up has it (docs/adr/0013). The answer to an
// unsafe request leaves after the barrier; with confirm, when other nodes have what it wrote.
//
// # Concurrency
//
// All exported methods may be called by any number of goroutines; Prepare and what it returns are used one at a time.
// Nothing here starts a goroutine that outlives the call, but Caddy modules of a site may, until the site is unloaded.
package web
