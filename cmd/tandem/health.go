package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"tandem/internal/control"
	"tandem/internal/farm"
)

func (a *app) healthCommand() *cobra.Command {
	var edge bool
	cmd := &cobra.Command{
		Use:   "health",
		Short: "say by the exit status whether all is well",
		Long: `Ends with 0 if nothing is wrong, for a monitor; otherwise with 6, and says what. With --edge it asks only whether visitors should
come to this edge: its daemon answers, does not drain, listens, and has a node to send them to. That is the check of keepalived.`,
		Example: "tandem health\ntandem health --edge",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := a.client().Status(cmd.Context())
			if err != nil {
				return err
			}
			h := control.HealthOf(st)
			if edge {
				h = control.EdgeHealthOf(st)
			}
			if err := a.show(h, func(u *ui) {
				if h.OK {
					u.line("ok")
				}
			}); err != nil || h.OK {
				return err
			}
			return &farm.Error{Op: "health", Path: string(st.Member), Kind: farm.Unavailable, Err: errors.New(strings.Join(h.Reasons, "; "))}
		},
	}
	cmd.Flags().BoolVar(&edge, "edge", false, "only whether visitors should come to this edge")
	return cmd
}
