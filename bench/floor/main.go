// Command floor measures what making, reading and removing small files costs on this machine by itself: the system calls that no
// replicator can do without, by one thread. It writes into a new directory below the one that it is given.
package main

import (
	"flag"
	"fmt"
	"log"
	"math"
	"math/rand"
	"os"
	"runtime"
	"time"

	"github.com/zeebo/blake3"
	"golang.org/x/sys/unix"
)

const perDir = 40

// bench is a set of files to be, and what the calls on them have cost.
type bench struct {
	root  string
	sizes []int
	calls []string // in the order of their first use
	spent map[string]time.Duration
	count map[string]int
}

func main() {
	n := flag.Int("n", 20_000, "files")
	dir := flag.String("dir", ".", "where to write")
	flag.Parse()
	runtime.LockOSThread()
	root, err := os.MkdirTemp(*dir, "floor")
	check(err)
	b := &bench{root: root, spent: map[string]time.Duration{}, count: map[string]int{}}
	r := rand.New(rand.NewSource(1))
	for range *n {
		b.sizes = append(b.sizes, int(math.Exp(math.Log(512)+r.Float64()*math.Log(128)))) // 0.5 to 64 KiB
	}
	for i := range (*n + perDir - 1) / perDir {
		check(os.Mkdir(b.dir(i*perDir), 0o755))
	}
	b.run("make", b.create())
	b.run("read", b.look())
	b.run("keep what is removed", b.keep())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func (b *bench) dir(i int) string  { return fmt.Sprintf("%s/%d", b.root, i/perDir) }
func (b *bench) name(i int) string { return fmt.Sprintf("f%d", i) }

// time does one call and notes what it took.
func (b *bench) time(call string, do func() error) {
	if b.count[call] == 0 {
		b.calls = append(b.calls, call)
	}
	begun := time.Now()
	err := do()
	b.spent[call] += time.Since(begun)
	b.count[call]++
	check(err)
}

// run does something with each file, whose directory is open, and says what it cost.
func (b *bench) run(title string, do func(dir, i int)) {
	var before, after unix.Rusage
	check(unix.Getrusage(unix.RUSAGE_THREAD, &before))
	dir := -1
	for i := range b.sizes {
		if i%perDir == 0 {
			unix.Close(dir)
			b.time("open directory", func() (err error) { dir, err = unix.Open(b.dir(i), unix.O_RDONLY|unix.O_DIRECTORY, 0); return })
		}
		do(dir, i)
	}
	unix.Close(dir)
	check(unix.Getrusage(unix.RUSAGE_THREAD, &after))
	n := int64(len(b.sizes))
	fmt.Printf("%s: CPU per file %d us in the program, %d us in the system\n", title,
		(after.Utime.Nano()-before.Utime.Nano())/n/1000, (after.Stime.Nano()-before.Stime.Nano())/n/1000)
	for _, c := range b.calls {
		fmt.Printf("    %-16s %6d times, %5.1f us each\n", c, b.count[c], float64(b.spent[c].Nanoseconds())/float64(b.count[c])/1000)
	}
	b.calls = nil
	clear(b.spent)
	clear(b.count)
}

func (b *bench) create() func(dir, i int) {
	content := make([]byte, 64<<10)
	for i := range content {
		content[i] = byte(rand.Int())
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: 1_700_000_000, Nsec: 5}}
	return func(dir, i int) {
		var fd int
		var st unix.Stat_t
		b.time("open nameless", func() (err error) { fd, err = unix.Openat(dir, ".", unix.O_TMPFILE|unix.O_RDWR, 0o600); return })
		b.time("write", func() error { _, err := unix.Write(fd, content[:b.sizes[i]]); return err })
		b.time("fchmod", func() error { return unix.Fchmod(fd, 0o644) })
		b.time("utimensat", func() error { return unix.UtimesNanoAt(fd, "", times, unix.AT_EMPTY_PATH) })
		b.time("linkat", func() error { return unix.Linkat(fd, "", dir, b.name(i), unix.AT_EMPTY_PATH) })
		b.time("fstat", func() error { return unix.Fstat(fd, &st) })
		b.time("close", func() error { return unix.Close(fd) })
	}
}

func (b *bench) look() func(dir, i int) {
	buf := make([]byte, 64<<10)
	return func(dir, i int) {
		var fd, n int
		var st unix.Stat_t
		b.time("fstatat", func() error { return unix.Fstatat(dir, b.name(i), &st, unix.AT_SYMLINK_NOFOLLOW) })
		b.time("open", func() (err error) { fd, err = unix.Openat(dir, b.name(i), unix.O_RDONLY, 0); return })
		b.time("read", func() (err error) { n, err = unix.Read(fd, buf); return })
		b.time("BLAKE3", func() error { blake3.Sum256(buf[:n]); return nil })
		b.time("fstat", func() error { return unix.Fstat(fd, &st) })
		b.time("close", func() error { return unix.Close(fd) })
	}
}

func (b *bench) keep() func(dir, i int) {
	check(os.Mkdir(b.root+"/kept", 0o700))
	kept, err := unix.Open(b.root+"/kept", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	check(err)
	return func(dir, i int) {
		b.time("renameat2", func() error { return unix.Renameat2(dir, b.name(i), kept, b.name(i), unix.RENAME_NOREPLACE) })
	}
}
