package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"tandem/internal/farm"
	"tandem/internal/wire/pb"
)

// roundTrip sends a message through bytes.
func roundTrip(m Message) (Message, error) {
	f, err := Encode(m)
	if err != nil {
		return nil, err
	}
	b, err := proto.Marshal(f)
	if err != nil {
		return nil, err
	}
	return fromBytes(b)
}

func fromBytes(b []byte) (Message, error) {
	var f pb.Frame
	if err := Unmarshal(b, &f); err != nil {
		return nil, err
	}
	return Decode(&f)
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := messages.Draw(t, "message")
		got, err := roundTrip(m)
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := m.(Changes); ok && c.List == nil {
			c.List = []farm.Change{} // no difference is made between none and nil
			m = c
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("sent     %+v\nreceived %+v", m, got)
		}
	})
}

func TestSizeIsAnUpperBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(changesList, 1, 20).Draw(t, "list")
		f, err := Encode(Changes{"gallery", list})
		if err != nil {
			t.Fatal(err)
		}
		most := 0
		for i := range list {
			most += Size(&list[i])
		}
		f.Actors = nil // counted apart: there is one table per frame
		if got := proto.Size(f); got > most {
			t.Errorf("%d bytes, Size said at most %d", got, most)
		}
	})
}

func valid() farm.Change {
	p := farm.Position{Actor: farm.Actor{Member: "web1", Epoch: 7}, Seq: 17}
	v := farm.Version{Dot: p, Vector: farm.VectorOf(p), Time: 99 << 16}
	v.Content, v.Meta = v.Stamp(), v.Stamp()
	return farm.Change{Content: []byte("hello"), Sent: time.Unix(1, 2), Entry: farm.Entry{Path: farm.MustPath("img/7.jpg"), Version: v,
		Attr: farm.Attr{Type: farm.File, Mode: 0o640, Size: 5, Digest: farm.Digest{1}, MTime: 123}}}
}

