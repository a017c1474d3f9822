// Command edge measures what a request costs Tandem's edge, beside nginx, HAProxy and Caddy in one run.
//
//	cd bench/edge && go build -o edge-bench . && ./edge-bench -tandem /path/to/tandem -caddy /path/to/caddy
//
// A demo farm of two nodes serves the same files to all four. The server under test runs alone on the first core; nodes and
// load are on the others. Its cost is the time of user and system of all its processes, divided by the requests that were
// answered. It needs Linux, taskset, nginx and haproxy; a peer that is missing is left out.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// workload is one way to ask.
type workload struct {
	name string
	path string
	kind kind
	rate int // requests a second over all connections; 0: as many as go
}

var workloads = []workload{
	{name: "HTTP/1.1 1 KB", path: "/1k", kind: plain},
	{name: "HTTP/1.1 10 KB", path: "/10k", kind: plain},
	{name: "HTTP/1.1 100 KB", path: "/100k", kind: plain},
	{name: "TLS 1 KB", path: "/1k", kind: secure},
	{name: "TLS 100 KB", path: "/100k", kind: secure},
	{name: "new TLS connection", path: "/1k", kind: fresh},
	{name: "HTTP/2 1 KB", path: "/1k", kind: h2},
	{name: "paced", path: "/1k", kind: plain, rate: 1000},
}

func main() {
	var o options
	flag.StringVar(&o.tandem, "tandem", "tandem", "the program under test")
	flag.StringVar(&o.caddy, "caddy", "caddy", "Caddy's program")
	flag.DurationVar(&o.time, "time", 4*time.Second, "of each figure")
	flag.IntVar(&o.conns, "conns", 32, "connections of visitors")
	flag.IntVar(&o.rounds, "rounds", 3, "of each figure; the median counts")
	only := flag.String("only", "", "servers, comma-separated; all when empty")
	work := flag.String("work", "", "workloads whose names contain one of these, comma-separated; all when empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, *only, *work); err != nil {
		fmt.Fprintln(os.Stderr, "edge:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	tandem, caddy string
	time          time.Duration
	conns, rounds int
}

func run(ctx context.Context, o options, only, work string) error {
	dir, err := os.MkdirTemp("", "edge-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	farm, err := startFarm(ctx, o.tandem, filepath.Join(dir, "farm"))
	if err != nil {
		return fmt.Errorf("start the farm: %w", err)
	}
	defer farm.stop()
	peers, err := startPeers(dir, o.caddy)
	defer func() {
		for _, s := range peers {
			s.stop()
		}
	}()
	if err != nil {
		return err
	}
	table := newTable(append([]*server{farm.edge}, peers...), only)
	for _, w := range workloads {
		if work != "" && !slices.ContainsFunc(strings.Split(work, ","), func(s string) bool { return strings.Contains(w.name, s) }) {
			continue
		}
		if err := table.measure(ctx, o, w); err != nil {
			return err
		}
	}
	return nil
}

// table prints a row per workload as it comes.
type table struct{ servers []*server }

func newTable(servers []*server, only string) *table {
	if only != "" {
		servers = slices.DeleteFunc(servers, func(s *server) bool { return !slices.Contains(strings.Split(only, ","), s.name) })
	}
	head, line := "| |", "|---|"
	for _, s := range servers {
		head, line = head+" "+s.name+" |", line+"---|"
	}
	fmt.Printf("CPU in microseconds per request; paced: p50 and p99 in milliseconds\n\n%s\n%s\n", head, line)
	return &table{servers}
}

// measure takes the servers in turn, so that what else the machine does meets all of them.
func (t *table) measure(ctx context.Context, o options, w workload) error {
	results := make([][]result, len(t.servers))
	for range o.rounds {
		for i, s := range t.servers {
			if w.rate > 0 { // a warm connection is not what it is about
				time.Sleep(200 * time.Millisecond)
			}
			r, err := measure(ctx, s, w, o)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", s.name, w.name, err)
			}
			results[i] = append(results[i], r)
		}
	}
	fmt.Printf("| %s |", w.name)
	for _, rs := range results {
		slices.SortFunc(rs, func(a, b result) int { return int(a.cpu - b.cpu) })
		r := rs[len(rs)/2]
		if w.rate > 0 {
			fmt.Printf(" %.2f / %.2f |", ms(r.p50), ms(r.p99))
			continue
		}
		fmt.Printf(" %.1f |", float64(r.cpu.Nanoseconds())/1e3)
	}
	fmt.Println()
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
