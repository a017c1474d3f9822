package index

import (
	"encoding/binary"

	"tandem/internal/farm"
)

// format is the first byte of every value. A new form of records or meta takes the next number; decode goes on reading
// the old ones.
//
// Format 2 of a record, after that byte:
//
//	uint16   recordFlags: what of Disk is written, and what equals its neighbour and is not
//	uvarint  number of Known; each: attr, version
//	         Disk: attr, two stamps, vector, list of lost positions, fingerprint; each only if the flags say so
//	         Intent, only if the flags say so: uint16 recordFlags, then as Disk
//
//	attr     byte of type (2 bits) and attrFlags; uvarint mode and modeXAttrs; the fields flagged, in the order of the
//	         flags; string of extended attributes, if modeXAttrs
//	version  byte of versionFlags; position; vector; time; stamps and lost positions if flagged
//	stamp    position, time
//	position actor, uvarint sequence
//	actor    uvarint index into the actors that this value has named so far; the next index names another one:
//	         string member, uvarint epoch
//	vector   uvarint length, positions ordered by actor
//	time     8 bytes, big endian
//	string   uvarint length, bytes
//
// Format 1 had no extended attributes; all else is the same.
//
// Actors are interned per value and not per store: with one or two actors in a record the latter would save ten bytes
// of some hundred, and a record could no longer be read without the rest of the store.
const format = 2

// formatOldest is the first that is still read.
const formatOldest = 1

// modeXAttrs, in the number that is the mode, says that extended attributes follow.
const modeXAttrs = 1 << 12

// recordFlags.
const (
	diskAttrKnown    = 1 << iota // Disk.Attr is that of Known[0]
	diskStampsKnown              // Disk.Content and Disk.Meta are those of Known[0]
	diskContextKnown             // Disk.Context is the vector of Known[0]
	diskLost                     // Disk.Lost is not empty
	diskStat                     // Disk.Stat is not zero
	statSizeAttr                 // Disk.Stat.Size is Disk.Size
	statMTimeAttr                // Disk.Stat.MTime is Disk.MTime
	statOwnerAttr                // Disk.Stat.UID and GID are those of Disk.Owner
	statRacy                     // Disk.Stat.Racy
	recordIntent                 // an Intent follows: flags of its own, then as Disk
	recordFlagsEnd
)

// attrFlags, above the two bits of the type.
const (
	attrMTime  = 4 << iota // not 0
	attrSize               // not 0
	attrDigest             // not zero
	attrTarget             // not empty
	attrIDs                // UID or GID not 0
	attrNames              // User or Group not empty
)

// metaFlags, after all that every meta has; what they announce follows in their order.
const (
	metaClean = 1 << iota // Meta.Clean
	metaSeed              // Meta.Seed is not zero: mode, choice, start, three tallies
	metaAway              // Meta.Forgot or Meta.Away is not empty: both
	metaFlagsEnd
)

// versionFlags.
const (
	contentSelf = 1 << iota // Content is the version's own stamp
	metaSelf                // Meta is the version's own stamp
	versionLost             // Lost is not empty
	versionFlagsEnd
)

// encoder appends to b.
type encoder struct {
	b      []byte
	actors []farm.Actor // named so far
}

// encodeRecord appends all of r but its path.
func encodeRecord(b []byte, r farm.Record) []byte {
	e := encoder{b: append(b, format)}
	flags := flagsOf(r.Known, r.Disk)
	if r.Intent != nil {
		flags |= recordIntent
	}
	e.b = binary.BigEndian.AppendUint16(e.b, flags)
	e.uint(uint64(len(r.Known)))
	for _, k := range r.Known {
		e.attr(k.Attr)
		e.version(k.Version)
	}
	e.disk(r.Disk, flags)
	if r.Intent != nil {
		flags = flagsOf(r.Known, *r.Intent)
		e.b = binary.BigEndian.AppendUint16(e.b, flags)
		e.disk(*r.Intent, flags)
	}
	return e.b
}

func (e *encoder) disk(d farm.Disk, flags uint16) {
	if flags&diskAttrKnown == 0 {
		e.attr(d.Attr)
	}
	if flags&diskStampsKnown == 0 {
		e.stamp(d.Content)
		e.stamp(d.Meta)
	}
	if flags&diskContextKnown == 0 {
		e.vector(d.Context)
	}
	if flags&diskLost != 0 {
		e.positions(d.Lost)
	}
	if flags&diskStat != 0 {
		e.stat(d, flags)
	}
}

// flagsOf is about d, which is Disk or Intent of a record.
func flagsOf(known []farm.Entry, d farm.Disk) uint16 {
	var flags uint16
	set := func(f uint16, on bool) {
		if on {
			flags |= f
		}
	}
	if len(known) > 0 {
		k := known[0]
		set(diskAttrKnown, d.Attr == k.Attr)
		set(diskStampsKnown, d.Content == k.Version.Content && d.Meta == k.Version.Meta)
		set(diskContextKnown, d.Context.Equal(k.Version.Vector))
	}
	set(diskLost, len(d.Lost) > 0)
	if d.Stat != (farm.Fingerprint{}) {
		set(diskStat, true)
		set(statSizeAttr, d.Stat.Size == d.Size)
		set(statMTimeAttr, d.Stat.MTime == d.MTime)
		set(statOwnerAttr, d.Stat.UID == d.Owner.UID && d.Stat.GID == d.Owner.GID)
		set(statRacy, d.Stat.Racy)
	}
	return flags
}

