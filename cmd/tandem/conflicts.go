package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tandem/internal/control"
	"tandem/internal/farm"
)

func (a *app) conflictsCommand() *cobra.Command {
	return a.group("conflicts", "list, compare and restore files that lost a conflict or were deleted", `tandem conflicts list
tandem conflicts diff k3v9
tandem conflicts restore k3v9`,
		a.conflictsListCommand(), a.conflictsShowCommand(), a.conflictsDiffCommand(), a.conflictsRestoreCommand(), a.conflictsDropCommand())
}

// selection are the flags that say which preserved files are meant.
type selection struct {
	folder, path, reason, since, member string
}

func (s *selection) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.folder, "folder", "", "only of the `folder`")
	f.StringVar(&s.path, "path", "", "only what the `pattern` matches, as img/** or *.php; a directory stands for all below it")
	f.StringVar(&s.reason, "reason", "", "only with the `reason`: "+joined(farm.Reasons()))
	f.StringVar(&s.since, "since", "", "only what was preserved in the last `time` (2d, 3h) or since a moment (2006-01-02T15:04:05Z)")
	f.StringVar(&s.member, "member", "", "only what the `member` keeps")
}

func (s *selection) any() bool { return *s != selection{} }

func (s *selection) query(cmd *cobra.Command, ids []string) (control.ConflictQuery, error) {
	q := control.ConflictQuery{IDs: ids, Folder: farm.FolderID(s.folder), Path: s.path, Reason: farm.Reason(s.reason), Member: farm.MemberID(s.member)}
	if s.since != "" {
		at, err := sinceTime(s.since, time.Now())
		if err != nil {
			return q, misuse(cmd, err)
		}
		q.Since = at
	}
	for _, r := range farm.Reasons() {
		if q.Reason == "" || q.Reason == r {
			return q, nil
		}
	}
	return q, misuse(cmd, fmt.Errorf("--reason %q is none of %s", s.reason, joined(farm.Reasons())))
}

func (a *app) conflictsListCommand() *cobra.Command {
	var s selection
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list what the members keep, the newest first",
		Long: `Lists preserved files of all linked members: what lost a conflict, what was deleted on another member, and what else could
not stay (see docs/conflicts.md). The beginning of an id is enough for the other commands.`,
		Example: `tandem conflicts list
tandem conflicts list --reason conflict --since 2d
tandem conflicts list --folder shop --path 'img/**' --json`,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := s.query(cmd, nil)
			if err != nil {
				return err
			}
			if q.Limit = limit; limit < 1 || limit > control.MaxConflicts {
				return misuse(cmd, fmt.Errorf("--limit is 1 to %d, not %d", control.MaxConflicts, limit))
			}
			list, err := a.client().Conflicts(cmd.Context(), q)
			if err != nil {
				return err
			}
			a.saySilent(list.Silent)
			return a.show(list, func(u *ui) { printConflicts(u, list, time.Now()) })
		},
	}
	s.flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", 200, "at most so `many`")
	return cmd
}

// saySilent talks of members that could not be asked.
func (a *app) saySilent(silent []control.Silent) {
	for _, s := range silent {
		a.ui.say("%s could not be asked: %s", s.Member, s.Reason)
	}
}

func (a *app) conflictsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "say all that is known of a preserved file",
		Example: "tandem conflicts show k3v9\ntandem conflicts show k3v9 --json",
		Args:    takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := a.client().Conflicts(cmd.Context(), control.ConflictQuery{IDs: args})
			if err != nil {
				return err
			}
			if len(list.List) != 1 {
				return farm.Errorf("show", args[0], farm.Internal, "%d files were found", len(list.List))
			}
			return a.show(list.List[0], func(u *ui) { printConflict(u, list.List[0], time.Now()) })
		},
	}
}

