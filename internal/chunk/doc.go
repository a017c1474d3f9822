// Package chunk cuts content into chunks where the content says so, names them by digest, and finds out what of a wanted
// content can be had from others that share chunks with it.
//
// # Owns
//
// Where chunks end; the digest of a chunk; the recipe of a content and its encodings, whole and against the recipe of
// another version; the marks by which similar contents are found; the plan that says where each part of a wanted content
// is to be had.
//
// # Does not own
//
// Reading, writing, sending, keeping: it opens no file. The digest of the whole content, which decides in the end whether
// what was put together is right.
//
// # Invariants
//
// The same content gives the same recipe, however it is handed over. A recipe's chunks follow each other without a gap
// from offset 0. What is decoded is bounded: chunks by number and size, the content by size. A change of the way in which
// content is cut costs transfers and never correctness: chunks are compared by digest.
//
// # Concurrency
//
// All is pure; a Maker belongs to one goroutine at a time.
package chunk
