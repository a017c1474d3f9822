package main

import (
	"github.com/spf13/cobra"

	"tandem/internal/farm"
)

func (a *app) memberPause(on bool) *cobra.Command {
	verb, short := "resume", "let a paused member get and give changes again"
	long := "It and the others catch up with what happened meanwhile; what was written on both sides is decided as after any partition."
	if on {
		verb, short = "pause", "let a member get and give no changes for a while"
		long = `Its sites are served on from what it has, heartbeats and the configuration still reach it, and every status says that it is
paused. The pause stands in farm.toml, so it outlives restarts, until tandem member resume.`
	}
	return &cobra.Command{
		Use: verb + " NAME", Short: short, Long: long, Example: "tandem member " + verb + " web3", Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.client().PauseMember(cmd.Context(), farm.MemberID(args[0]), on); err != nil {
				return err
			}
			a.ui.say("member %s is %sd", args[0], verb)
			return nil
		},
	}
}
