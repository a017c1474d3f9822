package peer

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tandem/internal/farm"
	"tandem/internal/wire"
	"tandem/internal/wire/pb"
)

// fed is a stream from which a hostile member's frames come.
type fed struct{ data []byte }

func (f *fed) Send(*pb.Frame) error { return nil }

// Recv takes the next frame: its length as an uvarint, and its bytes. What gRPC's codec would refuse ends the stream.
func (f *fed) Recv() (*pb.Frame, error) {
	n, used := binary.Uvarint(f.data)
	if used <= 0 || n > uint64(len(f.data)-used) {
		return nil, io.EOF
	}
	var frame pb.Frame
	err := proto.Unmarshal(f.data[used:used+int(n)], &frame)
	f.data = f.data[used+int(n):]
	return &frame, err
}

// taker counts what reaches the handler.
type taker struct {
	t     *testing.T
	other int
}

func (taker) Up(farm.MemberID, wire.Hello) {}
func (taker) Down(farm.MemberID, error)    {}
func (k *taker) Receive(_ context.Context, from farm.MemberID, m wire.Message) {
	switch m := m.(type) {
	case wire.State:
		if m.Member != from {
			k.t.Errorf("%s speaks for %s", from, m.Member)
		}
	case wire.Hello, wire.Beat:
		k.t.Errorf("the handler got a %T", m)
	default:
		k.other++
	}
}

// FuzzSession: whatever a member of the farm sends in a session, nothing panics and nothing unchecked is handed on.
func FuzzSession(f *testing.F) {
	packer, err := wire.NewPacker()
	if err != nil {
		f.Fatal(err)
	}
	var all []byte
	change := farm.Change{Content: []byte("x"), Entry: farm.Entry{Path: farm.MustPath("a/b"), Attr: farm.Attr{Type: farm.File, Size: 1}}}
	for _, m := range []wire.Message{wire.Beat{Number: 1, Now: time.Unix(1, 0)}, wire.State{MemberState: farm.MemberState{Member: "web2"}},
		wire.State{MemberState: farm.MemberState{Member: "web3"}}, wire.Changes{Folder: "www", List: []farm.Change{change}},
		wire.Want{Folder: "www"}, wire.Have{Folder: "www"}, wire.Hello{Name: "web2", ProtocolMin: 1, ProtocolMax: 9, Farm: "f"}} {
		frame, err := wire.Encode(m)
		if err != nil {
			continue // a seed less
		}
		for _, x := range []*pb.Frame{frame, packer.Pack(frame)} {
			b, err := proto.Marshal(x)
			if err != nil {
				f.Fatal(err)
			}
			one := append(binary.AppendUvarint(nil, uint64(len(b))), b...)
			f.Add(one)
			all = append(all, one...)
		}
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, data []byte) {
		h := newHub(Config{Self: "web1", Handler: &taker{t: t}, Sink: func(farm.Event) {}, Log: slog.New(slog.DiscardHandler),
			Now: time.Now, DeadAfter: time.Hour}, &tlsNet{})
		l := newLink(h, Member{ID: "web2"})
		s := &session{link: l, stream: &fed{data}, protocol: wire.ProtocolMax, beatNow: make(chan struct{}, 1), changed: make(chan struct{}, 1)}
		s.beats.heard = make(chan struct{})
		s.ctx, s.fail = context.WithCancelCause(t.Context())
		defer s.fail(nil)
		_ = s.read() // it ends with the input, or with a second Hello
	})
}

// FuzzFetchRequest: no request gets past the checks with a path outside or an offset before the beginning.
func FuzzFetchRequest(f *testing.F) {
	for _, p := range []string{"a/b", "../x", "/etc/passwd", "a/../../b", "a\x00b", ".", "a//b", ""} {
		for _, offset := range []int64{0, -1, math.MaxInt64, math.MinInt64} {
			f.Add("www", []byte(p), make([]byte, 32), offset)
			f.Add("www", []byte(p), []byte("01234567890123456789012345678901"), offset)
		}
	}
	f.Fuzz(func(t *testing.T, folder string, path, digest []byte, offset int64) {
		q, err := wire.DecodeFetch(&pb.FetchRequest{Folder: folder, Path: path, Digest: digest, Offset: offset})
		if err != nil {
			return
		}
		if _, err := farm.ParsePath(q.Path.String()); err != nil || q.Offset < 0 || q.Digest.IsZero() {
			t.Errorf("it passed: %+v, %v", q, err)
		}
	})
}
