package member

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"

	"tandem/internal/config"
	"tandem/internal/farm"
	"tandem/internal/shell"
	"tandem/internal/web"
)

// CheckConfig says what a daemon would refuse in a configuration, without one: what no farm.toml may say, and what does
// not compile in the site files.
func CheckConfig(ctx context.Context, files map[string][]byte) config.Faults {
	c, faults := config.Parse(files)
	if c == nil {
		return faults
	}
	log := slog.New(slog.DiscardHandler)
	sh := shell.New(shell.Config{Log: log, Sink: func(farm.Event) {}})
	defer func() { _ = sh.Close(ctx) }() // nothing is served
	parent, err := sh.Caddy()
	if err != nil {
		return append(faults, config.Fault{Message: err.Error()})
	}
	self := farm.MemberID("check")
	if nodes := c.With(farm.RoleNode); len(nodes) > 0 {
		self = nodes[0].Name
	}
	sites := web.New(web.Config{
		Parent: parent, Self: self, Own: func(netip.Addr) bool { return false }, Consistency: noFolders{}, Log: log,
	})
	defer sites.Close()
	p, err := sites.Prepare(ctx, nil, c)
	if p != nil {
		p.Discard()
	}
	var refused config.SiteFaults
	switch {
	case errors.As(err, &refused):
		faults = append(faults, refused.All()...)
	case err != nil:
		faults = append(faults, config.Fault{Message: err.Error()})
	}
	return faults
}

// noFolders stands for the folders of a member that does not run: it is never asked.
type noFolders struct{ web.Consistency }
