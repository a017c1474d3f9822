package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
	"unique"

	"tandem/internal/farm"
)

var errShort = errors.New("value ends too early")

// decoder takes from b. After the first error all it takes is zero.
type decoder struct {
	b      []byte
	err    error
	actors []farm.Actor // named so far

	version2 bool // the value has at least format 2
}

// decodeRecord is the inverse of encodeRecord. It does not keep b.
func decodeRecord(p farm.Path, b []byte) (farm.Record, error) {
	d := decoder{b: b}
	d.format()
	r := farm.Record{Path: p}
	flags := d.recordFlags()
	if n := d.count(minEntryBytes); n > 0 {
		r.Known = make([]farm.Entry, n)
	}
	for i := range r.Known {
		r.Known[i] = farm.Entry{Path: p, Attr: d.attr(), Version: d.version()}
	}
	r.Disk = d.disk(r.Known, flags)
	if flags&recordIntent != 0 {
		intent := d.disk(r.Known, d.recordFlags())
		r.Intent = &intent
	}
	return r, d.end()
}

func (d *decoder) recordFlags() uint16 {
	flags := d.uint16()
	if flags >= recordFlagsEnd {
		d.fail("unknown flags %#x", flags)
	}
	return flags
}

// The least sizes of what is written several times: a count is never believed beyond what can still follow.
const (
	minEntryBytes    = 2 + 1 + 2 + 1 + 8
	minPositionBytes = 2
	minAwayBytes     = 2
)

func (d *decoder) disk(known []farm.Entry, flags uint16) (disk farm.Disk) {
	if len(known) == 0 && flags&(diskAttrKnown|diskStampsKnown|diskContextKnown) != 0 {
		d.fail("what is on disk refers to a version, and there is none")
	}
	if d.err != nil {
		return disk
	}
	if flags&diskAttrKnown != 0 {
		disk.Attr = known[0].Attr
	} else {
		disk.Attr = d.attr()
	}
	if flags&diskStampsKnown != 0 {
		disk.Content, disk.Meta = known[0].Version.Content, known[0].Version.Meta
	} else {
		disk.Content, disk.Meta = d.stamp(), d.stamp()
	}
	if flags&diskContextKnown != 0 {
		disk.Context = known[0].Version.Vector
	} else {
		disk.Context = d.vector()
	}
	if flags&diskLost != 0 {
		disk.Lost = d.positions()
	}
	if flags&diskStat != 0 {
		disk.Stat = d.stat(disk, flags)
	}
	return disk
}

func (d *decoder) stat(disk farm.Disk, flags uint16) farm.Fingerprint {
	s := farm.Fingerprint{Dev: d.uint(), Ino: d.uint(), Mode: d.uint32(), Racy: flags&statRacy != 0}
	if s.Size = disk.Size; flags&statSizeAttr == 0 {
		s.Size = d.int()
	}
	if s.MTime = disk.MTime; flags&statMTimeAttr == 0 {
		s.MTime = int64(d.time())
	}
	s.CTime = s.MTime + d.int()
	if s.UID, s.GID = disk.Owner.UID, disk.Owner.GID; flags&statOwnerAttr == 0 {
		s.UID, s.GID = d.uint32(), d.uint32()
	}
	return s
}

func (d *decoder) attr() (a farm.Attr) {
	flags := d.byte()
	a.Type = farm.Type(flags & 3)
	a.Mode = d.uint32()
	more := d.version2 && a.Mode&modeXAttrs != 0
	a.Mode &= modeXAttrs - 1
	if flags&attrMTime != 0 {
		a.MTime = int64(d.time())
	}
	if flags&attrSize != 0 {
		a.Size = d.int()
	}
	if flags&attrDigest != 0 {
		copy(a.Digest[:], d.take(len(a.Digest)))
	}
	if flags&attrTarget != 0 {
		a.Target = string(d.bytes())
	}
	if flags&attrIDs != 0 {
		a.Owner.UID, a.Owner.GID = d.uint32(), d.uint32()
	}
	if flags&attrNames != 0 {
		a.Owner.User, a.Owner.Group = d.name(), d.name()
	}
	if more {
		a.XAttrs = d.xattrs()
	}
	return a
}

func (d *decoder) xattrs() farm.XAttrs {
	x, err := farm.ParseXAttrs(string(d.bytes()))
	if err != nil || x.IsZero() {
		d.fail("extended attributes: %w", errors.Join(err, errShort))
	}
	return x
}

func (d *decoder) version() (v farm.Version) {
	flags := d.byte()
	if flags >= versionFlagsEnd {
		d.fail("unknown flags %#x of a version", flags)
	}
	v.Dot = d.position()
	v.Vector = d.vector()
	v.Time = farm.HLC(d.time())
	v.Content, v.Meta = v.Stamp(), v.Stamp()
	if flags&contentSelf == 0 {
		v.Content = d.stamp()
	}
	if flags&metaSelf == 0 {
		v.Meta = d.stamp()
	}
	if flags&versionLost != 0 {
		v.Lost = d.positions()
	}
	return v
}