func TestDecodeNamesTheField(t *testing.T) {
	for field, harm := range map[string]func(*pb.Frame){
		"body":                             func(f *pb.Frame) { f.Body = nil },
		"actors.member":                    func(f *pb.Frame) { f.Actors[0].Member = "../etc" },
		"changes.folder":                   func(f *pb.Frame) { f.GetChanges().Folder = "a/b" },
		"changes.entries[0].path":          entry(func(e *pb.Entry) { e.Path = []byte("../x") }),
		"changes.entries[0].path ":         entry(func(e *pb.Entry) { e.Path = []byte("/etc/passwd") }),
		"changes.entries[0].path  ":        entry(func(e *pb.Entry) { e.Path = []byte("a\x00") }),
		"changes.entries[0].path   ":       entry(func(e *pb.Entry) { e.Path = []byte(farm.PrivateDir + "/staging/x") }),
		"changes.entries[0].type":          entry(func(e *pb.Entry) { e.Type = 9 }),
		"changes.entries[0].type ":         entry(func(e *pb.Entry) { e.Type = -1 }),
		"changes.entries[0].mode":          entry(func(e *pb.Entry) { e.Mode = 0o14755 }),
		"changes.entries[0].xattrs":        entry(func(e *pb.Entry) { e.Xattrs = []byte("\x06user.a") }),
		"changes.entries[0].size":          entry(func(e *pb.Entry) { e.Size = -1 }),
		"changes.entries[0].digest":        entry(func(e *pb.Entry) { e.Digest = []byte("short") }),
		"changes.entries[0].digest ":       entry(func(e *pb.Entry) { e.Digest = nil }),
		"changes.entries[0].target":        entry(func(e *pb.Entry) { e.Target = []byte("x") }),
		"changes.entries[0].target ":       entry(func(e *pb.Entry) { e.Target = make([]byte, farm.MaxPathBytes+1) }),
		"changes.entries[0].user":          entry(func(e *pb.Entry) { e.User = make([]byte, MaxOwnerBytes+1) }),
		"changes.entries[0].actor":         entry(func(e *pb.Entry) { e.Actor = 2 }),
		"changes.entries[0].actor ":        entry(func(e *pb.Entry) { e.Actor = 1 << 31 }),
		"changes.entries[0].dot":           entry(func(e *pb.Entry) { e.Seq = 0 }),
		"changes.entries[0].dot ":          entry(func(e *pb.Entry) { e.Actor = 0 }),
		"changes.entries[0].vector":        entry(func(e *pb.Entry) { e.VectorSeqs = []uint64{16} }),
		"changes.entries[0].vector ":       entry(func(e *pb.Entry) { e.VectorSeqs = nil }),
		"changes.entries[0].vector  ":      entry(func(e *pb.Entry) { e.VectorActors, e.VectorSeqs = []uint32{1, 1}, []uint64{17, 18} }),
		"changes.entries[0].vector   ":     entry(func(e *pb.Entry) { e.VectorActors, e.VectorSeqs = make([]uint32, 2000), make([]uint64, 2000) }),
		"changes.entries[0].content_stamp": entry(func(e *pb.Entry) { e.ContentStamp = &pb.Stamp{Actor: 3} }),
		"changes.entries[0].lost":          entry(func(e *pb.Entry) { e.LostActors, e.LostSeqs = make([]uint32, 65), make([]uint64, 65) }),
		"changes.entries[0].content":       entry(func(e *pb.Entry) { e.Content = []byte("four") }),
		"changes.entries[0].content ": entry(func(e *pb.Entry) {
			e.Content, e.Size = make([]byte, farm.InlineBytes+1), farm.InlineBytes+1
		}),
		"changes.entries[0].content  ": entry(func(e *pb.Entry) { e.Type, e.Size, e.Digest = pb.Type_DIR, 0, nil }),
	} {
		f, err := Encode(Changes{"gallery", []farm.Change{valid()}})
		if err != nil {
			t.Fatal(err)
		}
		harm(f)
		_, err = Decode(f)
		var e *farm.Error
		if !errors.As(err, &e) || e.Kind != farm.Invalid || e.Path != strings.TrimRight(field, " ") {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

func entry(harm func(*pb.Entry)) func(*pb.Frame) {
	return func(f *pb.Frame) { harm(f.GetChanges().Entries[0]) }
}

func TestEncodeKeepsTheLimits(t *testing.T) {
	many := valid()
	for i := range farm.Epoch(MaxList) {
		many.Entry.Version.Vector = many.Entry.Version.Vector.With(farm.Position{Actor: farm.Actor{Member: "web2", Epoch: i + 1}, Seq: 1})
	}
	big := valid()
	big.Content = make([]byte, farm.InlineBytes)
	big.Entry.Size = farm.InlineBytes
	for name, m := range map[string]Message{
		"entries": Changes{"gallery", make([]farm.Change, MaxEntries+1)},
		"actors":  Changes{"gallery", []farm.Change{many}},
		"bytes":   Changes{"gallery", slicesRepeat(big, 65)},
		"folders": State{farm.MemberState{Folders: manyFolders(MaxList + 1)}},
	} {
		if _, err := Encode(m); farm.KindOf(err) != farm.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := roundTrip(Changes{"gallery", slicesRepeat(big, 63)}); err != nil {
		t.Errorf("a full frame: %v", err)
	}
}

func TestFaultsAreCutToTheLimits(t *testing.T) {
	v := farm.Verdict{Faults: make([]string, 2*MaxList), Sites: map[string]string{}}
	v.Faults[0] = strings.Repeat("x", 2*MaxTextBytes)
	for i := range 2 * MaxList {
		v.Sites[fmt.Sprintf("%d.caddy", i)] = "refused"
	}
	m, err := roundTrip(State{farm.MemberState{Member: "web1", Verdict: v}})
	if err != nil {
		t.Fatal(err)
	}
	got := m.(State).Verdict
	if len(got.Faults) != MaxList || len(got.Faults[0]) != MaxTextBytes || len(got.Sites) != MaxList {
		t.Errorf("%d faults, the first of %d bytes, %d sites", len(got.Faults), len(got.Faults[0]), len(got.Sites))
	}
}

func slicesRepeat(c farm.Change, n int) []farm.Change {
	out := make([]farm.Change, n)
	for i := range out {
		out[i] = c
	}
	return out
}

func manyFolders(n int) map[farm.FolderID]farm.FolderState {
	m := make(map[farm.FolderID]farm.FolderState, n)
	for i := range n {
		m[farm.FolderID(fmt.Sprintf("f%d", i))] = farm.FolderState{}
	}
	return m
}

// hostile bytes are small and would make protobuf allocate hundreds of megabytes.
func hostile() map[string][]byte {
	many := func(number protowire.Number, n int, inner []byte) []byte {
		var b []byte
		for range n {
			b = protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), inner)
		}
		return b
	}
	wrap := func(number protowire.Number, inner []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), inner)
	}
	vector := append(wrap(1, bytes.Repeat([]byte{1}, MaxList)), wrap(2, bytes.Repeat([]byte{1}, MaxList))...)
	return map[string][]byte{
		"empty entries":   wrap(5, many(2, 2_000_000, nil)),
		"empty actors":    many(1, 2_000_000, nil),
		"long vector":     wrap(6, wrap(2, wrap(2, bytes.Repeat([]byte{1}, 4_000_000)))),
		"split vector":    wrap(6, wrap(2, many(2, 100_000, []byte{1}))),
		"merged vectors":  wrap(6, many(2, 2_000, vector)),
		"many bodies":     many(3, 1_000_000, nil),
		"vectors overall": wrap(4, many(6, MaxList, append(append(wrap(3, vector), wrap(4, vector)...), wrap(5, vector)...))),
		"deep group":      bytes.Repeat([]byte{1<<3 | 3}, 1_000_000),
		"too long":        make([]byte, MaxFrameBytes+1),
		"cut short":       {0x2a, 0xff},
	}
}

