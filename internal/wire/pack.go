package wire

import (
	"math"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	"tandem/internal/farm"
	"tandem/internal/wire/pb"
)

// Bounds of packing.
const (
	packFromBytes   = 2 << 10 // smaller frames are sent as they are
	sampleBytes     = 4 << 10 // of a content, to see whether it may get smaller
	packedEntropy   = 7.0     // bits per byte above which it is compressed already
	packMinGain     = 8       // a packed frame is an eighth smaller at least, or not sent packed
	unpackedAtATime = 2
)

// Packer compresses frames, and opens those that were. It may be used by any goroutine.
type Packer struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

// NewPacker makes a Packer.
func NewPacker() (*Packer, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(unpackedAtATime), zstd.WithDecoderMaxMemory(MaxFrameBytes),
		zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, err
	}
	return &Packer{enc, dec}, nil
}

// Pack returns the frame compressed, or as it is if that would not pay: it is small, or most of it is content that is
// compressed already.
func (p *Packer) Pack(f *pb.Frame) *pb.Frame {
	size := proto.Size(f)
	if size < packFromBytes || 2*dense(f) > size {
		return f
	}
	b, err := proto.Marshal(f)
	if err != nil {
		return f // to send it will tell
	}
	packed := p.enc.EncodeAll(b, make([]byte, 0, len(b)/2))
	if len(packed) > len(b)-len(b)/packMinGain {
		return f
	}
	return &pb.Frame{Body: &pb.Frame_Packed{Packed: &pb.Packed{Size: uint32(len(b)), Zstd: packed}}}
}

// dense is how many bytes of content in a frame would not get smaller.
func dense(f *pb.Frame) (n int) {
	for _, e := range f.GetChanges().GetEntries() {
		if incompressible(e.GetContent()) {
			n += len(e.GetContent())
		}
	}
	return n
}

// logs are n*log2(n): 256 logarithms for each small file cost more than packing some of them.
var logs = func() (t [sampleBytes + 1]float64) {
	for n := 2; n < len(t); n++ {
		t[n] = float64(n) * math.Log2(float64(n))
	}
	return t
}()

// incompressible guesses from the distribution of some bytes in the middle.
func incompressible(b []byte) bool {
	if len(b) < 512 {
		return false
	}
	if extra := len(b) - sampleBytes; extra > 0 {
		b = b[extra/2 : extra/2+sampleBytes]
	}
	var count [256]int
	for _, x := range b {
		count[x]++
	}
	sum := 0.0
	for _, n := range count {
		sum += logs[n]
	}
	return math.Log2(float64(len(b)))-sum/float64(len(b)) > packedEntropy
}

// Unpack returns the frame in a packed one; others as they are. Error farm.Invalid if it is not what it says, is larger
// than a frame may be, or is packed again: no more is decompressed than a frame may have.
func (p *Packer) Unpack(f *pb.Frame) (*pb.Frame, error) {
	body, ok := f.GetBody().(*pb.Frame_Packed)
	if !ok {
		return f, nil
	}
	bad := func(format string, args ...any) (*pb.Frame, error) {
		return nil, farm.Errorf("decode frame", "packed", farm.Invalid, format, args...)
	}
	size := body.Packed.GetSize()
	if size == 0 || size > MaxFrameBytes {
		return bad("%d bytes are none, or more than %d", size, MaxFrameBytes)
	}
	b, err := p.dec.DecodeAll(body.Packed.GetZstd(), make([]byte, 0, size))
	if err != nil {
		return bad("%w", err)
	}
	if uint32(len(b)) != size {
		return bad("%d bytes for a size of %d", len(b), size)
	}
	inner := new(pb.Frame)
	if err := Unmarshal(b, inner); err != nil {
		return nil, err
	}
	if _, again := inner.GetBody().(*pb.Frame_Packed); again {
		return bad("it is packed twice")
	}
	return inner, nil
}