// decodeMeta is the inverse of encodeMeta.
func decodeMeta(b []byte) (farm.Meta, error) {
	d := decoder{b: b}
	d.format()
	m := farm.Meta{
		Actor:   d.actor(),
		Seq:     farm.Seq(d.uint()),
		Known:   d.vector(),
		Durable: d.vector(),
		Clock:   farm.HLC(d.time()),
		Boot:    string(d.bytes()),
	}
	flags := d.byte()
	if flags >= metaFlagsEnd {
		d.fail("flags %x of meta are not known", flags)
	}
	m.Clean = flags&metaClean != 0
	if flags&metaSeed != 0 {
		m.Seed = d.seed()
	}
	if flags&metaAway != 0 {
		m.Forgot, m.Away = d.vector(), d.away()
	}
	return m, d.end()
}

func (d *decoder) seed() farm.Seed {
	s := farm.Seed{Mode: farm.SeedMode(d.byte()), Extra: farm.ExtraFiles(d.byte())}
	if s.Mode > farm.SeedFound || s.Extra > farm.ExtraPush {
		d.fail("seed mode %d or choice %d is not known", s.Mode, s.Extra)
	}
	s.Since = d.int()
	for _, t := range []*farm.Tally{&s.Equal, &s.Different, &s.Missing} {
		t.Count, t.Bytes = d.int(), d.int()
	}
	return s
}

func (d *decoder) away() []farm.Away {
	n := d.count(minAwayBytes)
	if n == 0 {
		return nil
	}
	list := make([]farm.Away, n)
	for i := range list {
		list[i] = farm.Away{Member: farm.MemberID(d.bytes()), For: time.Duration(d.int())}
	}
	return list
}

func (d *decoder) vector() farm.Vector { return vectorOf(d.positions()) }

// vectorOf is farm.VectorOf in steps of halves, so that a long vector does not take quadratic time.
func vectorOf(ps []farm.Position) farm.Vector {
	if len(ps) <= 2 {
		return farm.VectorOf(ps...)
	}
	return vectorOf(ps[:len(ps)/2]).Join(vectorOf(ps[len(ps)/2:]))
}

func (d *decoder) positions() []farm.Position {
	n := d.count(minPositionBytes)
	if n == 0 {
		return nil
	}
	ps := make([]farm.Position, n)
	for i := range ps {
		ps[i] = d.position()
	}
	return ps
}

func (d *decoder) stamp() farm.Stamp { return farm.Stamp{Dot: d.position(), Time: farm.HLC(d.time())} }

func (d *decoder) position() farm.Position {
	return farm.Position{Actor: d.actor(), Seq: farm.Seq(d.uint())}
}

func (d *decoder) actor() farm.Actor {
	switch i := d.uint(); {
	case i < uint64(len(d.actors)):
		return d.actors[i]
	case i > uint64(len(d.actors)):
		d.fail("actor %d of %d", i, len(d.actors))
		return farm.Actor{}
	}
	a := farm.Actor{Member: farm.MemberID(d.name()), Epoch: farm.Epoch(d.uint())}
	d.actors = append(d.actors, a)
	return a
}

func (d *decoder) format() {
	f := d.byte()
	if f < formatOldest || f > format {
		d.fail("format %d of this value is not known", f)
	}
	d.version2 = f >= 2
}

func (d *decoder) end() error {
	if d.err == nil && len(d.b) > 0 {
		d.fail("%d bytes too many", len(d.b))
	}
	return d.err
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
	d.b = nil
}

// take returns the next n bytes, which stay the caller's of decode.
func (d *decoder) take(n int) []byte {
	if n < 0 || n > len(d.b) {
		if d.err == nil {
			d.err = errShort
		}
		d.b = nil
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

// count is a number of things that take at least size bytes each.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.b)/size) {
		d.fail("%d things in %d bytes", n, len(d.b))
		return 0
	}
	return int(n)
}

func (d *decoder) bytes() []byte { return d.take(d.count(1)) }

// name is a string that many values share: of a member, a user, a group.
func (d *decoder) name() string { return unique.Make(string(d.bytes())).Value() }

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint16() uint16 {
	if b := d.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) time() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) uint32() uint32 {
	n := d.uint()
	if n > math.MaxUint32 {
		d.fail("%d does not fit into 32 bits", n)
		return 0
	}
	return uint32(n)
}

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.take(len(d.b) + 1)
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) int() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		d.take(len(d.b) + 1)
		return 0
	}
	d.b = d.b[size:]
	return n
}

// DecodeRecord is the inverse of EncodeRecord.
func DecodeRecord(p farm.Path, b []byte) (farm.Record, error) { return decodeRecord(p, b) }
