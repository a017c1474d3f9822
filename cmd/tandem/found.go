package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"tandem/internal/control"
	"tandem/internal/farm"
)

func (a *app) initCommand() *cobra.Command {
	var farmName, name, address, listen string
	var roles []string
	var run bool
	cmd := &cobra.Command{
		Use:   "init",
		Short: "make a new farm, with this server as its first member",
		Long: `Makes the farm's certificate authority, this member's key and certificate, member.toml, and a farm.toml to edit.
An existing farm is never touched.`,
		Example: `tandem init                          # a node, named after this host
tandem init --role node,edge --run   # node and edge, and serve at once
tandem init --farm shop --name web1 --address 192.0.2.11`,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := initOptions{Paths: a.paths(), Farm: farmName, Listen: listen}
			var err error
			if o.Name, err = memberName(name); err != nil {
				return err
			}
			if o.Address, err = memberAddress(address); err != nil {
				return err
			}
			if o.Roles, err = memberRoles(roles); err != nil {
				return err
			}
			if err := a.parts.Init(cmd.Context(), o); err != nil {
				return err
			}
			a.ui.say("farm %s begins with member %s (%s) at %s", o.Farm, o.Name, joined(o.Roles), o.Address)
			a.ui.say("its configuration is in %s", o.Paths.Config)
			return a.startOr(cmd.Context(), run, "then print the command for the next server with: tandem invite")
		},
	}
	f := cmd.Flags()
	f.StringVar(&farmName, "farm", "farm", "`name` of the farm, for people")
	f.StringVar(&name, "name", "", "`name` of this member (default this host's name)")
	f.StringVar(&address, "address", "", "`host` or host:port at which the other members reach this one (default this host's address)")
	f.StringVar(&listen, "listen", "", "`address` on which to listen for the other members (default :7443)")
	f.StringSliceVar(&roles, "role", []string{"node"}, "`roles`: node, edge or node,edge")
	f.BoolVar(&run, "run", false, "serve at once: by systemd where tandem's unit is installed, otherwise here")
	return cmd
}

func (a *app) inviteCommand() *cobra.Command {
	var roles []string
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:   "invite [NAME]",
		Short: "print the command that joins another server",
		Long: `Prints one command to run on the other server: it joins the farm, fetches the folders and serves. The token in it
works once, until it expires. With NAME it works for a member of that name only.`,
		Example: `tandem invite
tandem invite web3 --role edge --ttl 10m
ssh web2 "$(tandem invite)"`,
		Args: takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := control.InviteRequest{TTLSec: int64(ttl / time.Second)}
			var err error
			if len(args) == 1 {
				if req.Name, err = memberName(args[0]); err != nil {
					return err
				}
			}
			if req.Roles, err = memberRoles(roles); err != nil {
				return err
			}
			inv, err := a.client().Invite(cmd.Context(), req)
			if err != nil {
				return err
			}
			if err := a.show(inv, func(u *ui) { u.line("%s", joinLine(inv)) }); err != nil || a.json {
				return err
			}
			a.ui.say("run that on the other server, once, before %s", inv.Expires.Local().Format("2006-01-02 15:04:05"))
			return nil
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&roles, "role", []string{"node"}, "`roles` of the new member: node, edge or node,edge")
	f.DurationVar(&ttl, "ttl", time.Hour, "how `long` the token works")
	return cmd
}

func joinLine(inv control.Invite) string {
	line := "tandem join " + inv.Token + " --run"
	if inv.Name != "" {
		line += " --name " + string(inv.Name)
	}
	return line
}

func (a *app) joinCommand() *cobra.Command {
	var name, address, listen string
	var run bool
	cmd := &cobra.Command{
		Use:   "join TOKEN",
		Short: "make this server a member of a farm",
		Long: `Makes this member's key, has the farm sign its certificate, and fetches the configuration. The token comes from
"tandem invite" on any member, and says which farm it is: no other one is believed.`,
		Example: `tandem join TOKEN --run
tandem join TOKEN --name web2 --address 192.0.2.12`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o := joinOptions{Paths: a.paths(), Listen: listen}
			var err error
			if o.Name, err = memberName(name); err != nil {
				return err
			}
			if o.Address, err = memberAddress(address); err != nil {
				return err
			}
			if err := a.parts.Join(cmd.Context(), args[0], o); err != nil {
				return err
			}
			a.ui.say("this server has joined as member %s at %s", o.Name, o.Address)
			return a.startOr(cmd.Context(), run, "then look with: tandem status")
		},
	}
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "`name` of this member (default this host's name)")
	f.StringVar(&address, "address", "", "`host` or host:port at which the other members reach this one (default this host's address)")
	f.StringVar(&listen, "listen", "", "`address` on which to listen for the other members (default :7443)")
	f.BoolVar(&run, "run", false, "serve at once: by systemd where tandem's unit is installed, otherwise here")
	return cmd
}

// startOr serves, or says how to and what comes then.
func (a *app) startOr(ctx context.Context, run bool, then string) error {
	unit := a.where.usual() && unitInstalled()
	switch {
	case run && unit:
		if err := startUnit(ctx); err != nil {
			return err
		}
		a.ui.say("systemd serves it now and after every boot; look with: tandem status")
		return nil
	case run:
		return a.serve(ctx, slog.LevelInfo)
	case unit:
		a.ui.say("serve with: systemctl enable --now %s", unitName)
	default:
		a.ui.say("serve with: tandem run%s", a.where.flags())
	}
	a.ui.say("%s", then)
	return nil
}

func (a *app) memberCommand() *cobra.Command {
	list := &cobra.Command{
		Use:     "list",
		Short:   "list the members of the farm",
		Example: "tandem member list\ntandem member list --json",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			members, err := a.client().Members(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(members, func(u *ui) { printMembers(u, "", members, time.Now()) })
		},
	}
	remove := &cobra.Command{
		Use:   "remove NAME",
		Short: "take a member out of the farm",
		Long: `From now on no member talks to it. Its folders stay on its disk as they are. It may come back with a new invite,
and is then seeded again.`,
		Example: "tandem member remove web3",
		Args:    takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.client().RemoveMember(cmd.Context(), farm.MemberID(args[0])); err != nil {
				return err
			}
			a.ui.say("member %s is removed", args[0])
			return nil
		},
	}
	return a.group("member", "list, pause and remove members", "tandem member list", list, a.memberPause(true), a.memberPause(false), remove)
}

// paths are the places as package member takes them.
func (a *app) paths() paths {
	return paths{Config: a.where.configDir(), State: a.where.stateDir(), Socket: a.where.socketPath()}
}

// flags are those that lead another command to the same places.
func (p places) flags() string {
	s := ""
	for _, f := range []struct{ name, value string }{{"config", p.config}, {"state", p.state}, {"socket", p.socket}} {
		if f.value != "" {
			s += fmt.Sprintf(" --%s %s", f.name, f.value)
		}
	}
	return s
}
