package wire

import (
	"slices"

	"tandem/internal/farm"
)

// Capability is the protocol version from which on something can be done. A session uses it only when both sides speak
// that version: see Can.
type Capability uint32

// What came after protocol 1.
const (
	CanRelay Capability = 2 // Heard, and whom a member is linked with
	CanPack  Capability = 2 // compressed frames
	CanRich  Capability = 2 // extended attributes, setuid and setgid
	CanRenew Capability = 2 // the call Renew
	CanMove  Capability = 2 // Move
)

// Can tells whether a session of that protocol version has the capability.
func Can(protocol uint32, c Capability) bool { return protocol >= uint32(c) }

// Plain returns changes as protocol 1 has them, without extended attributes and without setuid and setgid bits; any tells
// whether something was taken away. The list is not changed.
func Plain(c Changes) (plain Changes, any bool) {
	list := c.List
	for i := range list {
		e := &list[i].Entry
		if e.Mode&farm.SpecialBits == 0 && len(e.XAttrs.Encoded()) == 0 {
			continue
		}
		if !any {
			any, list = true, slices.Clone(c.List)
		}
		list[i].Entry.Mode &^= farm.SpecialBits
		list[i].Entry.XAttrs = farm.XAttrs{}
	}
	return Changes{Folder: c.Folder, List: list}, any
}
