package wire

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tandem/internal/farm"
)

// Codec is gRPC's protobuf codec with a look at the shape of a message before it is decoded. A list of four million
// empty elements fits into a frame but not into memory.
func Codec() encoding.CodecV2 { return codec{encoding.GetCodecV2(protocodec.Name)} }

type codec struct{ encoding.CodecV2 }

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return farm.Errorf("decode", "", farm.Internal, "%T is no protobuf message", v)
	}
	buf := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buf.Free()
	return Unmarshal(buf.ReadOnlyData(), m)
}

// Unmarshal decodes protobuf bytes from outside. Error farm.Invalid if they are malformed or exceed a limit.
func Unmarshal(b []byte, m proto.Message) error {
	if len(b) > MaxFrameBytes {
		return farm.Errorf("decode", "frame", farm.Invalid, "%d bytes are more than %d", len(b), MaxFrameBytes)
	}
	s := shape{left: 2 * MaxFramePositions}
	if err := s.check(b, m.ProtoReflect().Descriptor()); err != nil {
		return &farm.Error{Op: "decode", Path: string(m.ProtoReflect().Descriptor().Name()), Kind: farm.Invalid, Err: err}
	}
	if err := proto.Unmarshal(b, m); err != nil {
		return farm.Errorf("decode", "frame", farm.Invalid, "%w", err)
	}
	return nil
}

// maxFieldNumber bounds the field numbers of our messages; a test holds it.
const maxFieldNumber = 31

// shape counts what a message would allocate.
type shape struct {
	left int // elements of all lists that may still come
}

// check walks the bytes of one message: no list has more than MaxList elements, no single field stands twice (protobuf
// would merge the two, lists and all), nothing nests deeper than the messages do.
func (s *shape) check(b []byte, d protoreflect.MessageDescriptor) error {
	var count [maxFieldNumber + 1]int
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		n = protowire.ConsumeFieldValue(number, kind, b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		value := b[:n]
		b = b[n:]
		field := d.Fields().ByNumber(number)
		if field == nil {
			continue // of a later protocol: protobuf keeps the bytes and nothing else
		}
		elements, err := s.field(value, kind, field)
		if err != nil {
			return err
		}
		if count[number] += elements; field.IsList() {
			s.left -= elements
		}
		if most := maxCount(field); count[number] > most {
			return fmt.Errorf("%s has more than %d elements", field.FullName(), most)
		}
		if s.left < 0 {
			return fmt.Errorf("all lists together have more than %d elements", 2*MaxFramePositions)
		}
	}
	return nil
}

func maxCount(f protoreflect.FieldDescriptor) int {
	if f.IsList() {
		return MaxList
	}
	return 1
}

// field looks into a value and returns how many elements it is.
func (s *shape) field(value []byte, kind protowire.Type, f protoreflect.FieldDescriptor) (int, error) {
	if kind != protowire.BytesType {
		return 1, nil
	}
	inner, n := protowire.ConsumeBytes(value)
	if n < 0 {
		return 0, protowire.ParseError(n)
	}
	switch {
	case f.Kind() == protoreflect.MessageKind:
		return 1, s.check(inner, f.Message())
	case f.IsList() && f.IsPacked():
		return varints(inner), nil
	}
	return 1, nil
}

// varints is the number of variable-length integers in a packed list: all of ours are of that kind.
func varints(b []byte) int {
	n := 0
	for _, x := range b {
		if x < 0x80 {
			n++
		}
	}
	return n
}
