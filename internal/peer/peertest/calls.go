package peertest

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/peer"
	"tandem/internal/wire"
)

// store is a peer.Content of files in memory.
type store map[farm.Path][]byte

// Open serves what is at the path, whatever its digest: the receiver has to notice.
func (s store) Open(_ context.Context, _ farm.MemberID, _ farm.FolderID, p farm.Path, _ farm.Digest, offset int64) (io.ReadCloser, int64, error) {
	b, ok := s[p]
	if !ok {
		return nil, 0, farm.Errorf("open", p.String(), farm.NotFound, "no such content")
	}
	return io.NopCloser(bytes.NewReader(b[min(offset, int64(len(b))):])), int64(len(b)), nil
}

func content(t *testing.T, w World) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 200_000) // 3.2 MB, several windows
	files := store{farm.MustPath("big"): big, farm.MustPath("empty"): nil, farm.MustPath("small"): []byte("x")}
	x, y := Pair(t, w, peer.Config{Content: files}, peer.Config{Content: files})
	for _, d := range []struct{ to, from *Node }{{x, y}, {y, x}} { // whoever has dialled
		for p, want := range files {
			r, err := d.to.Fetch(context.Background(), d.from.ID, "gallery", p, digest(want), int64(len(want)))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := readAll(r); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s from %s: %d bytes, %v", p, d.from.ID, len(got), err)
			}
		}
		_, err := d.to.Fetch(context.Background(), d.from.ID, "gallery", farm.MustPath("none"), digest(nil), 0)
		if farm.KindOf(err) != farm.NotFound {
			t.Errorf("content that is not there: %v", err)
		}
	}
	if _, err := x.Fetch(context.Background(), "web9", "gallery", farm.MustPath("big"), digest(big), 1); farm.KindOf(err) != farm.Unavailable {
		t.Errorf("from nobody: %v", err)
	}
	r, err := x.Fetch(context.Background(), "web2", "gallery", farm.MustPath("big"), digest(big), int64(len(big)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil { // half way
		t.Error(err)
	}
	none := Start(t, w, peer.Config{Self: "web3"})
	Meet(x, y, none)
	x.UntilUp("web3", 1)
	if _, err := x.Fetch(context.Background(), "web3", "gallery", farm.MustPath("a"), digest(nil), 0); farm.KindOf(err) != farm.Unsupported {
		t.Errorf("from a member without folders: %v", err)
	}
}

func corrupt(t *testing.T, w World) {
	right := bytes.Repeat([]byte("a"), 600_000)
	wrong := bytes.Clone(right)
	wrong[300_000] ^= 1
	p, short := farm.MustPath("wrong"), farm.MustPath("short")
	x, _ := Pair(t, w, peer.Config{}, peer.Config{Content: store{p: wrong, short: right[:1000]}})
	r, err := x.Fetch(context.Background(), "web2", "gallery", p, digest(right), int64(len(right)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(r); farm.KindOf(err) != farm.Corrupt {
		t.Errorf("one bit is wrong: %v", err)
	}
	if _, err := x.Fetch(context.Background(), "web2", "gallery", short, digest(right), int64(len(right))); farm.KindOf(err) != farm.Corrupt {
		t.Errorf("another size: %v", err)
	}
}

// flaky is content that breaks off 300,000 bytes after each opening; at once if hopeless.
type flaky struct {
	content  []byte
	hopeless bool
}

func (f flaky) Open(_ context.Context, _ farm.MemberID, _ farm.FolderID, p farm.Path, _ farm.Digest, offset int64) (io.ReadCloser, int64, error) {
	rest := bytes.NewReader(f.content[offset:])
	if f.hopeless {
		rest = bytes.NewReader(nil)
	}
	if rest.Len() <= 300_000 && !f.hopeless {
		return io.NopCloser(rest), int64(len(f.content)), nil
	}
	broken := io.MultiReader(io.LimitReader(rest, 300_000), breaking{})
	return io.NopCloser(broken), int64(len(f.content)), nil
}

type breaking struct{}

func (breaking) Read([]byte) (int, error) {
	return 0, farm.Errorf("read", "", farm.Unavailable, "the disk is having a pause")
}

func resumes(t *testing.T, w World) {
	b := bytes.Repeat([]byte("0123456789"), 200_000)
	x, y := Pair(t, w, peer.Config{Content: flaky{b, true}}, peer.Config{Content: flaky{b, false}})
	r, err := x.Fetch(context.Background(), "web2", "gallery", farm.MustPath("a"), digest(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readAll(r); err != nil || !bytes.Equal(got, b) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	_, err = y.Fetch(context.Background(), "web1", "gallery", farm.MustPath("a"), digest(b), int64(len(b)))
	if farm.KindOf(err) != farm.Unavailable {
		t.Errorf("it never comes: %v", err)
	}
}

// echo answers calls and signs with what it was asked.
type echo struct{}

func (echo) Call(_ context.Context, from farm.MemberID, q wire.CallRequest) ([]byte, error) {
	if q.Method == "fail" {
		return nil, farm.Errorf("call", q.Method, farm.Conflict, "as you wish")
	}
	return append([]byte(string(from)+" "+q.Method+" "), q.Body...), nil
}

func (echo) SignServer(csr []byte) ([]byte, error) { return append([]byte("signed "), csr...), nil }

func (echo) Renew(name farm.MemberID, csr []byte) ([]byte, error) {
	return append([]byte(string(name)+" "), csr...), nil
}

func calls(t *testing.T, w World) {
	x, y := Pair(t, w, peer.Config{Caller: echo{}, Signer: echo{}, Renewer: echo{}}, peer.Config{Caller: echo{}})
	ctx := context.Background()
	for _, d := range []struct{ to, from *Node }{{x, y}, {y, x}} {
		got, err := d.from.Call(ctx, d.to.ID, wire.CallRequest{Method: "probe", Body: []byte("{}")})
		if want := string(d.from.ID) + " probe {}"; err != nil || string(got) != want {
			t.Errorf("called %s: %q, %v", d.to.ID, got, err)
		}
	}
	if _, err := x.Call(ctx, "web2", wire.CallRequest{Method: "fail"}); farm.KindOf(err) != farm.Conflict {
		t.Errorf("the kind must survive: %v", err)
	}
	if der, err := y.Sign(ctx, "web1", []byte("csr")); err != nil || string(der) != "signed csr" {
		t.Errorf("sign: %q, %v", der, err)
	}
	if _, err := x.Sign(ctx, "web2", []byte("csr")); farm.KindOf(err) != farm.Unsupported {
		t.Errorf("a member without authority: %v", err)
	}
	if der, err := y.Renew(ctx, "web1", []byte("csr")); err != nil || string(der) != "web2 csr" {
		t.Errorf("renew: %q, %v", der, err)
	}
	if _, err := x.Renew(ctx, "web2", []byte("csr")); farm.KindOf(err) != farm.Unsupported {
		t.Errorf("a member that renews nothing: %v", err)
	}
}

// httpConns sends a request as an edge does.
func httpConns(t *testing.T, w World) {
	x, y := Pair(t, w, peer.Config{}, peer.Config{})
	type key struct{}
	server := &http.Server{
		ConnContext: connContext(key{}),
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			from, _ := r.Context().Value(key{}).(farm.MemberID)
			_, _ = io.WriteString(rw, string(from)+" asks for "+r.URL.Path)
		}),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(y.HTTP()) }()
	transport := &http.Transport{DialContext: dialer(x, "web2")}
	res, err := (&http.Client{Transport: transport}).Get("http://gallery.test/img/7.jpg")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := readAll(res.Body); err != nil || string(b) != "web1 asks for /img/7.jpg" {
		t.Errorf("%q, %v", b, err)
	}
	transport.CloseIdleConnections()
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	<-done
}

func connContext(key any) func(context.Context, net.Conn) context.Context {
	return func(ctx context.Context, c net.Conn) context.Context {
		m, _ := peer.MemberOf(c)
		return context.WithValue(ctx, key, m)
	}
}

func dialer(n *Node, to farm.MemberID) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) { return n.DialHTTP(ctx, to) }
}
