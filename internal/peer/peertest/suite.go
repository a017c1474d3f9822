package peertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/zeebo/blake3"

	"tandem/internal/farm"
	"tandem/internal/peer"
	"tandem/internal/wire"
)

// World makes hubs of one farm that can reach each other.
type World interface {
	// Hub completes the configuration with what the network under it needs, and returns a hub that has an address.
	Hub(cfg peer.Config) *peer.Hub
}

// Node is a hub that runs, with what it has been told.
type Node struct {
	*peer.Hub
	*Recorder
	ID   farm.MemberID
	stop func()
}

// Stop stops the hub and waits until it has. It may be called more than once.
func (n *Node) Stop() { n.stop() }

// Start runs a hub of the world until the test ends or Stop is called.
func Start(t testing.TB, w World, cfg peer.Config) *Node {
	t.Helper()
	r := NewRecorder(t)
	cfg.Handler, cfg.Sink = r, r.Sink
	h := w.Hub(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run of %s: %v", cfg.Self, err)
		}
	})
	t.Cleanup(stop)
	return &Node{Hub: h, Recorder: r, ID: cfg.Self, stop: stop}
}

// Meet makes the nodes each other's members.
func Meet(nodes ...*Node) {
	var list []peer.Member
	for _, n := range nodes {
		list = append(list, peer.Member{ID: n.ID, Address: n.Addr(), Roles: []farm.Role{farm.RoleNode}})
	}
	for _, n := range nodes {
		n.SetMembers(list)
	}
}

// Pair are two nodes whose session is live.
func Pair(t testing.TB, w World, a, b peer.Config) (*Node, *Node) {
	t.Helper()
	a.Self, b.Self = "web1", "web2"
	x, y := Start(t, w, a), Start(t, w, b)
	Meet(x, y)
	x.UntilUp("web2", 1)
	y.UntilUp("web1", 1)
	return x, y
}

// Change is a valid change with the sequence number and n bytes of content.
func Change(seq int, n int) farm.Change {
	content := bytes.Repeat([]byte{byte(seq)}, n)
	p := farm.Position{Actor: farm.Actor{Member: "web1", Epoch: 1}, Seq: farm.Seq(seq)}
	v := farm.Version{Dot: p, Vector: farm.VectorOf(p), Time: farm.HLC(seq)}
	v.Content, v.Meta = v.Stamp(), v.Stamp()
	return farm.Change{Content: content, Entry: farm.Entry{Path: farm.MustPath(fmt.Sprintf("img/%d.jpg", seq)), Version: v,
		Attr: farm.Attr{Type: farm.File, Mode: 0o644, Size: int64(n), Digest: digest(content)}}}
}

func digest(b []byte) farm.Digest { return blake3.Sum256(b) }

// Changes is a message with the changes from first to last.
func Changes(folder farm.FolderID, first, last, bytesEach int) wire.Changes {
	m := wire.Changes{Folder: folder}
	for i := first; i <= last; i++ {
		m.List = append(m.List, Change(i, bytesEach))
	}
	return m
}

// Run runs the contract on worlds made by the function.
func Run(t *testing.T, world func(t *testing.T) World) {
	for name, test := range map[string]func(*testing.T, World){
		"up and down":             upAndDown,
		"one session per pair":    onePerPair,
		"delivery in order":       order,
		"back-pressure":           backPressure,
		"merged while busy":       merged,
		"catch-up waits for room": catchUp,
		"state coalesces":         state,
		"content":                 content,
		"corrupt content":         corrupt,
		"content resumes":         resumes,
		"parts":                   parts,
		"parts by call":           partsByCall,
		"parts that are wrong":    wrongParts,
		"calls":                   calls,
		"http":                    httpConns,
		"removal":                 removal,
		"farm of five":            five,
	} {
		t.Run(name, func(t *testing.T) { test(t, world(t)) })
	}
}

