//go:build !race

package index

const sample = 1 // the sweeps take every step