func TestHostileBytesAllocateLittle(t *testing.T) {
	for name, b := range hostile() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := fromBytes(b)
			runtime.ReadMemStats(&after)
			if farm.KindOf(err) != farm.Invalid {
				t.Errorf("got %v", err)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
				t.Errorf("%d bytes allocated before it was refused", n)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, b := range hostile() {
		if len(b) < 1<<16 {
			f.Add(b)
		}
	}
	for _, m := range samples() {
		frame, err := Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		b, err := proto.Marshal(frame)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := fromBytes(b)
		if err != nil {
			if farm.KindOf(err) != farm.Invalid {
				t.Errorf("kind of %v", err)
			}
			return
		}
		again, err := roundTrip(m)
		if err != nil {
			t.Fatalf("what was decoded can't be sent on: %v", err)
		}
		if !reflect.DeepEqual(again, m) {
			t.Errorf("decoded %+v\nthen    %+v", m, again)
		}
	})
}

func TestFieldNumbersAreSmall(t *testing.T) {
	var walk func(protoreflect.MessageDescriptors)
	walk = func(list protoreflect.MessageDescriptors) {
		for i := range list.Len() {
			for j := range list.Get(i).Fields().Len() {
				f := list.Get(i).Fields().Get(j)
				if f.Number() > maxFieldNumber || f.IsMap() {
					t.Errorf("%s: the shape check does not count it", f.FullName())
				}
				if k := f.Kind(); f.IsPacked() && k != protoreflect.Uint32Kind && k != protoreflect.Uint64Kind && k != protoreflect.EnumKind {
					t.Errorf("%s: the shape check counts packed varints only", f.FullName())
				}
			}
			walk(list.Get(i).Messages())
		}
	}
	walk(pb.File_tandem_proto.Messages())
}