func (a *app) conflictsDiffCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "diff ID [PATH]",
		Short: "compare a preserved file with the current one",
		Long: `Prints what changed from the preserved file to the one that is in its place now, or to the one at PATH in the folder: for
text a unified diff, for the rest sizes and digests.`,
		Example: "tandem conflicts diff k3v9\ntandem conflicts diff k3v9 config.old.php",
		Args:    takes(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := control.DiffRequest{ID: args[0]}
			if len(args) == 2 {
				req.Path = args[1]
			}
			d, err := a.client().DiffConflict(cmd.Context(), req)
			if err != nil {
				return err
			}
			return a.show(d, func(u *ui) { printConflictDiff(u, d) })
		},
	}
}

func (a *app) conflictsRestoreCommand() *cobra.Command {
	var s selection
	req := control.RestoreRequest{}
	cmd := &cobra.Command{
		Use:   "restore [ID...]",
		Short: "bring preserved files back into their folder",
		Long: `Brings files back to where they were, with their attributes, on this member and so on all. What one of the others keeps is
fetched from there. Files are named by their ids or selected by flags; of several versions of a path the latest is taken. A
file that is there and differs stays, unless --force says otherwise; then it is preserved itself.`,
		Example: `tandem conflicts restore k3v9
tandem conflicts restore k3v9 --to config.old.php
tandem conflicts restore --reason deleted --path 'img/**' --since 2h`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !s.any() {
				return misuse(cmd, errors.New("which files? name ids, or select some with --path, --reason and the like"))
			}
			var err error
			if req.Query, err = s.query(cmd, args); err != nil {
				return err
			}
			started := time.Now()
			r, err := a.client().RestoreConflicts(cmd.Context(), req, func(done, count int) { a.ui.working(restoring(done, count, time.Since(started))) })
			a.ui.working("")
			if err != nil {
				return err
			}
			a.saySilent(r.Silent)
			if err := a.show(r, func(u *ui) { printRestored(u, r) }); err != nil {
				return err
			}
			return restoreError(r)
		},
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&req.To, "to", "", "`path` in the folder to restore the one file to")
	cmd.Flags().BoolVar(&req.Force, "force", false, "also in the place of another file, which is preserved")
	return cmd
}

func (a *app) conflictsDropCommand() *cobra.Command {
	var s selection
	var all, yes bool
	cmd := &cobra.Command{
		Use:   "drop [ID...]",
		Short: "remove preserved files for good",
		Long: `Removes preserved files from all linked members that keep them. Without --yes it only says what would go. Without ids it
wants --all, which takes all that the other flags select.`,
		Example: `tandem conflicts drop k3v9 --yes
tandem conflicts drop --all --reason deleted --path 'cache/**' --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 && !all:
				return misuse(cmd, errors.New("which files? name ids, or select some with --all and --path, --reason and the like"))
			case len(args) > 0 && (all || s.any()):
				return misuse(cmd, errors.New("name ids or select by flags, not both"))
			}
			q, err := s.query(cmd, args)
			if err != nil {
				return err
			}
			if !yes {
				return a.wouldDrop(cmd, q)
			}
			d, err := a.client().DropConflicts(cmd.Context(), q)
			if err != nil {
				return err
			}
			a.saySilent(d.Silent)
			return a.show(d, func(u *ui) { u.line("%s removed, %s", plural(d.Count, "file", "files"), size(d.Bytes)) })
		},
	}
	s.flags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "all that the other flags select")
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

// wouldDrop says what a drop would remove, and that it did not.
func (a *app) wouldDrop(cmd *cobra.Command, q control.ConflictQuery) error {
	list, err := a.client().Conflicts(cmd.Context(), q)
	if err != nil {
		return err
	}
	a.saySilent(list.Silent)
	if err := a.show(list, func(u *ui) { printConflicts(u, list, time.Now()) }); err != nil || list.Count == 0 {
		return err
	}
	least := ""
	if list.More {
		least = "at least "
	}
	e := farm.Errorf("", "", farm.Denied, "%s%s would be removed for good; nothing is yet", least, plural(list.Count, "file", "files"))
	e.Next = "say --yes to do it"
	return e
}
