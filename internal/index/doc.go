// Package index keeps the durable catalogue of one folder: a farm.Record per path and one farm.Meta.
//
// # Owns
//
// The directory of the index: the SQLite database index.db (see docs/adr/0001-index-store.md), its write-ahead log, the
// lock, and the stores that Reset set aside. The versioned binary form of records and meta.
//
// # Does not own
//
// Any decision: it assigns no version and knows no causality. When to commit, when to sync and what to do about a
// corrupt store is the caller's.
//
// # Invariants
//
// A batch is in the index whole or not at all, whatever happens. Once Commit has returned, the batch survives the end of
// the process by any means; once a Sync that began later has returned, it survives a power cut. After a power cut the
// index holds a prefix of the batches. A reader sees a prefix of the batches, never a part of one. A byte that the disk
// returns wrong is noticed (every page has a checksum) and reported as farm.Corrupt, never taken for a record.
// Values written by an older version of this package are read for ever.
//
// Bounded: the log by logLimitBytes, unless a reader holds an old snapshot longer; memory by cacheKiB per connection,
// and idle connections by maxIdleReaders.
//
// # Concurrency
//
// All methods may be called by any number of goroutines. Commits are made one after the other. Readers block neither
// commits nor each other and see the snapshot of their beginning. Sync blocks no commit. Nothing runs in the background.
package index
