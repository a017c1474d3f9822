module tandem/bench/floor

go 1.26.0

require (
	github.com/zeebo/blake3 v0.2.4
	golang.org/x/sys v0.50.0
)

require github.com/klauspost/cpuid/v2 v2.4.0 // indirect
