package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"
)

// figure is one measured value, named for people.
type figure struct{ Name, Value string }

const (
	smallRows     = 20_000 // entries of a small site
	singleCommits = 5_000
	pointReads    = 100_000
	syncs         = 50
	valueBytes    = 150 // a record of one version, with its digest and fingerprint
)

func key(i int) []byte {
	return fmt.Appendf(nil, "shop/wp-content/uploads\x00%04d\x00%02d\x00product-%07d.jpg", 2000+i%25, i%12, i)
}

func value(i int) []byte {
	r := rand.New(rand.NewPCG(uint64(i), 1))
	v := make([]byte, valueBytes)
	for j := range v[:64] { // digest, inode, times: not to be compressed
		v[j] = byte(r.Uint32())
	}
	copy(v[64:], "www-data www-data web1 and other things that repeat in every row of the index, as they do")
	return v
}

func runPart(part, name, dir string, rows int) error {
	s, opened, err := timedOpen(name, dir)
	if err != nil {
		return err
	}
	var out []figure
	switch part {
	case "endless":
		for i := 0; ; i++ {
			if err := s.commit([]row{{key(i), value(i)}}); err != nil {
				return err
			}
			fmt.Println(i)
		}
	case "small":
		out, err = small(s)
	case "load":
		out, err = load(s, rows)
	case "full":
		out, err = full(s)
	case "open":
		out, err = reopened(s, opened, dir, rows)
	}
	if err != nil {
		return err
	}
	if err := s.close(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

func timedOpen(name, dir string) (store, time.Duration, error) {
	t := time.Now()
	s, err := open(name, dir)
	return s, time.Since(t), err
}

// small is a site of 20,000 files: seeded in batches, then changed file by file.
func small(s store) (out []figure, err error) {
	for _, size := range []int{100, 1000} {
		t := time.Now()
		if err := fill(s, 0, smallRows, size); err != nil {
			return nil, err
		}
		out = append(out, figure{fmt.Sprintf("20,000 rows by %d", size), ms(time.Since(t))})
	}
	took := make([]time.Duration, 0, singleCommits)
	cpu := cpuTime()
	for n := range singleCommits {
		i := rand.IntN(smallRows)
		r := []row{{key(i), value(i + n)}}
		t := time.Now()
		if err := s.commit(r); err != nil {
			return nil, err
		}
		took = append(took, time.Since(t))
	}
	cpu = (cpuTime() - cpu) / singleCommits
	slices.Sort(took)
	out = append(out,
		figure{"1 row p50", us(took[len(took)/2])},
		figure{"1 row p99", us(took[len(took)*99/100])},
		figure{"1 row CPU", us(cpu)})
	took = took[:0]
	for i := range syncs {
		if err := s.commit([]row{{key(i), value(i)}}); err != nil {
			return nil, err
		}
		t := time.Now()
		if err := s.sync(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(t))
	}
	slices.Sort(took)
	return append(out, figure{"sync p50", us(took[len(took)/2])}), nil
}

func fill(s store, from, to, size int) error {
	batch := make([]row, 0, size)
	for i := from; i < to; i++ {
		batch = append(batch, row{key(i), value(i)})
		if len(batch) == size || i == to-1 {
			if err := s.commit(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return nil
}

func load(s store, rows int) ([]figure, error) {
	t := time.Now()
	if err := fill(s, 0, rows, 1000); err != nil {
		return nil, err
	}
	loaded := time.Since(t)
	if err := s.sync(); err != nil {
		return nil, err
	}
	return []figure{{"load large by 1,000", secs(loaded)}, {"RSS peak at load", peakRSS()}}, nil
}

// reopened looks at the large store as a daemon that has just started does.
func reopened(s store, opened time.Duration, dir string, rows int) ([]figure, error) {
	debug.FreeOSMemory()
	out := []figure{{"open large", ms(opened)}, {"RSS open", rss()}, {"disk large", diskSize(dir)}}
	t := time.Now()
	n := 0
	if err := s.scan(func(_, v []byte) { n += min(1, len(v)) }); err != nil {
		return nil, err
	}
	if n != rows {
		return nil, fmt.Errorf("%d rows of %d", n, rows)
	}
	out = append(out, figure{"iterate large", ms(time.Since(t))})
	t = time.Now()
	for range pointReads {
		if _, err := s.get(key(rand.IntN(rows))); err != nil {
			return nil, err
		}
	}
	out = append(out, figure{"point read", us(time.Since(t) / pointReads)})
	runtime.GC()
	debug.FreeOSMemory()
	return append(out, figure{"RSS after reads", rss()}), nil
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rss is resident memory: anonymous, and of mapped files (which the system may take back).
func rss() string { return status("RssAnon:") + " + " + status("RssFile:") + " MB" }

func peakRSS() string { return status("VmHWM:") + " MB" }

func status(field string) string {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	var kb int
	if _, err := fmt.Sscan(b2s(b, field), &kb); err != nil {
		panic(err)
	}
	return fmt.Sprint(kb >> 10)
}

func b2s(b []byte, after string) string {
	_, rest, _ := strings.Cut(string(b), after)
	return rest
}

func diskSize(dir string) string {
	var n int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		i, err := d.Info()
		if err == nil {
			n += i.Size()
		}
		return err
	})
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("%d MB", n>>20)
}

func us(d time.Duration) string   { return fmt.Sprintf("%.0f µs", float64(d)/1e3) }
func ms(d time.Duration) string   { return fmt.Sprintf("%.0f ms", float64(d)/1e6) }
func secs(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// full lets every write past a limit fail, as on a full disk, and tells what became of the store; then it lifts the limit.
func full(s store) ([]figure, error) {
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return nil, err
	}
	const limitBytes = 1 << 20
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limitBytes, Max: old.Max}); err != nil {
		return nil, err
	}
	var err error
	for i := 0; err == nil; i += 100 {
		err = fill(s, i, i+100, 100)
	}
	if err2 := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err2 != nil {
		return nil, err2
	}
	out := "error, then goes on"
	if err := fill(s, 0, 100, 100); err != nil {
		out = "error, and stays broken"
	}
	return []figure{{"disk full", out}}, nil
}
