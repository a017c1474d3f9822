package member

import (
	"context"
	"slices"
	"time"
)

// addressLook is the time between looks at the addresses of this member's interfaces. Asking costs some 50 us.
const addressLook = 500 * time.Millisecond

// watchAddresses has bindings taken up on addresses that appear, and let go on those that vanish, until ctx ends.
func (m *Member) watchAddresses(ctx context.Context) error {
	if len(m.file.Addresses) > 0 {
		return nil // member.toml says which they are, whether they are there or not
	}
	t := time.NewTicker(addressLook)
	defer t.Stop()
	was := slices.Sorted(slices.Values(m.ownAddresses()))
	var since time.Time // that a virtual address is about to move back
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		since = m.letGo(since)
		if is := slices.Sorted(slices.Values(m.ownAddresses())); !slices.Equal(is, was) {
			m.log.Info("the addresses of this member have changed", "were", was, "are", is)
			was = is
			m.reload.Again()
		}
	}
}
