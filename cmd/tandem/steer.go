package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tandem/internal/control"
	"tandem/internal/farm"
)

// flowState is the state of a folder as lists show it, with what stops it.
func flowState(f control.Folder, c cell) (string, tone) {
	var s []string
	if f.Paused != nil {
		s = append(s, "paused")
	}
	if f.Braked != nil {
		s = append(s, "braked")
	}
	if f.Refused != "" {
		s = append(s, "refused")
	}
	if len(s) == 0 {
		return c.text, c.tone
	}
	if c.tone == good {
		c.tone = warn
	}
	return c.text + ", " + strings.Join(s, ", "), c.tone
}

// flowLines say what stops a folder here and on others, and which command lets it go on.
func flowLines(f control.Folder) (s []string) {
	if f.Paused != nil {
		s = append(s, fmt.Sprintf("paused since %s, said on %s; go on with: tandem folder resume %s", f.Paused.Since.UTC().Format(time.RFC3339), f.Paused.By, f.ID))
	}
	if f.Braked != nil {
		s = append(s, fmt.Sprintf("the brake holds %s that a scan found, more than %s. Are the files to be deleted everywhere: tandem folder release %s."+
			" Are they to come back from the others: tandem folder refuse %s", plural(f.Braked.Held, "deletion", "deletions"), grouped(int64(f.Braked.Limit)), f.ID, f.ID))
	}
	if f.Refused != "" {
		s = append(s, fmt.Sprintf("the check refuses what waits: %s. When this is mended: tandem folder retry %s", f.Refused, f.ID))
	}
	for _, p := range f.Peers {
		switch {
		case p.Refused != "":
			s = append(s, fmt.Sprintf("the check refuses what waits on %s: %s", p.Member, p.Refused))
		case p.Paused:
			s = append(s, fmt.Sprintf("paused on %s", p.Member))
		case p.Braked:
			s = append(s, fmt.Sprintf("the brake holds deletions on %s: see tandem folder show %s there", p.Member, f.ID))
		}
	}
	return s
}

func (a *app) folderShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show [NAME]",
		Short: "say all of one folder of this member",
		Long: `Shows how the folder is on this member: whether it is in sync and what for it waits, whether it is paused or braked, and how far
the others are. NAME may be left out if there is one folder.`,
		Example: "tandem folder show uploads\ntandem folder show uploads --json",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := a.folderName(cmd, args)
			if err != nil {
				return err
			}
			folders, err := a.client().Folders(cmd.Context())
			if err != nil {
				return err
			}
			for _, f := range folders {
				if f.ID == name {
					return a.show(f, func(u *ui) { printFolder(u, f) })
				}
			}
			return farm.Errorf("show folder", string(name), farm.NotFound, "this member does not hold the folder")
		},
	}
}

func printFolder(u *ui, f control.Folder) {
	row := func(name, format string, args ...any) { u.line("%s%s", pad(name, 11), fmt.Sprintf(format, args...)) }
	state, tone := flowState(f, cell{string(f.State), good})
	row("folder", "%s, at %s", f.ID, f.Path)
	row("state", "%s", u.paint(tone, state))
	if f.InSync {
		row("in sync", "%s", u.paint(good, "yes"))
	} else {
		row("in sync", "%s", u.paint(bad, "no: "+f.Reason))
	}
	row("holds", "%s entries, %s", grouped(f.Entries), size(f.Bytes))
	row("waiting", "%s", plural(int(f.Waiting), "path", "paths"))
	if f.Watch != "" {
		row("watch", "%s", f.Watch)
	}
	if f.ReadOnly {
		row("read only", "what is changed here is undone and preserved")
	}
	for _, s := range flowLines(f) {
		row("", "%s", u.paint(warn, s))
	}
	if s := unkept(f.Unkept); s != "" {
		row("unkept", "%s", s)
	}
	if p := f.Preserved; p.Files > 0 {
		row("preserved", "%s of %s: tandem conflicts list --folder %s", plural(p.Files, "file", "files"), size(p.Bytes), f.ID)
	}
	if len(f.Peers) == 0 {
		return
	}
	u.line("")
	t := table{head: []string{"MEMBER", "LINKED", "BACKLOG", "FOLDER"}}
	for _, p := range f.Peers {
		linked, flow := cell{"yes", good}, cell{"goes", good}
		if !p.Linked {
			linked = cell{"no", bad}
		}
		if p.Evicted {
			linked = cell{"evicted", bad}
		}
		switch {
		case p.Paused:
			flow = cell{"paused", warn}
		case p.Braked:
			flow = cell{"braked", warn}
		case p.Refused != "":
			flow = cell{"refused", warn}
		}
		t.add(text(p.Member), linked, text(grouped(int64(p.Backlog))), flow)
	}
	t.print(u, "")
}

