// Package config holds the configuration of a farm as values: what farm.toml, member.toml and the site files say, and
// the revisions that carry them from member to member.
//
// # Owns
//
// The schema of farm.toml and member.toml, with strict decoding that reports every fault at once with its position;
// defaults and validation; the placeholders in site files; edits of farm.toml that keep the admin's comments; the
// encoding of a revision, its digest, the heads of a history, and the merge of concurrent revisions.
//
// # Does not own
//
// Files on disk, and when they are read (reload). The language of the site files (web): here they are text, except for
// Tandem's own placeholders. The certificate store, which is a replicated folder.
//
// # Invariants
//
// Decoding a revision and encoding it again gives the same bytes, so that its digest names it. A merge depends on the
// set of revisions alone: every member that has them makes the same bytes. What Parse accepts has no fault that is not
// a warning. A fault's position is that of the key or value that it is about.
//
// # Concurrency
//
// Pure functions on values. A Config and a Revision are immutable once they are returned; whoever holds one must not
// write to its maps, slices and file contents.
package config
