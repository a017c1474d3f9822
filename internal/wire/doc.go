// Package wire is the language that members speak: protobuf messages and a gRPC service (package pb below it), and
// their conversion from and to the values of package farm.
//
// # Owns
//
// Protocol versions, the messages, every limit on what is accepted from another member, the mapping of error kinds to
// gRPC status codes.
//
// # Does not own
//
// Connections and sessions (peer), what a message means (replica, member).
//
// # Invariants
//
// Bytes from outside allocate no more than the limits below allow, whatever they are: Codec counts before protobuf
// decodes. What Decode returns obeys every limit and every rule of package farm. What Encode accepts, Decode of the
// same protocol version accepts. Bytes recorded in testdata are decoded for ever.
//
// # Concurrency
//
// All functions are pure; values may be shared once nobody changes them.
package wire
