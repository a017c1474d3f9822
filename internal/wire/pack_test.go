package wire

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	"tandem/internal/farm"
	"tandem/internal/wire/pb"
)

func packer(t testing.TB) *Packer {
	t.Helper()
	p, err := NewPacker()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// frameWith is a frame of changes with a content.
func frameWith(t testing.TB, content []byte) *pb.Frame {
	t.Helper()
	c := valid()
	c.Content, c.Entry.Size = content, int64(len(content))
	f, err := Encode(Changes{"gallery", []farm.Change{c}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPackWhereItPays(t *testing.T) {
	p := packer(t)
	noise := make([]byte, 32<<10)
	rng := rand.NewChaCha8([32]byte{})
	_, _ = rng.Read(noise)
	for name, tt := range map[string]struct {
		content []byte
		packed  bool
	}{
		"text":  {bytes.Repeat([]byte("tandem replicates "), 2000)[:32<<10], true},
		"noise": {noise, false},
		"small": {[]byte("x"), false},
	} {
		f := frameWith(t, tt.content)
		got := p.Pack(f)
		if (got.GetPacked() != nil) != tt.packed {
			t.Errorf("%s: packed %v", name, got.GetPacked() != nil)
		}
		back, err := p.Unpack(got)
		if err != nil || !proto.Equal(back, f) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// No frame makes more of itself than a frame may be, and none is unpacked twice.
func TestBombsAreRefused(t *testing.T) {
	p := packer(t)
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	pack := func(size int, b []byte) *pb.Frame {
		return &pb.Frame{Body: &pb.Frame_Packed{Packed: &pb.Packed{Size: uint32(size), Zstd: enc.EncodeAll(b, nil)}}}
	}
	marshalled := func(f *pb.Frame) []byte {
		b, err := proto.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	huge := make([]byte, 64<<20) // 2 KiB when compressed
	beat := marshalled(&pb.Frame{Body: &pb.Frame_Beat{Beat: &pb.Beat{Number: 1}}})
	many := make([]byte, 0, 1<<20)
	for range 200_000 {
		many = append(many, 0x0a, 0x00) // an actor without a name
	}
	for name, f := range map[string]*pb.Frame{
		"larger than it says":        pack(len(beat), huge),
		"as large as it says":        pack(len(huge), huge),
		"smaller than it says":       pack(len(beat)+1, beat),
		"nothing":                    pack(0, nil),
		"no zstd":                    {Body: &pb.Frame_Packed{Packed: &pb.Packed{Size: 3, Zstd: []byte("abc")}}},
		"twice":                      pack(len(marshalled(pack(len(beat), beat))), marshalled(pack(len(beat), beat))),
		"a list of no end":           pack(len(many), many),
		"as large as a frame may be": pack(MaxFrameBytes, huge[:MaxFrameBytes]),
	} {
		if got, err := p.Unpack(f); farm.KindOf(err) != farm.Invalid {
			t.Errorf("%s: %v, %v", name, got.GetBody(), err)
		}
	}
}

// FuzzPacked opens what a hostile member sends as a packed frame.
func FuzzPacked(f *testing.F) {
	p := packer(f)
	if packed := p.Pack(frameWith(f, bytes.Repeat([]byte("tandem "), 4000))).GetPacked(); packed != nil {
		f.Add(packed.Size, packed.Zstd)
	}
	f.Add(uint32(5), []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0, 1, 0, 0})
	f.Fuzz(func(t *testing.T, size uint32, b []byte) {
		inner, err := p.Unpack(&pb.Frame{Body: &pb.Frame_Packed{Packed: &pb.Packed{Size: size, Zstd: b}}})
		if err != nil {
			return
		}
		if proto.Size(inner) > 2*MaxFrameBytes {
			t.Errorf("%d bytes came out", proto.Size(inner))
		}
		_, _ = Decode(inner) // must not panic
	})
}

func TestPlain(t *testing.T) {
	rich, poor := valid(), valid()
	rich.Entry.XAttrs, rich.Entry.Mode = someXAttrs(t), 0o4755
	c := Changes{"gallery", []farm.Change{poor, rich}}
	plain, any := Plain(c)
	if e := plain.List[1].Entry; !any || e.Mode != 0o755 || len(e.XAttrs.Encoded()) > 0 {
		t.Errorf("%v, %o, %q", any, e.Mode, e.XAttrs.Encoded())
	}
	if c.List[1].Entry.Mode != 0o4755 {
		t.Error("the original was changed")
	}
	if _, any := Plain(Changes{"gallery", []farm.Change{poor}}); any {
		t.Error("a plain change is not plain")
	}
}
