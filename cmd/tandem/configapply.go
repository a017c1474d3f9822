package main

import (
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

// editFlags are the flags of all commands that make a revision.
func editFlags(cmd *cobra.Command, e *control.ConfigEdit) {
	f := cmd.Flags()
	f.StringVarP(&e.Message, "message", "m", "", "`why`, kept with the revision")
	f.StringVar(&e.IfRevision, "if-revision", "", "only if the farm's revision is still `REV`")
	f.BoolVar(&e.DryRun, "dry-run", false, "say what would change, and change nothing")
}

func (a *app) configApplyCommand() *cobra.Command {
	var e control.ConfigEdit
	cmd := &cobra.Command{
		Use:   "apply [DIR | FILE...]",
		Short: "make a configuration the farm's",
		Long: `Takes farm.toml and sites/*.caddy from DIR, in place of all that the farm has now; or only the named files, and leaves
all others as they are; or without either what stands in the configuration directory, without waiting for the moment after
which an edit is taken up by itself. Then waits until the linked members say that it is live. A configuration with a fault
changes nothing.`,
		Example: `tandem config apply -m "shop gets a second name"
tandem config apply ./new --dry-run
tandem config apply shop.caddy --if-revision 3f9a`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if e.Files, e.Patch, err = argumentFiles(args); err != nil {
				return err
			}
			done, err := a.client().ApplyConfig(cmd.Context(), e)
			if err != nil {
				return err
			}
			return a.applied(e, done)
		},
	}
	editFlags(cmd, &e)
	return cmd
}

// argumentFiles reads a directory, or single files that are to be put among the others; none without arguments.
func argumentFiles(args []string) (files control.Files, patch bool, err error) {
	if len(args) == 0 {
		return nil, false, nil
	}
	if st, err := os.Stat(args[0]); err == nil && st.IsDir() {
		if len(args) > 1 {
			return nil, false, farm.Errorf("read configuration", args[1], farm.Invalid, "name one directory, or files")
		}
		files, err = readFiles(args[0])
		return files, false, err
	}
	files = control.Files{}
	for _, path := range args {
		name := sharedName(path)
		if !config.IsShared(name) {
			return nil, false, &farm.Error{Op: "read configuration", Path: path, Kind: farm.Invalid, Next: "name " + config.FarmFile + ", NAME" + config.SiteSuffix + " or a directory",
				Err: errors.New("it is no file of a configuration")}
		}
		if files[name], err = os.ReadFile(path); err != nil {
			return nil, false, &farm.Error{Op: "read configuration", Path: path, Kind: kindOfFile(err), Err: errors.Unwrap(err)}
		}
	}
	return files, true, nil
}

// applied prints what came of an edit, and is an error if that is not what was asked for.
func (a *app) applied(e control.ConfigEdit, done control.ConfigApplied) error {
	if !done.Check.OK {
		return a.verdict(done.Check, nil)
	}
	if err := a.show(done, func(u *ui) { printApplied(u, e, done) }); err != nil {
		return err
	}
	for _, m := range done.Members {
		if len(m.Faults) > 0 {
			return farm.Errorf("", "", farm.Conflict, "member %s refuses the revision: %s", m.Member, m.Faults[0])
		}
	}
	return nil
}

func printApplied(u *ui, e control.ConfigEdit, done control.ConfigApplied) {
	printFaults(u, done.Check.Faults)
	if len(done.Kept) > 0 {
		u.say("members stay as they are: %s", joined(done.Kept))
	}
	if e.DryRun {
		printDiff(u, done.Diff)
		if len(done.Diff) == 0 {
			u.say("nothing would change")
		} else {
			u.say("it checks; nothing has changed")
		}
		return
	}
	if !done.Changed {
		u.say("revision %s is live already", short(done.Check.Revision))
	}
	printVerdicts(u, "", done.Members, time.Now())
}

func (a *app) configRollbackCommand() *cobra.Command {
	var e control.ConfigEdit
	cmd := &cobra.Command{
		Use:   "rollback [REV]",
		Short: "bring back the files of an earlier revision",
		Long: `Makes a new revision with the files of REV; without REV, of the latest one before the head that says anything else. The
history stays, so that a rollback can be rolled back. The farm's members stay as they are: nobody who has joined since is put
out, nobody who was removed is let in. ` + revHelp,
		Example: "tandem config rollback\ntandem config rollback 3f9a --dry-run",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				e.To = args[0]
			}
			done, err := a.client().RollbackConfig(cmd.Context(), e)
			if err != nil {
				return err
			}
			return a.applied(e, done)
		},
	}
	editFlags(cmd, &e)
	return cmd
}
