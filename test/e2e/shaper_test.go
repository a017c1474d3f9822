//go:build linux

package e2e

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// weather is how a network between two hosts behaves, one way.
type weather struct {
	delay time.Duration // of every packet
	loss  float64       // 0 to 1: share of packets that get lost
	rate  int           // bytes a second; 0: no limit
	cut   bool          // nothing gets through
}

// sky is a network of TUN devices, one in each host's namespace, between which the test carries the packets itself: so
// it has delay, loss and rate on kernels that have no netem, and ways that are cut in one direction alone.
type sky struct {
	t *testing.T

	mu      sync.Mutex
	random  *rand.Rand
	devices map[byte]*os.File // by the last byte of the address
	ways    map[[2]byte]*way
	fair    weather // of ways that have no weather of their own
}

// way is the direction from one host to another. Its goroutine delivers what waits on it.
type way struct {
	weather *weather // nil: fair
	free    time.Time
	packets packetHeap
	wake    chan struct{}
}

// maxWaiting bounds the packets under way in one direction; what comes on top is lost, as in a router.
const maxWaiting = 4096

type packet struct {
	at   time.Time
	data []byte
}

type packetHeap []packet

func (h packetHeap) Len() int           { return len(h) }
func (h packetHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h packetHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *packetHeap) Push(x any)        { *h = append(*h, x.(packet)) }
func (h *packetHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

func newSky(t *testing.T, fair weather) *sky {
	return &sky{t: t, random: rand.New(rand.NewPCG(1, 2)), devices: map[byte]*os.File{}, ways: map[[2]byte]*way{}, fair: fair}
}

// device makes the TUN device of a host inside its namespace. It carries packets until the test ends.
func (s *sky) device(ns string, last byte) {
	s.t.Helper()
	made := make(chan error, 1)
	var tun *os.File
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		var err error
		tun, err = openTun("/run/netns/" + ns)
		made <- err
	}()
	if err := <-made; err != nil {
		s.t.Fatalf("TUN device: %v", err)
	}
	s.t.Cleanup(func() { _ = tun.Close() })
	s.mu.Lock()
	s.devices[last] = tun
	s.mu.Unlock()
	go s.carry(last, tun)
}

func openTun(ns string) (*os.File, error) {
	fd, err := unix.Open(ns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	tun, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	req, err := unix.NewIfreq("eth0")
	if err != nil {
		return nil, err
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(tun, unix.TUNSETIFF, req); err != nil {
		_ = unix.Close(tun)
		return nil, err
	}
	return os.NewFile(uintptr(tun), "tun"), nil
}

// carry takes the packets that a host sends, until its device is closed.
func (s *sky) carry(from byte, tun *os.File) {
	buf := make([]byte, 64<<10)
	for {
		n, err := tun.Read(buf)
		if err != nil {
			return
		}
		if n < 20 || buf[0]>>4 != 4 {
			continue // not IPv4
		}
		s.send(from, buf[19], append([]byte(nil), buf[:n]...))
	}
}

// send puts a packet on its way, or loses it.
func (s *sky) send(from, to byte, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, at := s.way(from, to), time.Now()
	rain := s.fair
	if w.weather != nil {
		rain = *w.weather
	}
	if rain.cut || s.random.Float64() < rain.loss || w.packets.Len() >= maxWaiting {
		return
	}
	if rain.rate > 0 {
		if w.free.Before(at) {
			w.free = at
		}
		w.free = w.free.Add(time.Duration(len(data)) * time.Second / time.Duration(rain.rate))
		at = w.free
	}
	heap.Push(&w.packets, packet{at.Add(rain.delay), data})
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// way returns the direction; s.mu is held.
func (s *sky) way(from, to byte) *way {
	w := s.ways[[2]byte{from, to}]
	if w == nil {
		w = &way{wake: make(chan struct{}, 1)}
		s.ways[[2]byte{from, to}] = w
		go s.deliver(w, to)
	}
	return w
}

// deliver hands packets over when their time has come, until the device of the receiver is closed.
func (s *sky) deliver(w *way, to byte) {
	for {
		s.mu.Lock()
		wait := time.Hour
		var due []byte
		if w.packets.Len() > 0 {
			if wait = time.Until(w.packets[0].at); wait <= 0 {
				due = heap.Pop(&w.packets).(packet).data
			}
		}
		tun := s.devices[to]
		s.mu.Unlock()
		if due == nil {
			select {
			case <-w.wake:
			case <-time.After(wait):
			}
			continue
		}
		if tun == nil {
			continue
		}
		if _, err := tun.Write(due); err != nil && err != unix.ENOBUFS {
			return
		}
	}
}

// between sets the weather from one host to another.
func (s *sky) between(from, to string, rain weather) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var a, b byte
	for _, x := range []struct {
		addr string
		last *byte
	}{{from, &a}, {to, &b}} {
		if _, err := fmt.Sscanf(x.addr, "10.77.0.%d", x.last); err != nil {
			s.t.Fatalf("address %q: %v", x.addr, err)
		}
	}
	s.way(a, b).weather = &rain
}

// everywhere sets the weather of all ways.
func (s *sky) everywhere(rain weather) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fair = rain
	for _, w := range s.ways {
		w.weather = nil
	}
}
