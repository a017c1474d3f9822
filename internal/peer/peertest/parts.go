package peertest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/peer"
	"tandem/internal/wire"
)

// OpenPart makes a store a peer.Parts.
func (s store) OpenPart(_ context.Context, _ farm.MemberID, _ farm.FolderID, p farm.Path, _ farm.Digest, offset, n int64) (io.ReadCloser, error) {
	b, ok := s[p]
	switch {
	case !ok:
		return nil, farm.Errorf("open", p.String(), farm.NotFound, "no such content")
	case offset > int64(len(b)):
		return nil, farm.Errorf("open", p.String(), farm.Invalid, "no such part")
	}
	return io.NopCloser(bytes.NewReader(b[offset:min(offset+n, int64(len(b)))])), nil
}

// Recipe gives what the test can tell: nobody here knows what a recipe is.
func (s store) Recipe(_ context.Context, _ farm.MemberID, _ farm.FolderID, p farm.Path, d, base farm.Digest) ([]byte, error) {
	if _, ok := s[p]; !ok {
		return nil, farm.Errorf("open", p.String(), farm.NotFound, "no such content")
	}
	return bytes.Repeat([]byte(d.Short()+base.Short()), 50_000), nil
}

// holding is a store that gives the beginning of one content, and the rest when it may.
type holding struct {
	store
	path    farm.Path
	release chan struct{}
}

// OpenPart implements peer.Parts.
func (h holding) OpenPart(ctx context.Context, from farm.MemberID, f farm.FolderID, p farm.Path, d farm.Digest, offset, n int64) (io.ReadCloser, error) {
	r, err := h.store.OpenPart(ctx, from, f, p, d, offset, n)
	if err != nil || p != h.path {
		return r, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(r, 1_000_000), waiting(h.release), r), r}, nil
}

// waiting is a reader of nothing that ends when the channel is closed.
type waiting chan struct{}

func (w waiting) Read([]byte) (int, error) {
	<-w
	return 0, io.EOF
}

var folder = farm.FolderID("gallery")

// partFiles are contents that compress well, somewhat and not at all.
func partFiles() store {
	noise := make([]byte, 3_000_000)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise)
	var text bytes.Buffer
	for i := range 200_000 {
		fmt.Fprintf(&text, "%d bottles; ", i)
	}
	return store{farm.MustPath("noise"): noise, farm.MustPath("text"): text.Bytes(), farm.MustPath("zeros"): make([]byte, 1_000_000),
		farm.MustPath("small"): []byte("x")}
}

func parts(t *testing.T, w World) {
	files := partFiles()
	x, y := Pair(t, w, peer.Config{Parts: files}, peer.Config{Parts: files})
	for _, d := range []struct{ to, from *Node }{{x, y}, {y, x}} {
		before := received(d.to)
		checkParts(t, files, d.to, d.from.ID)
		total := 0
		for _, b := range files {
			total += len(b)
		}
		if n := received(d.to) - before; n > 2*uint64(total)*8/10 {
			t.Errorf("%d bytes came for twice %d", n, total)
		}
	}
	none := Start(t, w, peer.Config{Self: "web3"})
	Meet(x, y, none)
	x.UntilUp("web3", 1)
	if _, err := x.Recipe(context.Background(), "web3", folder, farm.MustPath("a"), digest(nil), farm.Digest{}); farm.KindOf(err) != farm.Unsupported {
		t.Errorf("from a member without folders: %v", err)
	}
	if _, err := x.OpenPart(context.Background(), "web9", folder, farm.MustPath("a"), digest(nil), 0, 1); farm.KindOf(err) != farm.Unavailable {
		t.Errorf("from nobody: %v", err)
	}
}

func received(n *Node) (sum uint64) {
	for _, s := range n.Stats() {
		sum += s.ReceivedBytes
	}
	return sum
}

