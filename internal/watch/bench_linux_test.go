package watch_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tandem/internal/watch"
)

// BenchmarkLatency is the time from just before close to the batch in the consumer's hand.
func BenchmarkLatency(b *testing.B) {
	for _, mode := range []watch.Mode{watch.Fanotify, watch.Inotify} {
		b.Run(string(mode), func(b *testing.B) {
			root, w := benchWatcher(b, mode)
			var took []time.Duration
			for b.Loop() {
				f, err := os.OpenFile(filepath.Join(root, "d/f"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := f.WriteString("x"); err != nil {
					b.Fatal(err)
				}
				start := time.Now()
				f.Close()
				<-w.Events()
				took = append(took, time.Since(start))
			}
			report(b, took)
		})
	}
}

// BenchmarkBarrier is the time that a barrier takes to pass.
func BenchmarkBarrier(b *testing.B) {
	for _, mode := range []watch.Mode{watch.Fanotify, watch.Inotify} {
		b.Run(string(mode), func(b *testing.B) {
			_, w := benchWatcher(b, mode)
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				if _, err := w.Barrier(); err != nil {
					b.Fatal(err)
				}
				<-w.Events()
				took = append(took, time.Since(start))
			}
			report(b, took)
		})
	}
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

func benchWatcher(b *testing.B, mode watch.Mode) (string, *watch.Watcher) {
	if mode == watch.Fanotify {
		needFanotify(b)
	}
	root := b.TempDir()
	if err := os.Mkdir(filepath.Join(root, "d"), 0o755); err != nil {
		b.Fatal(err)
	}
	w, err := watch.Open(root, mode, watch.Options{Own: true})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- w.Run(b.Context()) }()
	b.Cleanup(func() { <-done }) // the context ends before
	return root, w
}
