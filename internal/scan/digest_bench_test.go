package scan

import (
	"fmt"
	"testing"
)

func BenchmarkDigest(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
		content := make([]byte, size)
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				digestOf(content)
			}
		})
	}
}
