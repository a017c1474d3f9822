package member

import (
	"context"
	"errors"
	"slices"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

// siteNames are the sites of a configuration, as people call them.
func siteNames(c *config.Config) (names []string) {
	for _, s := range c.Sites {
		names = append(names, config.SiteName(s.File))
	}
	return names
}

// Maintain implements control.Maintainer. It is a revision, so it reaches all edges, outlives restarts and stands in the
// history.
func (m *Member) Maintain(ctx context.Context, req control.Maintenance) error {
	c := m.config()
	if c == nil {
		return farm.Errorf("maintenance", req.Site, farm.Unavailable, "the member is starting")
	}
	if sites := siteNames(c); req.Site != config.AllSites && req.On && !slices.Contains(sites, req.Site) {
		return &farm.Error{Op: "maintenance", Path: req.Site, Kind: farm.NotFound, Err: errors.New("there is no site of that name"),
			Next: config.DidYouMean(req.Site, sites)}
	}
	name, what := "site "+req.Site, " is in service"
	if req.Site == config.AllSites {
		name = "all sites"
	}
	if req.On {
		what = " in maintenance"
	}
	rev, err := m.reload.Update(ctx, name+what, func(files map[string][]byte) (map[string][]byte, error) {
		src, err := files[config.FarmFile], error(nil)
		if req.On {
			src, err = config.SetMaintenance(src, config.Maintenance{Site: req.Site, Message: req.Message, RetryAfter: req.RetryAfter, Allow: req.Allow})
		} else {
			src, err = config.EndMaintenance(src, req.Site)
		}
		if err != nil {
			return nil, err
		}
		files[config.FarmFile] = src
		return files, nil
	})
	if err == nil {
		m.awaitVerdicts(ctx, rev.Digest)
	}
	return err
}

// maintenanceStatus is what the live configuration says.
func maintenanceStatus(c *config.Config) []control.Maintenance {
	list := []control.Maintenance{}
	for _, t := range c.Maintenance {
		list = append(list, control.Maintenance{Site: t.Site, On: true, Message: t.Message, RetryAfter: t.RetryAfter, Allow: t.Allow})
	}
	return list
}
