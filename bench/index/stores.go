package main

import (
	"fmt"
	"path/filepath"
)

// row is one record as a store sees it: an opaque key, whose order matters, and an opaque value.
type row struct{ key, value []byte }

// store is what the index needs of a store.
type store interface {
	commit(rows []row) error // atomic; durability is what the variant promises
	sync() error             // all that was committed survives a power cut
	get(key []byte) ([]byte, error)
	scan(visit func(key, value []byte)) error
	close() error
}

// variants are the stores under test. "os" in a name means: commit hands the bytes to the system and does not wait for
// the disk; "buffered": commit may leave them in the process; "disk": commit waits for the disk.
var variants = []struct {
	name string
	open func(dir string) (store, error)
}{
	{"pebble-buffered", func(dir string) (store, error) { return openPebble(dir, pebbleBuffered) }},
	{"pebble-os", func(dir string) (store, error) { return openPebble(dir, pebbleOS) }},
	{"pebble-disk", func(dir string) (store, error) { return openPebble(dir, pebbleDisk) }},
	{"bbolt-os", func(dir string) (store, error) { return openBolt(dir, true) }},
	{"bbolt-disk", func(dir string) (store, error) { return openBolt(dir, false) }},
	{"modernc-os", func(dir string) (store, error) { return openModernc(dir, "NORMAL") }},
	{"modernc-disk", func(dir string) (store, error) { return openModernc(dir, "FULL") }},
	{"ncruces-os", func(dir string) (store, error) { return openNcruces(dir, "NORMAL") }},
	{"ncruces-disk", func(dir string) (store, error) { return openNcruces(dir, "FULL") }},
}

func open(variant, dir string) (store, error) {
	for _, v := range variants {
		if v.name == variant {
			return v.open(filepath.Clean(dir))
		}
	}
	return nil, fmt.Errorf("no store %q", variant)
}
