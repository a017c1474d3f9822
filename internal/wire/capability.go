package wire

// Capability is the protocol version from which on something can be done. A session uses it only when both sides speak
// that version: see Can.
type Capability uint32

// What came after protocol 1.
const (
	CanRelay Capability = 2 // Heard, and whom a member is linked with
	CanPack  Capability = 2 // compressed frames
)

// Can tells whether a session of that protocol version has the capability.
func Can(protocol uint32, c Capability) bool { return protocol >= uint32(c) }
