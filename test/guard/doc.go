// Package guard tests what visitors may do to the balancer's fronts and through them to the nodes: malformed and
// ambiguous requests, slow and greedy connections, and every protocol that the edge carries, with real servers and clients.
package guard
