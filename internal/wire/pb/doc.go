// Package pb is generated from tandem.proto: the bytes that travel between members. See package wire.
//
// # Owns
//
// The generated messages and the gRPC service.
//
// # Does not own
//
// Any meaning or limit; package wire turns these messages into values and back.
//
// # Invariants
//
// Field numbers are never used again for something else.
//
// # Concurrency
//
// A message may be read by any number of goroutines once nobody changes it.
package pb

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative tandem.proto
