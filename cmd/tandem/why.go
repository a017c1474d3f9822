package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

func (a *app) whyCommand() *cobra.Command {
	var folder string
	cmd := &cobra.Command{
		Use:   "why PATH",
		Short: "say why a file is, or is not, the same on the members",
		Long: `Asks this member and all that are linked about one path: whether it is replicated and which rule says so, what it waits for, and
who wrote what should be there. PATH is a file of this machine; with --folder it is a path in that folder.`,
		Example: "tandem why /var/www/shop/img/7.jpg\ntandem why --folder shop img/7.jpg\ntandem why cache/page.html --json",
		Args:    takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := control.WhyQuery{Folder: farm.FolderID(folder), Path: args[0]}
			if folder == "" {
				abs, err := filepath.Abs(args[0])
				if err != nil {
					return &farm.Error{Op: "why", Path: args[0], Kind: farm.Invalid, Err: err}
				}
				q.Path = abs
			}
			why, err := a.client().Why(cmd.Context(), q)
			if err != nil {
				return err
			}
			return a.show(why, func(u *ui) { printWhy(u, why) })
		},
	}
	cmd.Flags().StringVar(&folder, "folder", "", "PATH is in this `folder`")
	return cmd
}

func printWhy(u *ui, w control.Why) {
	u.line("%s", u.paint(loud, fmt.Sprintf("%s in folder %s", w.Path, w.Folder)))
	for _, m := range w.Members {
		verdict, tone := verdictOf(m)
		u.line("")
		u.line("%s: %s", m.Member, u.paint(tone, verdict))
		for _, s := range whyLines(m) {
			u.line("  %s", s)
		}
	}
	for _, s := range w.Silent {
		u.line("")
		u.line("%s: %s", s.Member, u.paint(bad, "could not be asked: "+s.Reason))
	}
}

// verdictOf is the answer in one sentence.
func verdictOf(m control.WhyMember) (string, tone) {
	switch {
	case m.Halted != "":
		return "the folder is halted: " + m.Halted, bad
	case m.Private:
		return "not replicated: it is Tandem's own", quiet
	case m.Special == "mount":
		return "not replicated: another file system is mounted there", warn
	case m.Special != "":
		return "not replicated: it is a " + m.Special, warn
	case !m.Replicated:
		return "not replicated: " + ruleText(m.Rule), warn
	case m.Unreadable != "":
		return "it can't be looked at: " + m.Unreadable, bad
	case m.LeftOut && m.Passage:
		return "not replicated: " + ruleText(m.Rule) + ", and a directory there is only kept for what is included below it", warn
	case m.LeftOut:
		return "not replicated: it is larger than max_size, " + config.Size(m.MaxSize).String(), warn
	}
	switch m.State {
	case "at rest":
		switch {
		case !m.Known && m.Disk == nil:
			return "there is nothing, and there never was, as far as the farm knows", plain
		case !m.Known:
			return "it is on disk and was not looked at yet", warn
		case m.Deleted:
			return "replicated: it was deleted", good
		case slices.Contains(m.Unkept, "name"):
			return "not kept there: " + m.Problem, warn
		case len(m.Unkept) > 0:
			return "replicated, but what can't be kept there: " + strings.Join(m.Unkept, ", "), warn
		}
		return "replicated, and as it should be", good
	case "paused":
		return "it waits for the end of the pause: tandem folder resume", warn
	case "braked":
		return "it is missing there, and the brake holds its deletion: tandem folder release or refuse", warn
	case "kept":
		return "a directory that was deleted elsewhere and stays there: it holds files that are not replicated", warn
	case "parent":
		return "it waits for its directory", warn
	case "children":
		return "it waits for what is in it", warn
	case "looking":
		return "its disk is being looked at", plain
	case "install":
		return "it is being installed", plain
	case "retry":
		switch {
		case m.NoSource:
			return "it waits for its content, which no linked member has", bad
		case m.Problem != "":
			return "it is tried again, because the last time: " + m.Problem, bad
		}
		return "it is tried again soon: somebody is writing to it, or it changed meanwhile", warn
	}
	return "it waits: " + m.State, warn
}

// ruleText says which rule excludes or includes.
func ruleText(r *control.WhyRule) string {
	if r == nil {
		return "it is excluded"
	}
	verb := "exclude"
	if r.Include {
		verb = "include"
	}
	s := fmt.Sprintf("%s = %q", verb, r.Pattern)
	switch {
	case r.Default:
		return fmt.Sprintf("%q is left out by default (%s)", r.Pattern, r.Why)
	case r.Line > 0:
		s += fmt.Sprintf(" in line %d of farm.toml", r.Line)
	}
	return s + " matches " + r.Path
}

// whyLines is what else is known.
func whyLines(m control.WhyMember) (s []string) {
	add := func(name, format string, args ...any) { s = append(s, pad(name, 11)+fmt.Sprintf(format, args...)) }
	if m.Path != "" {
		add("path", "%s", m.Path)
	}
	if m.Halted != "" {
		return s
	}
	if m.Paused != nil {
		add("folder", "paused since %s, said on %s", m.Paused.Since.UTC().Format(time.RFC3339), m.Paused.By)
	}
	if m.Braked != nil {
		add("folder", "the brake holds %s", plural(m.Braked.Held, "deletion", "deletions"))
	}
	if m.ReadOnly {
		add("folder", "only read there: changes that are made there are undone")
	}
	if m.Replicated && m.Rule != nil && m.Rule.Include {
		add("rule", "%s", ruleText(m.Rule))
	}
	if m.Special == "" && !m.Private {
		add("on disk", "%s", fileText(m.Disk))
	}
	if !m.Known {
		return s
	}
	add("should be", "%s", fileText(m.Want))
	if m.Version != nil {
		add("written", "by %s, %s (version %s)", m.Version.Member, m.Version.Time.UTC().Format(time.RFC3339), m.Version.Version)
	}
	for _, l := range m.Lost {
		add("lost", "a version by %s, %s: tandem conflicts list", l.Member, l.Time.UTC().Format(time.RFC3339))
	}
	if m.Retry != nil {
		add("next try", "%s", m.Retry.UTC().Format(time.RFC3339))
	}
	return s
}

func fileText(f *control.WhyFile) string {
	if f == nil {
		return "nothing"
	}
	s := f.Type
	if f.Type == "file" {
		s += ", " + size(f.Size)
	}
	if f.Mode != "" {
		s += ", mode " + f.Mode
	}
	s += ", owner " + f.Owner
	if !f.MTime.IsZero() {
		s += ", of " + f.MTime.UTC().Format(time.RFC3339)
	}
	return s
}