func (e *encoder) attr(a farm.Attr) {
	flags := byte(a.Type) & 3
	set := func(f byte, on bool) {
		if on {
			flags |= f
		}
	}
	set(attrMTime, a.MTime != 0)
	set(attrSize, a.Size != 0)
	set(attrDigest, !a.Digest.IsZero())
	set(attrTarget, a.Target != "")
	set(attrIDs, a.Owner.UID != 0 || a.Owner.GID != 0)
	set(attrNames, a.Owner.User != "" || a.Owner.Group != "")
	e.b = append(e.b, flags)
	mode := uint64(a.Mode)
	if !a.XAttrs.IsZero() {
		mode |= modeXAttrs
	}
	e.uint(mode)
	if flags&attrMTime != 0 {
		e.time(uint64(a.MTime))
	}
	if flags&attrSize != 0 {
		e.int(a.Size)
	}
	if flags&attrDigest != 0 {
		e.b = append(e.b, a.Digest[:]...)
	}
	if flags&attrTarget != 0 {
		e.string(a.Target)
	}
	if flags&attrIDs != 0 {
		e.uint(uint64(a.Owner.UID))
		e.uint(uint64(a.Owner.GID))
	}
	if flags&attrNames != 0 {
		e.string(a.Owner.User)
		e.string(a.Owner.Group)
	}
	if !a.XAttrs.IsZero() {
		e.string(a.XAttrs.Encoded())
	}
}

func (e *encoder) version(v farm.Version) {
	var flags byte
	if v.Content == v.Stamp() {
		flags |= contentSelf
	}
	if v.Meta == v.Stamp() {
		flags |= metaSelf
	}
	if len(v.Lost) > 0 {
		flags |= versionLost
	}
	e.b = append(e.b, flags)
	e.position(v.Dot)
	e.vector(v.Vector)
	e.time(uint64(v.Time))
	if flags&contentSelf == 0 {
		e.stamp(v.Content)
	}
	if flags&metaSelf == 0 {
		e.stamp(v.Meta)
	}
	if flags&versionLost != 0 {
		e.positions(v.Lost)
	}
}

func (e *encoder) stat(d farm.Disk, flags uint16) {
	e.uint(d.Stat.Dev)
	e.uint(d.Stat.Ino)
	e.uint(uint64(d.Stat.Mode))
	if flags&statSizeAttr == 0 {
		e.int(d.Stat.Size)
	}
	if flags&statMTimeAttr == 0 {
		e.time(uint64(d.Stat.MTime))
	}
	e.int(d.Stat.CTime - d.Stat.MTime) // wraps on absurd times, and back when it is read
	if flags&statOwnerAttr == 0 {
		e.uint(uint64(d.Stat.UID))
		e.uint(uint64(d.Stat.GID))
	}
}

// encodeMeta appends m.
func encodeMeta(b []byte, m farm.Meta) []byte {
	e := encoder{b: append(b, format)}
	e.actor(m.Actor)
	e.uint(uint64(m.Seq))
	e.vector(m.Known)
	e.vector(m.Durable)
	e.time(uint64(m.Clock))
	e.string(m.Boot)
	var flags byte
	if m.Clean {
		flags |= metaClean
	}
	if m.Seed != (farm.Seed{}) {
		flags |= metaSeed
	}
	if m.Forgot.Len() > 0 || len(m.Away) > 0 {
		flags |= metaAway
	}
	e.b = append(e.b, flags)
	if flags&metaSeed != 0 {
		e.seed(m.Seed)
	}
	if flags&metaAway != 0 {
		e.vector(m.Forgot)
		e.away(m.Away)
	}
	return e.b
}

func (e *encoder) seed(s farm.Seed) {
	e.b = append(e.b, byte(s.Mode), byte(s.Extra))
	e.int(s.Since)
	for _, t := range []farm.Tally{s.Equal, s.Different, s.Missing} {
		e.int(t.Count)
		e.int(t.Bytes)
	}
}

func (e *encoder) away(list []farm.Away) {
	e.uint(uint64(len(list)))
	for _, a := range list {
		e.string(string(a.Member))
		e.int(int64(a.For))
	}
}

func (e *encoder) vector(v farm.Vector) {
	e.uint(uint64(v.Len()))
	for p := range v.All() {
		e.position(p)
	}
}

func (e *encoder) positions(ps []farm.Position) {
	e.uint(uint64(len(ps)))
	for _, p := range ps {
		e.position(p)
	}
}

func (e *encoder) stamp(s farm.Stamp) {
	e.position(s.Dot)
	e.time(uint64(s.Time))
}

func (e *encoder) position(p farm.Position) {
	e.actor(p.Actor)
	e.uint(uint64(p.Seq))
}

func (e *encoder) actor(a farm.Actor) {
	for i, known := range e.actors {
		if known == a {
			e.uint(uint64(i))
			return
		}
	}
	e.uint(uint64(len(e.actors)))
	e.string(string(a.Member))
	e.uint(uint64(a.Epoch))
	e.actors = append(e.actors, a)
}

func (e *encoder) string(s string) {
	e.uint(uint64(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) time(t uint64) { e.b = binary.BigEndian.AppendUint64(e.b, t) }
func (e *encoder) uint(n uint64) { e.b = binary.AppendUvarint(e.b, n) }
func (e *encoder) int(n int64)   { e.b = binary.AppendVarint(e.b, n) }

// EncodeRecord is a row of the index, without its path, as bytes that every later version can decode.
func EncodeRecord(r farm.Record) []byte { return encodeRecord(nil, r) }
