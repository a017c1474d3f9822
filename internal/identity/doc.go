// Package identity is who a member is and whom it trusts: the farm's certificate authority, member certificates,
// invite tokens and the TLS configurations made of them.
//
// # Owns
//
// The identity directory: ca.pem (the farm), ca.key (only on members that may issue certificates), member.pem and
// member.key. The invite store. The decision whether a certificate belongs to a member of this farm, with the reason
// when it does not.
//
// # Does not own
//
// Connections (peer), the list of members and their keys (config; it comes in through Keys), certificates for
// visitors from the certificate store (web, edge).
//
// # Invariants
//
// A key is never readable by others than its owner: files are 0600, directories 0700, and a looser file is refused.
// Files are replaced atomically and are durable before a function returns. A member is trusted if its certificate
// chains to the farm's CA, is valid now, names the member, and has the key that the current configuration lists for
// that name; the list is asked in every handshake, so that a removal acts at once. An invite is redeemed at most
// once, whatever crashes: it is marked before Redeem returns. Only a hash of its secret is stored.
//
// # Concurrency
//
// Identity and Invites may be used by any number of goroutines.
package identity