// steerTexts are the short and the long help of a verb, and what has been done when it was, and when it was so already.
var steerTexts = map[control.Verb]struct{ short, long, done, was string }{
	control.VerbPause: {"send and install no changes of a folder for a while",
		`Changes that are made here are still noticed and travel afterwards, files that others need are still given to them, and sites are
served on. The pause outlives restarts, until tandem folder resume. The folder is not in sync meanwhile.`, "paused", "was paused already"},
	control.VerbResume: {"let a paused folder go on",
		"It catches up with what happened meanwhile; what was written on both sides is decided as after any partition.", "resumed", "was not paused"},
	control.VerbRelease: {"let the deletions that the brake holds be deleted everywhere",
		`The brake holds deletions that a scan found, when they are too many to be believed. After release they are deleted on the other
members too, where they are preserved for a while.`, "released", "is not braked"},
	control.VerbRefuse: {"get back from the other members what the brake found missing",
		`The brake holds deletions that a scan found, when they are too many to be believed. After refuse the files come back from the
others. What no other member has is gone.`, "refused", "is not braked"},
	control.VerbRetry: {"check again what a folder's check has refused",
		`Where the check command of a folder has refused what others changed, the previous files are back and the new ones wait. When what was
missing on this member is there, they are tried again.`, "being checked again", "has nothing that was refused"},
}

func (a *app) steerCommand(verb control.Verb) *cobra.Command {
	var all bool
	texts := steerTexts[verb]
	cmd := &cobra.Command{
		Use: string(verb) + " NAME", Short: texts.short, Long: texts.long,
		Example: fmt.Sprintf("tandem folder %s uploads\ntandem folder %s uploads --all", verb, verb), Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := farm.ParseFolderID(args[0])
			if err != nil {
				return misuse(cmd, err)
			}
			done, err := a.client().SteerFolder(cmd.Context(), name, verb, all)
			if err != nil {
				return err
			}
			if a.json {
				err = a.ui.json(done)
			} else {
				a.saySteered(done)
			}
			if err != nil {
				return err
			}
			return steerFault(done)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "on all linked members that hold the folder, too")
	return cmd
}

func (a *app) saySteered(done control.Steered) {
	texts := steerTexts[done.Verb]
	for _, m := range done.Members {
		switch {
		case m.Problem != "":
		case !m.Changed:
			a.ui.say("%s %s on %s", done.Folder, texts.was, m.Member)
		case m.Held > 0:
			a.ui.say("%s is %s on %s: %s", done.Folder, texts.done, m.Member, plural(m.Held, "deletion", "deletions"))
		default:
			a.ui.say("%s is %s on %s", done.Folder, texts.done, m.Member)
		}
	}
}

// steerFault is an error if a member could not be told, or did not do it.
func steerFault(done control.Steered) error {
	var s []string
	for _, m := range done.Members {
		if m.Problem != "" {
			s = append(s, fmt.Sprintf("%s: %s", m.Member, m.Problem))
		}
	}
	for _, m := range done.Silent {
		s = append(s, fmt.Sprintf("%s: %s", m.Member, m.Reason))
	}
	if len(s) == 0 {
		return nil
	}
	return farm.Errorf(string(done.Verb)+" folder", string(done.Folder), farm.Unavailable, "not on %s", strings.Join(s, "; "))
}
