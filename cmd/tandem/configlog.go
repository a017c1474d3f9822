package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

// revHelp says how a revision is named.
const revHelp = `REV is the beginning of a revision's digest, head, or head~1 for the one below it in the log.`

func (a *app) configLogCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     "log",
		Short:   "list the revisions of the configuration",
		Long:    "The latest first: who made it on which member, how long ago, what it changed, and who runs it now.",
		Example: "tandem config log\ntandem config log -n 100 --json",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := a.client().ConfigLog(cmd.Context(), limit)
			if err != nil {
				return err
			}
			return a.show(log, func(u *ui) { printLog(u, log, time.Now()) })
		},
	}
	cmd.Flags().IntVarP(&limit, "limit", "n", control.DefaultLogLimit, "list at most so many `revisions`")
	return cmd
}

func printLog(u *ui, log []control.ConfigRevision, now time.Time) {
	t := table{head: []string{"REVISION", "AGE", "AUTHOR", "RUNS ON", "FILES", "MESSAGE"}}
	for _, r := range log {
		name := cell{text: short(r.Revision)}
		if r.Trial != nil && r.Trial.Outcome == control.TrialRunning {
			name = cell{short(r.Revision) + " tried", warn}
		} else if r.Head {
			name = cell{short(r.Revision) + " head", loud}
		}
		t.add(name, text(span(now.Sub(r.Time))), text(r.Author), text(joined(r.Runs)), text(fileList(r.Changes)), text(r.Message))
	}
	t.print(u, "")
}

// maxListed is how many files a line names.
const maxListed = 3

// fileList names the files that changed: +added, -removed.
func fileList(changes []config.FileChange) string {
	sign := map[string]string{"added": "+", "removed": "-"}
	var names []string
	for i, c := range changes {
		if i == maxListed && len(changes) > maxListed+1 {
			names = append(names, fmt.Sprintf("%d more", len(changes)-i))
			break
		}
		names = append(names, sign[c.What]+c.File)
	}
	return strings.Join(names, ", ")
}

func (a *app) configShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show [REV] [FILE]",
		Short: "print a revision, or a file of it",
		Long: `Prints what a revision says of itself and its files; with FILE only that file, byte for byte. Without REV the head.
` + revHelp,
		Example: "tandem config show head~1\ntandem config show 3f9a sites/shop.caddy > shop.caddy",
		Args:    takes(0, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, file := config.HeadName, ""
			switch {
			case len(args) == 2:
				ref, file = args[0], args[1]
			case len(args) == 1 && strings.Contains(args[0], "."):
				file = args[0]
			case len(args) == 1:
				ref = args[0]
			}
			rev, err := a.client().ConfigRevision(cmd.Context(), ref)
			if err != nil {
				return err
			}
			if file == "" {
				return a.show(rev, func(u *ui) { printRevision(u, rev, time.Now()) })
			}
			name := sharedName(file)
			data, ok := rev.Files[name]
			if !ok {
				return &farm.Error{Op: "show", Path: name, Kind: farm.NotFound, Err: fmt.Errorf("revision %s has no such file", short(rev.Revision)),
					Next: "it has " + strings.Join(slices.Sorted(maps.Keys(rev.Files)), ", ")}
			}
			return a.show(control.Files{name: data}, func(u *ui) { fmt.Fprintf(u.out, "%s", data) })
		},
	}
}

func printRevision(u *ui, r control.ConfigRevision, now time.Time) {
	u.line("%s", u.paint(loud, "revision "+r.Revision))
	for _, p := range r.Parents {
		u.line("parent   %s", p)
	}
	u.line("author   %s", r.Author)
	u.line("time     %s, %s ago", r.Time.Local().Format("2006-01-02 15:04:05 -0700"), span(now.Sub(r.Time)))
	u.line("message  %s", r.Message)
	if len(r.Changes) > 0 {
		u.line("changes  %s", fileList(r.Changes))
	}
	if len(r.Runs) > 0 {
		u.line("runs on  %s", joined(r.Runs))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Files)) {
		u.line("")
		u.line("%s", u.paint(quiet, "-- "+name+" --"))
		fmt.Fprintf(u.out, "%s", r.Files[name])
		if !bytes.HasSuffix(r.Files[name], []byte("\n")) {
			u.line("")
		}
	}
}

// sharedName is the name in the configuration of a file that a user names: shop.caddy is sites/shop.caddy.
func sharedName(file string) string {
	if base := file[strings.LastIndexAny(file, `/\`)+1:]; config.IsShared(config.SitesDir + "/" + base) {
		return config.SitesDir + "/" + base
	} else if base == config.FarmFile {
		return base
	}
	return file
}

// configDiff is what config diff prints as JSON.
type configDiff struct {
	From  string            `json:"from"` // digest
	To    string            `json:"to"`   // digest; empty: the configuration directory
	Files []config.FileDiff `json:"files"`
}

func (a *app) configDiffCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "diff [REV [REV]]",
		Short: "compare revisions",
		Long: `Without REV: from the head to what stands in the configuration directory, which is what an apply would change. With one:
from it to the head. With two: from the first to the second. ` + revHelp + ` "working" is the
configuration directory.`,
		Example: "tandem config diff\ntandem config diff head~1\ntandem config diff 3f9a 77c0",
		Args:    takes(0, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, to := config.HeadName, control.WorkingRevision
			switch len(args) {
			case 1:
				from, to = args[0], config.HeadName
			case 2:
				from, to = args[0], args[1]
			}
			d, err := a.diff(cmd.Context(), from, to)
			if err != nil {
				return err
			}
			return a.show(d, func(u *ui) {
				printDiff(u, d.Files)
				if len(d.Files) == 0 {
					u.say("no difference between %s and %s", from, to)
				}
			})
		},
	}
}

func (a *app) diff(ctx context.Context, from, to string) (configDiff, error) {
	one, err := a.client().ConfigRevision(ctx, from)
	if err != nil {
		return configDiff{}, err
	}
	other, err := a.client().ConfigRevision(ctx, to)
	if err != nil {
		return configDiff{}, err
	}
	return configDiff{one.Revision, other.Revision, append([]config.FileDiff{}, config.Diff(one.Files, other.Files)...)}, nil
}

// printDiff prints unified differences.
func printDiff(u *ui, files []config.FileDiff) {
	for _, f := range files {
		for line := range strings.Lines(f.Text) {
			line = strings.TrimSuffix(line, "\n")
			t := plain
			switch {
			case strings.HasPrefix(line, "diff "), strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "):
				t = loud
			case strings.HasPrefix(line, "@@"):
				t = quiet
			case strings.HasPrefix(line, "+"):
				t = good
			case strings.HasPrefix(line, "-"):
				t = bad
			}
			u.line("%s", u.paint(t, line))
		}
	}
}