func upAndDown(t *testing.T, w World) {
	x, y := Pair(t, w, peer.Config{Version: "1.0"}, peer.Config{Version: "1.1"})
	x.Until("the hello has come", func() bool { h := x.hellos["web2"]; return h.Version == "1.1" && h.Name == "web2" })
	x.UntilEvent(farm.EventMemberUp, "web2")
	if x.Send("web3", Changes("gallery", 1, 1, 1)) {
		t.Error("sent to nobody")
	}
	y.Stop()
	x.UntilDown("web2")
	x.UntilEvent(farm.EventMemberDown, "web2")
	if x.Send("web2", Changes("gallery", 1, 1, 1)) {
		t.Error("sent to a member that is down")
	}
	y.UntilDown("web1")

	again := Start(t, w, peer.Config{Self: "web2", Version: "1.2"})
	Meet(x, again)
	x.UntilUp("web2", 2)
	again.UntilUp("web1", 1)
	for _, st := range x.Stats() {
		if st.State != peer.Live || st.Member != "web2" || st.Version != "1.2" {
			t.Errorf("stats %+v", st)
		}
	}
}

// onePerPair lets both dial at the same moment, again and again. The recorder checks that nobody is up twice.
func onePerPair(t *testing.T, w World) {
	x, y := Pair(t, w, peer.Config{}, peer.Config{})
	for range 10 {
		before := [2]int{}
		x.Until("count", func() bool { before[0] = x.ups["web2"]; return true })
		y.Until("count", func() bool { before[1] = y.ups["web1"]; return true })
		x.SetMembers(nil)
		y.SetMembers(nil)
		x.UntilDown("web2")
		y.UntilDown("web1")
		Meet(x, y)
		x.UntilUp("web2", before[0]+1)
		y.UntilUp("web1", before[1]+1)
		exchange(t, x, y)
	}
}

// exchange checks that both hear each other.
func exchange(t *testing.T, x, y *Node) {
	t.Helper()
	for _, d := range []struct{ from, to *Node }{{x, y}, {y, x}} {
		n := 0
		d.to.Until("count", func() bool { n = len(d.to.got[d.from.ID]); return true })
		if err := d.from.SendWait(context.Background(), d.to.ID, wire.Want{Folder: "gallery"}); err != nil {
			t.Fatal(err)
		}
		d.to.Until("a message has come", func() bool { return len(d.to.got[d.from.ID]) > n })
	}
}

func order(t *testing.T, w World) {
	const count = 500
	x, y := Pair(t, w, peer.Config{}, peer.Config{})
	for i := 1; i <= count; i++ {
		if !x.Send("web2", Changes("gallery", i, i, 100)) {
			t.Fatalf("change %d was dropped", i)
		}
	}
	known := farm.VectorOf(Change(count, 0).Entry.Version.Dot)
	x.Send("web2", wire.Have{Folder: "gallery", Known: known})
	y.Until("all has come", func() bool {
		got := y.got["web1"]
		if len(got) == 0 {
			return false
		}
		h, ok := got[len(got)-1].(wire.Have)
		return ok && h.Known.Equal(known)
	})
	y.Until("in order", func() bool {
		list := y.changes("web1")
		for i, c := range list {
			want := Change(i+1, 100)
			if c.Entry.Path != want.Entry.Path || !bytes.Equal(c.Content, want.Content) || !c.Entry.Version.Vector.Equal(want.Entry.Version.Vector) {
				t.Fatalf("change %d is %v", i+1, c.Entry.Path)
			}
		}
		return len(list) == count
	})
}

func backPressure(t *testing.T, w World) {
	x, y := Pair(t, w, peer.Config{}, peer.Config{})
	release := y.Hold()
	sent, dropped := 0, 0
	for i := 1; i <= 2000 && dropped == 0; i++ {
		if x.Send("web2", Changes("gallery", i, i, 60<<10)) {
			sent++
		} else {
			dropped++
		}
	}
	st := x.Stats()[0]
	if dropped == 0 || st.Gaps == 0 || st.QueuedBytes == 0 || st.QueuedBytes > 17<<20 {
		t.Errorf("%d sent, %d dropped, stats %+v: the queue must be bounded", sent, dropped, st)
	}
	// Both sides stay up, and the other direction flows, as long as it lasts.
	if err := y.SendWait(context.Background(), "web1", wire.Want{Folder: "gallery"}); err != nil {
		t.Error(err)
	}
	x.Until("the other direction flows", func() bool { return len(x.got["web2"]) == 1 })
	release()
	y.Until("all that was sent has come", func() bool { return len(y.changes("web1")) == sent })
}

func merged(t *testing.T, w World) {
	const count = 1000
	x, y := Pair(t, w, peer.Config{}, peer.Config{})
	release := y.Hold()
	for i := 1; i <= count; i++ {
		x.Send("web2", Changes("gallery", i, i, 4<<10))
	}
	release()
	y.Until("all has come", func() bool { return len(y.changes("web1")) == count })
	y.Until("in fewer frames", func() bool { return len(y.got["web1"]) < count/2 })
}

