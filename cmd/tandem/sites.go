package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

// siteView is a site as site list and site show print it.
type siteView struct {
	Name     string   `json:"name"`
	File     string   `json:"file"`
	Hosts    []string `json:"hosts"`
	State    string   `json:"state"`          // "live", "refused" or "disabled"
	Bindings []string `json:"bindings"`       // addresses on this member, and what became of them
	Faults   []string `json:"faults"`         // why it is refused, by member
	Text     string   `json:"text,omitempty"` // of the file; not in the list
}

func (a *app) siteCommand() *cobra.Command {
	list := &cobra.Command{
		Use:   "list",
		Short: "list the sites of the farm",
		Long: `Shows for each site the names that it answers to, whether it is live, refused or disabled, and its addresses on this
member: those of other members are skipped here.`,
		Example: "tandem site list\ntandem site list --json",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, views, err := a.sites(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(views, func(u *ui) { printSiteList(u, views) })
		},
	}
	show := &cobra.Command{
		Use:     "show NAME",
		Short:   "say how a site is, and print its file",
		Example: "tandem site show shop",
		Args:    takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			head, views, err := a.sites(cmd.Context())
			if err != nil {
				return err
			}
			v, err := findSite(views, "show site", args[0])
			if err != nil {
				return err
			}
			v.Text = string(head.Files[v.File])
			return a.show(v, func(u *ui) { printSite(u, v) })
		},
	}
	return a.group("site", "list, add, disable and remove sites", "tandem site list", list, show, a.siteAdd(),
		a.siteChange("disable", "stop serving a site, and keep its file", "is not served any more; its file is kept", func(v siteView, files control.Files) {
			files[v.File+config.DisabledSuffix] = files[v.File]
			delete(files, v.File)
		}),
		a.siteChange("enable", "serve a site again that was disabled", "is served", func(v siteView, files control.Files) {
			files[strings.TrimSuffix(v.File, config.DisabledSuffix)] = files[v.File]
			delete(files, v.File)
		}),
		a.siteChange("remove", "remove a site", "is removed; the history has it: tandem config log", func(v siteView, files control.Files) {
			delete(files, v.File)
		}))
}

// sites are the farm's sites, with how they are on this member, and the revision that has them.
func (a *app) sites(ctx context.Context) (control.ConfigRevision, []siteView, error) {
	head, err := a.client().ConfigRevision(ctx, config.HeadName)
	if err != nil {
		return head, nil, err
	}
	st, err := a.client().Status(ctx)
	if err != nil {
		return head, nil, err
	}
	views := []siteView{}
	for _, file := range slices.Sorted(maps.Keys(head.Files)) {
		if file != config.FarmFile && strings.HasPrefix(file, config.SitesDir+"/") {
			views = append(views, viewOf(file, st))
		}
	}
	return head, views, nil
}

func viewOf(file string, st control.Status) siteView {
	base, disabled := strings.CutSuffix(strings.TrimPrefix(file, config.SitesDir+"/"), config.DisabledSuffix)
	v := siteView{Name: strings.TrimSuffix(base, config.SiteSuffix), File: file, Hosts: []string{}, Bindings: []string{}, Faults: []string{}, State: "live"}
	if disabled {
		v.State = "disabled"
		return v
	}
	for _, s := range st.Sites {
		if s.File == file {
			v.Hosts = s.Hosts
		}
	}
	for _, b := range st.Bindings {
		if b.For == file {
			says := b.Address + " " + string(b.State)
			if b.State == control.BindingRefused {
				says += ": " + b.Reason
			}
			v.Bindings = append(v.Bindings, says)
		}
	}
	for _, m := range st.Config.Members {
		if why := m.Sites[file]; why != "" {
			v.State = "refused"
			v.Faults = append(v.Faults, fmt.Sprintf("%s: %s", m.Member, why))
		}
	}
	return v
}

func findSite(views []siteView, op, name string) (siteView, error) {
	var names []string
	for _, v := range views {
		if v.Name == name || v.File == name {
			return v, nil
		}
		names = append(names, v.Name)
	}
	next := "there is none; see: tandem site add --help"
	if len(names) > 0 {
		next = "there are " + strings.Join(names[:min(len(names), 20)], ", ")
	}
	return siteView{}, &farm.Error{Op: op, Path: name, Kind: farm.NotFound, Next: next, Err: fmt.Errorf("the farm has no site of that name")}
}

func printSiteList(u *ui, views []siteView) {
	tones := map[string]tone{"live": good, "refused": bad, "disabled": quiet}
	t := table{head: []string{"SITE", "NAMES", "STATE", "HERE ON", "WHY NOT"}}
	for _, v := range views {
		hosts := make([]string, len(v.Hosts))
		for i, h := range v.Hosts {
			hosts[i] = cmp.Or(h, "any")
		}
		t.add(text(v.Name), text(strings.Join(hosts, ", ")), cell{v.State, tones[v.State]}, text(strings.Join(v.Bindings, ", ")), text(strings.Join(v.Faults, "; ")))
	}
	t.print(u, "")
}

func printSite(u *ui, v siteView) {
	printSiteList(u, []siteView{v})
	u.line("\n-- %s --", v.File)
	fmt.Fprint(u.out, v.Text)
}

// siteChange is a command that makes a revision in which one site is otherwise.
func (a *app) siteChange(verb, short, done string, change func(siteView, control.Files)) *cobra.Command {
	cmd := &cobra.Command{
		Use: verb + " NAME", Short: short, Args: takes(1, 1),
		Long:    "Live on all members when the command returns. tandem config rollback takes it back.",
		Example: "tandem site " + verb + " shop",
		RunE: func(cmd *cobra.Command, args []string) error {
			head, views, err := a.sites(cmd.Context())
			if err != nil {
				return err
			}
			v, err := findSite(views, verb+" site", args[0])
			if err != nil {
				return err
			}
			if disabled := v.State == "disabled"; verb == "enable" && !disabled || verb == "disable" && disabled {
				return farm.Errorf(verb+" site", v.Name, farm.Invalid, "it is %sd already", verb)
			}
			change(v, head.Files)
			return a.applySites(cmd.Context(), head, fmt.Sprintf("site %s: %s", v.Name, verb), fmt.Sprintf("site %s %s", v.Name, done))
		},
	}
	return cmd
}

// applySites makes a revision of the head's files as they were changed, unless somebody has made another one meanwhile.
func (a *app) applySites(ctx context.Context, head control.ConfigRevision, message, say string) error {
	e := control.ConfigEdit{Files: head.Files, Message: message, IfRevision: head.Revision}
	done, err := a.client().ApplyConfig(ctx, e)
	if err != nil {
		return err
	}
	if err := a.applied(ctx, e, done); err != nil {
		return err
	}
	a.ui.say("%s", say)
	return nil
}