// checkParts gets every content in two parts, several at a time, and its recipe.
func checkParts(t *testing.T, files store, to *Node, from farm.MemberID) {
	t.Helper()
	ctx := context.Background()
	var group sync.WaitGroup
	for range 2 {
		for p, want := range files {
			group.Go(func() {
				middle := int64(len(want)) / 3
				var got []byte
				for _, part := range [][2]int64{{0, middle}, {middle, int64(len(want)) - middle}} {
					if part[1] == 0 {
						continue
					}
					r, err := to.OpenPart(ctx, from, folder, p, digest(want), part[0], part[1])
					if err != nil {
						t.Error(err)
						return
					}
					b, err := readAll(r)
					if err != nil {
						t.Error(err)
					}
					got = append(got, b...)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%s from %s: %d bytes of %d", p, from, len(got), len(want))
				}
				base := farm.Digest{7}
				b, err := to.Recipe(ctx, from, folder, p, digest(want), base)
				if err != nil || string(b) != string(bytes.Repeat([]byte(digest(want).Short()+base.Short()), 50_000)) {
					t.Errorf("recipe of %s: %d bytes, %v", p, len(b), err)
				}
				if _, err := to.OpenPart(ctx, from, folder, farm.MustPath("none"), digest(want), 0, 1); farm.KindOf(err) != farm.NotFound {
					t.Errorf("content that is not there: %v", err)
				}
			})
		}
	}
	group.Wait()
}

// partsByCall gets parts from a member that can't be dialled.
func partsByCall(t *testing.T, w World) {
	blocker, ok := w.(interface{ Block(from, to farm.MemberID) })
	if !ok {
		t.Skip("dialling can't be blocked here")
	}
	files := partFiles()
	x, y := Pair(t, w, peer.Config{Parts: files}, peer.Config{Parts: files})
	for _, d := range []struct{ a, b *Node }{{x, y}, {y, x}} { // so that they are connected
		if _, err := d.a.Call(context.Background(), d.b.ID, wire.CallRequest{Method: "any"}); farm.KindOf(err) != farm.Unsupported {
			t.Fatal(err)
		}
	}
	blocker.Block("web1", "web2")
	blocker.Block("web2", "web1")
	checkParts(t, files, x, y.ID)
	checkParts(t, files, y, x.ID)
}

// wrongParts has parts that end early, that nobody reads to the end, and questions that are none.
func wrongParts(t *testing.T, w World) {
	files := partFiles()
	held := holding{files, farm.MustPath("text"), make(chan struct{})}
	x, _ := Pair(t, w, peer.Config{Parts: files}, peer.Config{Parts: held})
	ctx, p := context.Background(), farm.MustPath("noise")
	d := digest(files[p])
	if r, err := x.OpenPart(ctx, "web2", folder, p, d, 2_900_000, 200_000); err == nil {
		_, err = readAll(r)
		if farm.KindOf(err) != farm.Corrupt {
			t.Errorf("a part that ends early: %v", err)
		}
	} else {
		t.Error(err)
	}
	for range 20 { // more than there are connections
		r, err := x.OpenPart(ctx, "web2", folder, p, d, 0, 3_000_000)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, q := range [][2]int64{{-1, 5}, {0, wire.MaxRangeBytes + 1}, {4_000_000, 1}} {
		if _, err := x.OpenPart(ctx, "web2", folder, p, d, q[0], q[1]); err == nil {
			t.Errorf("%v was answered", q)
		}
	}
	stopped, cancel := context.WithCancel(ctx)
	r, err := x.OpenPart(stopped, "web2", folder, held.path, digest(files[held.path]), 0, 2_000_000)
	if err != nil {
		t.Fatal(err)
	}
	cancel() // what is held back can't have come
	if _, err := readAll(r); farm.KindOf(err) != farm.Unavailable {
		t.Errorf("stopped: %v", err)
	}
	close(held.release)
	r, err = x.OpenPart(ctx, "web2", folder, p, d, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := readAll(r); err != nil || !bytes.Equal(b, files[p][:1000]) {
		t.Errorf("after all that: %d bytes, %v", len(b), err)
	}
}
