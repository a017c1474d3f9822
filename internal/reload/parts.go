package reload

import (
	"context"
	"errors"
	"maps"

	"tandem/internal/config"
)

// Part is a part of the program that lives by the configuration.
type Part interface {
	// Prepare makes ready all that next needs, beside what is in use now: binds sockets, builds handlers. It changes
	// nothing that anybody can see, and keeps nothing if it fails. Old is the configuration that is live, nil when none
	// is; it can be next itself, when a revision that was refused in part is tried again.
	//
	// A part that can do without some sites returns what it has prepared together with config.SiteFaults; those sites
	// stay as they are, or are left out. Any other error refuses the whole.
	Prepare(ctx context.Context, old, next *config.Config) (Prepared, error)
}

// Prepared is a configuration that can be made live in no time. One of the two is called, once. It is an alias, so that
// a part can name the type without importing this package.
type Prepared = interface {
	// Commit makes it live. It can't fail and does not wait for what is in use to end.
	Commit()
	// Discard gives back what was made ready.
	Discard()
}

// prepareAll prepares every part, or none.
func (r *Reloader) prepareAll(ctx context.Context, next *config.Config) (*prepared, error) {
	old := r.state.Load().config
	all := &prepared{config: next, sites: config.SiteFaults{}}
	for _, part := range r.cfg.Parts {
		p, err := part.Prepare(ctx, old, next)
		var sites config.SiteFaults
		if errors.As(err, &sites) && p != nil {
			maps.Copy(all.sites, sites)
		} else if err != nil {
			all.discard()
			return nil, err
		}
		if p != nil {
			all.parts = append(all.parts, p)
		}
	}
	return all, nil
}

// prepared is a configuration that every part has prepared.
type prepared struct {
	config *config.Config
	parts  []Prepared
	sites  config.SiteFaults // those that are left out
}

func (p *prepared) commit() {
	for _, part := range p.parts {
		part.Commit()
	}
}

func (p *prepared) discard() {
	for _, part := range p.parts {
		part.Discard()
	}
}
