package main

import (
	"os"

	"github.com/spf13/cobra"

	"tandem/internal/farm"
)

func (a *app) demoCommand() *cobra.Command {
	o := demoOptions{Out: a.ui.out}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "a farm of two nodes and an edge on this machine",
		Long: `Starts three members, each a process of its own on a loopback address of its own, and a small gallery application
on each node that writes what visitors upload into the site's folder. Prints the URLs and then a line per event. Ctrl-C
leaves nothing behind, neither process nor file, except what --dir names.`,
		Example: `tandem demo
tandem demo --kill-after 10s   # see the edge carry on
tandem demo --dir /tmp/farm    # keep it; start it again with the same`,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.JSON = a.json
			var err error
			if o.Executable, err = os.Executable(); err != nil {
				return &farm.Error{Op: "demo", Kind: farm.Unsupported, Err: err}
			}
			return a.parts.Demo(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Dir, "dir", "", "`directory` to keep the farm in (default a temporary one)")
	f.DurationVar(&o.KillAfter, "kill-after", 0, "kill a node after this `time`, and bring it back")
	return cmd
}

// demoAppCommand is what the demo's sites stand in front of.
func (a *app) demoAppCommand() *cobra.Command {
	var o appOptions
	cmd := &cobra.Command{
		Use:    "demo-app",
		Short:  "the gallery that the demo serves",
		Hidden: true,
		Args:   takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.parts.App(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Listen, "listen", "127.0.0.1:0", "`address` to answer on")
	cmd.Flags().StringVar(&o.Node, "node", "", "`name` that its pages show")
	cmd.Flags().StringVar(&o.Dir, "dir", ".", "`directory` of the pictures")
	return cmd
}
