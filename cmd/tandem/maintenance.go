package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tandem/internal/config"
	"tandem/internal/control"
)

func (a *app) maintenanceCommand() *cobra.Command {
	return a.group("maintenance", "take a site out of service on all edges, and back", "tandem maintenance on shop\ntandem maintenance off shop",
		a.maintenanceOn(), a.maintenanceOff())
}

func (a *app) maintenanceOn() *cobra.Command {
	var m control.Maintenance
	cmd := &cobra.Command{
		Use:   "on [SITE]",
		Short: "let the edges answer for a site themselves",
		Long: `All edges answer visitors of the site with status 503, Retry-After and a page; requests that a node works on are finished. Visitors from
the addresses of --allow get through. It is a revision of the configuration, [maintenance.SITE] in farm.toml, and so it outlives
restarts, until tandem maintenance off. SITE is the name of its file, shop for sites/shop.caddy; without it all sites are meant.
Said again, it replaces what was said before.`,
		Example: "tandem maintenance on shop --message \"back at noon\" --allow 192.0.2.7\ntandem maintenance on",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m.Site, m.On = siteOf(args), true
			if err := a.client().Maintain(cmd.Context(), m); err != nil {
				return err
			}
			a.ui.say("%s in maintenance", sitePhrase(m.Site, "is", "are"))
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&m.Allow, "allow", nil, "`address` or network that gets through; may be given several times")
	cmd.Flags().StringVar(&m.Message, "message", "", "`text` that visitors read, or a page that begins with <")
	cmd.Flags().DurationVar(&m.RetryAfter, "retry-after", 5*time.Minute, "after how `long` visitors may come again")
	return cmd
}

func (a *app) maintenanceOff() *cobra.Command {
	return &cobra.Command{
		Use:     "off [SITE]",
		Short:   "send a site's visitors to the nodes again",
		Long:    "Ends what tandem maintenance on with the same SITE began.",
		Example: "tandem maintenance off shop",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m := control.Maintenance{Site: siteOf(args)}
			if err := a.client().Maintain(cmd.Context(), m); err != nil {
				return err
			}
			a.ui.say("%s in service", sitePhrase(m.Site, "is", "are"))
			return nil
		},
	}
}

// siteOf is the site of a command line; all of them if it names none.
func siteOf(args []string) string {
	if len(args) == 0 {
		return config.AllSites
	}
	return config.SiteName(args[0])
}

// sitePhrase is the subject of a sentence about a site, and its verb.
func sitePhrase(site, one, many string) string {
	if site == config.AllSites {
		return "all sites " + many
	}
	return site + " " + one
}

// printMaintenance says which sites the edges answer for themselves.
func printMaintenance(u *ui, list []control.Maintenance) {
	for _, m := range list {
		line := "  " + sitePhrase(m.Site, "is", "are") + " in maintenance"
		if len(m.Allow) > 0 {
			line += " for all but " + strings.Join(m.Allow, ", ")
		}
		u.line("%s", u.paint(warn, line))
	}
}