func TestAgree(t *testing.T) {
	for _, x := range []struct{ aMin, aMax, bMin, bMax, want uint32 }{
		{1, 1, 1, 1, 1}, {1, 3, 2, 5, 3}, {2, 5, 1, 3, 3}, {1, 1, 2, 3, 0}, {2, 3, 1, 1, 0},
	} {
		got, err := Agree(Hello{ProtocolMin: x.aMin, ProtocolMax: x.aMax}, Hello{ProtocolMin: x.bMin, ProtocolMax: x.bMax})
		if got != x.want || (err == nil) != (x.want != 0) || err != nil && farm.KindOf(err) != farm.Unsupported {
			t.Errorf("%+v: %d, %v", x, got, err)
		}
	}
}

func TestCalls(t *testing.T) {
	fetch := FetchRequest{"gallery", farm.MustPath("a/b"), farm.Digest{3}, 9, 10, true, farm.Digest{4}}
	if got, err := DecodeFetch(EncodeFetch(fetch)); err != nil || got != fetch {
		t.Errorf("fetch: %+v, %v", got, err)
	}
	join := JoinRequest{"web2", []byte("csr"), "id", []byte("secret"), "10.0.0.2:7443", []farm.Role{farm.RoleNode}}
	if got, err := DecodeJoin(EncodeJoin(join)); err != nil || !reflect.DeepEqual(got, join) {
		t.Errorf("join: %+v, %v", got, err)
	}
	reply := JoinReply{[]byte("cert"), []byte("ca"), []byte("key"), []byte("revision")}
	if got, err := DecodeJoinReply(EncodeJoinReply(reply)); err != nil || !reflect.DeepEqual(got, reply) {
		t.Errorf("join reply: %+v, %v", got, err)
	}
	for name, err := range map[string]error{
		"path":    second(DecodeFetch(&pb.FetchRequest{Folder: "f", Path: []byte("../x"), Digest: make([]byte, 32)})),
		"digest":  second(DecodeFetch(&pb.FetchRequest{Folder: "f", Path: []byte("x")})),
		"offset":  second(DecodeFetch(&pb.FetchRequest{Folder: "f", Digest: bytes.Repeat([]byte{1}, 32), Offset: -1})),
		"name":    second(DecodeJoin(&pb.JoinRequest{Name: "-"})),
		"roles":   second(DecodeJoin(&pb.JoinRequest{Name: "a", Roles: []pb.Role{9}})),
		"address": second(DecodeJoin(&pb.JoinRequest{Name: "a", Address: strings.Repeat("a", 256)})),
		"csr":     second(DecodeSign(&pb.SignRequest{Csr: make([]byte, MaxCertBytes+1)})),
		"method":  second(DecodeCall(&pb.CallRequest{Method: strings.Repeat("a", 65)})),
	} {
		var e *farm.Error
		if !errors.As(err, &e) || e.Kind != farm.Invalid || e.Path != name {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestKindsSurviveTheWay(t *testing.T) {
	for kind := farm.Other; kind <= farm.Internal; kind++ {
		err := FromStatus("fetch", "x", Status(farm.Errorf("open", "x", kind, "because")))
		if farm.KindOf(err) != kind || !strings.Contains(err.Error(), "because") {
			t.Errorf("%v became %v", kind, err)
		}
	}
	if err := FromStatus("fetch", "", Status(nil)); err != nil {
		t.Error(err)
	}
	for _, cause := range []error{context.Canceled, context.DeadlineExceeded} {
		if err := FromStatus("fetch", "", status.FromContextError(cause).Err()); !errors.Is(err, cause) {
			t.Errorf("%v became %v", cause, err)
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	c := valid()
	c.Content = make([]byte, 4096)
	c.Entry.Size = 4096
	m := Changes{"gallery", []farm.Change{c}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := roundTrip(m); err != nil {
			b.Fatal(err)
		}
	}
}
