// Package edge is the balancer: it takes a visitor's request, picks a node that is healthy and has all that this
// visitor has written or seen, and carries the request there and the answer back.
//
// # Owns
//
// The health of each node, the choice of a node, the connections to the nodes, retries, affinity, slow start, probes of
// sites, the headers that tell a node about the visitor, and the pages for "no node", "no answer" and maintenance. What
// visitors may do (guard.go, rate.go), the access log, files kept in memory (cache.go, docs/adr/0015), and the way to a node
// for connections whose TLS does not end here (pass.go).
//
// A node's health is one state machine (health.go):
//
//	               probe ok                         drain on
//	┌─────────┐ ────────────► ┌─────────┐ ─────────────────────────► ┌──────────┐
//	│ Unknown │               │ Healthy │ ◄───────────────────────── │ Draining │
//	└─────────┘               └─────────┘         drain off          └──────────┘
//	     │                     │       ▲                                 │   ▲
//	     │ session lost        │       │ 2 probes ok                     │   │
//	     │ 2 failures          ▼       │ (session up)                    │   │
//	     │                    ┌─────────┐ ◄──────────────────────────────┘   │
//	     └──────────────────► │ Failing │    session lost, 2 failures        │
//	                          └─────────┘ ───────────────────────────────────┘
//	                                         2 probes ok while drain is on
//
//	Unknown also goes to Draining at the first good probe while drain is on. Every state goes to Removed when the
//	node leaves the farm; nothing leaves Removed.
//
// A failure is a probe that failed or a connection that broke; an answer to a probe or to a visitor between two
// failures makes the count start again. Where Healthy stands, it is Strained while the node says with its answers to
// probes that something is amiss with it.
//
// Visitors are sent to Healthy nodes, else to Strained ones, else to spare ones, else to Draining ones (view.go, rank):
// to a node of a later kind only when none of an earlier kind has what the visitor wrote, or when there is none.
//
// How a site is on a node is a second machine (sitehealth.go), for sites that have a probe or a rule for their answers:
//
//	                 probe: bad, several in a row
//	┌─────────┐ ───────────────────────────────────► ┌─────────────┐
//	│ Serving │ ◄─────────────────────────────────── │ SiteFailing │
//	└─────────┘      probe: good, several in a row   └─────────────┘
//	   │   ▲                                                ▲
//	   │   │ the time is over                               │ probe: bad, several in a row
//	   │   │             ┌─────────┐                        │
//	   │   └──────────── │ Ejected │ ───────────────────────┘
//	   └───────────────► └─────────┘
//	   too many answers
//	   were failures
//
// A node that is not Serving a site gets none of its requests. When all are out, and some of them only by their answers,
// these stay in: it is the site that fails then.
//
// # Does not own
//
// Listeners, TLS and HTTP/2 towards visitors (the shell's), the way to a node (a Dialer), and freshness: the node's
// own handler checks the visitor's position again and waits, passes the request on, or answers 503. An edge that
// knows too little costs time, never a stale answer.
//
// # Invariants
//
// A request with an unsafe method is handed to at most one node: it is sent to a second one only if not one byte of
// it was handed to the first one's connection. A GET, HEAD or OPTIONS request is sent again while the visitor has
// nothing of an answer. An answer that breaks after that is continued by Range where its ETag proves that the bytes
// are the same, else the visitor's connection is cut: never a clean end of a short answer.
//
// What goes to a node is written anew from the parsed request; what comes back is parsed strictly (answer.go), and a
// connection with a byte too many is never used again.
//
// # Concurrency
//
// Every method may be called by any goroutine. Run owns one goroutine per node, which probes it. A visitor's request
// is carried by the goroutine that net/http gave it; only a body that is larger than inlineBytes, or streamed, has a
// second one. What requests read (view) is immutable and replaced as a whole.
package edge