func catchUp(t *testing.T, w World) {
	const count = 600
	x, y := Pair(t, w, peer.Config{}, peer.Config{})
	release := y.Hold()
	done := make(chan error, 1)
	go func() { done <- x.SendWait(context.Background(), "web2", Changes("gallery", 1, count, 60<<10)) }()
	x.untilQueued(3 << 20) // it fills a quarter of the queue and waits
	select {
	case err := <-done:
		t.Fatalf("36 MB were queued: %v", err)
	default:
	}
	if !x.Send("web2", Changes("fresh", 1, 1, 60<<10)) {
		t.Error("catching up crowds out what is new")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := x.SendWait(ctx, "web2", Changes("gallery", 1, count, 60<<10)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	y.Until("all has come", func() bool { return len(y.changes("web1")) >= count+1 })

	defer y.Hold()()
	go func() { done <- x.SendWait(context.Background(), "web2", Changes("gallery", 1, count, 60<<10)) }()
	x.untilQueued(3 << 20)
	y.SetMembers(nil)
	if err := <-done; farm.KindOf(err) != farm.Unavailable {
		t.Errorf("the session ended while it waited: %v", err)
	}
}

// untilQueued waits until so many bytes wait to be sent to the only other member.
func (n *Node) untilQueued(bytes int) {
	n.t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(Patience); n.Stats()[0].QueuedBytes < bytes; <-ticker.C {
		if time.Now().After(deadline) {
			n.t.Fatalf("waited in vain until %d bytes are queued; %+v", bytes, n.Stats())
		}
	}
}

func state(t *testing.T, w World) {
	x, y := Pair(t, w, peer.Config{}, peer.Config{})
	const count = 300
	release := y.Hold()
	x.Send("web2", wire.Want{Folder: "gallery"}) // the handler is held from here on
	for i := 1; i <= count; i++ {
		st := farm.MemberState{Member: "web1", Folders: map[farm.FolderID]farm.FolderState{"gallery": {Entries: int64(i)}}}
		x.SetState(st)
	}
	release()
	y.Until("the latest has come", func() bool {
		list := y.states["web1"]
		return len(list) > 0 && list[len(list)-1].Folders["gallery"].Entries == count
	})
	late := Start(t, w, peer.Config{Self: "web3"})
	Meet(x, y, late)
	late.Until("a new session begins with it", func() bool {
		list := late.states["web1"]
		return len(list) > 0 && list[0].Folders["gallery"].Entries == count
	})
}

func removal(t *testing.T, w World) {
	x, y := Pair(t, w, peer.Config{}, peer.Config{})
	z := Start(t, w, peer.Config{Self: "web3"})
	Meet(x, y, z)
	z.UntilUp("web1", 1)
	z.UntilUp("web2", 1)
	y.UntilUp("web3", 1)
	x.UntilUp("web3", 1)
	x.SetMembers([]peer.Member{{ID: "web2", Address: y.Addr()}})
	x.UntilDown("web3")
	z.UntilDown("web1")
	exchange(t, y, z)
	exchange(t, x, y)
	if _, err := x.DialHTTP(context.Background(), "web3"); farm.KindOf(err) != farm.NotFound {
		t.Errorf("HTTP to a removed member: %v", err)
	}
}

func five(t *testing.T, w World) {
	var nodes []*Node
	for i := range 5 {
		nodes = append(nodes, Start(t, w, peer.Config{Self: farm.MemberID(fmt.Sprintf("m%d", i))}))
	}
	Meet(nodes...)
	for _, a := range nodes {
		for _, b := range nodes {
			if a != b {
				a.UntilUp(b.ID, 1)
			}
		}
	}
	for _, a := range nodes {
		for _, b := range nodes {
			if a != b && !a.Send(b.ID, Changes("gallery", 1, 3, 10)) {
				t.Errorf("%s to %s was dropped", a.ID, b.ID)
			}
		}
	}
	for _, a := range nodes {
		for _, b := range nodes {
			if a != b {
				a.Until("all have heard all", func() bool { return len(a.changes(b.ID)) == 3 })
			}
		}
	}
}

// readAll reads and closes.
func readAll(r io.ReadCloser) ([]byte, error) {
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}
