package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tandem/internal/control"
	"tandem/internal/farm"
)

// drainPoll is how often a drain is looked at.
const drainPoll = 200 * time.Millisecond

func (a *app) drainCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "drain [NODE]",
		Short: "send a node no new visitors, and wait until it can be stopped",
		Long: `The edges send no new visitors to the node; those that are bound to it (affinity) stay for a limited time. The requests under way are
finished, and what was written on the node reaches the other members. When nothing stands in the way, the node can be stopped and
nobody notices. It stays so, over restarts too, until tandem undrain. NODE is this member unless it is named.`,
		Example: "tandem drain\ntandem drain web2 --timeout 10m && ssh web2 systemctl reboot\ntandem drain web2 --timeout 0    # only say it",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := a.memberName(cmd, args)
			if err != nil {
				return err
			}
			d, err := a.client().Drain(cmd.Context(), name, control.DrainOn)
			if err == nil && timeout > 0 {
				d, err = a.awaitDrained(cmd.Context(), d, timeout)
			}
			if err != nil {
				return err
			}
			if a.json {
				err = a.ui.json(d)
			} else if d.Safe {
				a.ui.line("%s is safe to stop", d.Member)
			} else if timeout <= 0 {
				a.ui.line("%s drains: %s", d.Member, drainLeft(d))
			}
			if err == nil && !d.Safe && timeout > 0 {
				return &farm.Error{Op: "drain", Path: string(d.Member), Kind: farm.Unavailable, Err: fmt.Errorf("not safe to stop after %v: %s", timeout, drainLeft(d)),
					Next: "it takes no new visitors; go on waiting with: tandem drain " + string(d.Member)}
			}
			return err
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 2*time.Minute, "how `long` to wait; 0: not at all")
	return cmd
}

func (a *app) undrainCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "undrain [NODE]",
		Short:   "send a node visitors again",
		Long:    "Ends what tandem drain began. NODE is this member unless it is named.",
		Example: "tandem undrain web2",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := a.memberName(cmd, args)
			if err != nil {
				return err
			}
			d, err := a.client().Drain(cmd.Context(), name, control.DrainOff)
			if err != nil {
				return err
			}
			return a.show(d, func(u *ui) { u.line("%s takes visitors", d.Member) })
		},
	}
}

// memberName is the member of a command line, else the daemon's own.
func (a *app) memberName(cmd *cobra.Command, args []string) (farm.MemberID, error) {
	if len(args) > 0 {
		name, err := farm.ParseMemberID(args[0])
		if err != nil {
			return "", misuse(cmd, err)
		}
		return name, nil
	}
	st, err := a.client().Status(cmd.Context())
	return st.Member, err
}

// awaitDrained looks at the drain until the member is safe to stop, or the time is over, and says what it waits for.
func (a *app) awaitDrained(ctx context.Context, d control.Drain, limit time.Duration) (control.Drain, error) {
	t := time.NewTicker(drainPoll)
	defer t.Stop()
	defer a.ui.working("")
	end := time.After(limit)
	for said := ""; !d.Safe; {
		if left := drainLeft(d); left != said {
			a.ui.working(fmt.Sprintf("%s drains: %s", d.Member, left))
			said = left
		}
		select {
		case <-t.C:
		case <-end:
			return d, nil
		case <-ctx.Done():
			return d, ctx.Err()
		}
		var err error
		if d, err = a.client().Drain(ctx, d.Member, control.DrainShow); err != nil {
			return d, err
		}
		if !d.Draining {
			return d, farm.Errorf("drain", string(d.Member), farm.Conflict, "somebody has ended the drain")
		}
	}
	return d, nil
}

// drainLeft says what stands in the way of stopping a member.
func drainLeft(d control.Drain) string {
	var left []string
	if !d.Settled {
		if d.BoundUntil != nil {
			left = append(left, "visitors that are bound to it may come until "+d.BoundUntil.UTC().Format(time.TimeOnly)+" UTC")
		} else {
			left = append(left, "the edges are told")
		}
	}
	if len(d.Virtual) > 0 {
		left = append(left, "it has "+strings.Join(d.Virtual, " and ")+", until keepalived moves that to another edge")
	}
	if d.Active > 0 {
		left = append(left, plural(int(d.Active), "request is", "requests are")+" under way")
	}
	for _, p := range d.Behind {
		if p.Member == "" {
			left = append(left, fmt.Sprintf("no other member is linked that could have what was written in %s", p.Folder))
			continue
		}
		left = append(left, fmt.Sprintf("%s lacks %s of %s", p.Member, plural(int(p.Changes), "change", "changes"), p.Folder))
	}
	if len(left) == 0 {
		return "nothing is left to wait for"
	}
	return strings.Join(left, "; ")
}
