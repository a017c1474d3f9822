//go:build race

package index

// sample: the race detector makes SQLite some eight times slower, so the sweeps take every fourth step only.
const sample = 4
