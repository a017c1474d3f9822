package main

import (
	"context"
	"errors"
	"fmt"
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
	f.Var((*memberFlag)(&e.Canary), "canary", "have it tried on `MEMBER` first; the others follow when it did well there")
	f.Var((*millisFlag)(&e.ForMS), "for", "with --canary: try it for this `time` (default 30s)")
}

func (a *app) configApplyCommand() *cobra.Command {
	var e control.ConfigEdit
	cmd := &cobra.Command{
		Use:   "apply [DIR | FILE...]",
		Short: "make a configuration the farm's",
		Long: `Takes farm.toml and sites/*.caddy from DIR, in place of all that the farm has now; or only the named files, and leaves
all others as they are; or without either what stands in the configuration directory, without waiting for the moment after
which an edit is taken up by itself. Then waits until the linked members say that it is live. A configuration with a fault
changes nothing.

With --canary one member runs it first while all others go on with what they run. It is taken back on all, with a reason, if it
does not come to life there, if a site is refused that was not before, if the share of requests answered with 500 or more
is 5 % or more above twice the one of the minute before, if an edge finds the member failing, if it is started anew, or
if nothing is heard of it. Otherwise all follow after the time. Meanwhile nobody else can change anything.`,
		Example: `tandem config apply -m "shop gets a second name"
tandem config apply ./new --dry-run
tandem config apply shop.caddy --if-revision 3f9a
tandem config apply ./new --canary web2 --for 1m`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if e.Files, e.Patch, err = argumentFiles(args); err != nil {
				return err
			}
			done, err := a.client().ApplyConfig(cmd.Context(), e)
			if err != nil {
				return err
			}
			return a.applied(cmd.Context(), e, done)
		},
	}
	editFlags(cmd, &e)
	return cmd
}

// memberFlag is a flag that names a member.
type memberFlag farm.MemberID

func (m *memberFlag) String() string { return string(*m) }
func (m *memberFlag) Type() string   { return "member" }
func (m *memberFlag) Set(s string) error {
	id, err := farm.ParseMemberID(s)
	*m = memberFlag(id)
	return err
}

// millisFlag is a flag for a time in whole milliseconds.
type millisFlag int64

func (m *millisFlag) String() string { return "" }
func (m *millisFlag) Type() string   { return "time" }
func (m *millisFlag) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err == nil && (d < config.MinTrial || d > config.MaxTrial) {
		err = fmt.Errorf("a trial takes %v to %v", config.MinTrial, config.MaxTrial)
	}
	*m = millisFlag(d.Milliseconds())
	return err
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
func (a *app) applied(ctx context.Context, e control.ConfigEdit, done control.ConfigApplied) error {
	if !done.Check.OK {
		return a.verdict(done.Check, nil)
	}
	if done.Trial != nil && done.Trial.Outcome == control.TrialRunning {
		return a.awaitTrial(ctx, done)
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

// trialLook is the time between looks at a trial.
const trialLook = 500 * time.Millisecond

// awaitTrial waits until it is decided what has come of a trial, and is an error if it was taken back. Who does not want
// to wait may leave: the trial goes on.
func (a *app) awaitTrial(ctx context.Context, done control.ConfigApplied) error {
	t := *done.Trial
	length := time.Duration(t.ForMS) * time.Millisecond
	if !a.json {
		a.ui.say("revision %s is tried on %s for %v; the others follow when it did well", short(t.Revision), t.Canary, length)
	}
	tick := time.NewTicker(trialLook)
	defer tick.Stop()
	for begun := time.Now(); t.Outcome == control.TrialRunning; {
		a.ui.working(fmt.Sprintf("%s of %v", time.Since(begun).Truncate(time.Second), length))
		select {
		case <-ctx.Done():
			a.ui.working("")
			return ctx.Err()
		case <-tick.C:
		}
		rev, err := a.client().ConfigRevision(ctx, t.Revision)
		if err != nil {
			a.ui.working("")
			if farm.KindOf(err) == farm.Unavailable {
				return &farm.Error{Kind: farm.Unavailable, Next: "see what came of it with, on any member: tandem config status",
					Err: fmt.Errorf("this member's daemon has gone; revision %s is still tried on %s, and the others decide without it", short(t.Revision), t.Canary)}
			}
			return err
		}
		if rev.Trial != nil {
			t = *rev.Trial
		}
	}
	a.ui.working("")
	if err := a.show(t, func(u *ui) { u.line("%s", t.Why) }); err != nil {
		return err
	}
	if t.Outcome == control.TrialBack {
		return &farm.Error{Kind: farm.Conflict, Err: fmt.Errorf("revision %s was taken back on all members", short(t.Revision)),
			Next: "mend it and apply it again; it is kept: tandem config show " + short(t.Revision)}
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
	if done.Trial != nil {
		u.say("%s", done.Trial.Why)
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
		Long: `Makes a new revision with the files of REV; without REV, of the latest one before the head that says anything else, or ends
what is being tried with --canary. The
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
			return a.applied(cmd.Context(), e, done)
		},
	}
	editFlags(cmd, &e)
	return cmd
}
