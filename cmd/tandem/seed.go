package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tandem/internal/control"
	"tandem/internal/farm"
)

func (a *app) seedCommand() *cobra.Command {
	var extra string
	var dry, yes bool
	cmd := &cobra.Command{
		Use:   "seed [NAME]",
		Short: "say what a seeding found, and decide about files that only this member has",
		Long: `A folder that held files before this member joined takes the farm's state: what is equal stays and is not
transferred, what differs is replaced and preserved, what is missing is fetched. What only this member has waits, untouched
and not replicated, until you choose: quarantine makes them preserved files, push makes them files of the farm. Without
--extra, or with --dry-run, nothing is changed. NAME may be left out if there is one folder.`,
		Example: `tandem folder seed --dry-run
tandem folder seed uploads --extra quarantine --yes
tandem folder seed uploads --extra push --yes`,
		Args: takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := a.folderName(cmd, args)
			if err != nil {
				return err
			}
			var choice farm.ExtraFiles
			if extra != "" {
				if choice, err = farm.ParseExtraFiles(extra); err != nil {
					return misuse(cmd, fmt.Errorf("--extra: %w", errors.Unwrap(err)))
				}
			}
			sum, err := a.client().SeedSummary(cmd.Context(), name)
			if err != nil {
				return err
			}
			if extra == "" || dry {
				return a.show(sum, func(u *ui) { printSeed(u, sum, choice) })
			}
			if !yes {
				printSeed(a.ui, sum, choice)
				return misuse(cmd, fmt.Errorf("add --yes to %s what only this member has", extra))
			}
			if err := a.client().ChooseExtra(cmd.Context(), name, choice); err != nil {
				return err
			}
			sum.Choice = extra
			return a.show(sum, func(u *ui) { u.line("%s: %s: %s", name, extra, tallied(sum.Extra)) })
		},
	}
	cmd.Flags().StringVar(&extra, "extra", "", "what becomes of files that only this member has: `quarantine` or push")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what there is")
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

func printSeed(u *ui, s control.SeedSummary, choice farm.ExtraFiles) {
	u.line("%s: %s", s.Folder, seedState(s, time.Now()))
	none := control.SeedTally{}
	if !s.Seeding && s.Equal == none && s.Different == none && s.Missing == none && s.Extra == none {
		return
	}
	t := table{head: []string{"HERE", "PATHS", "SIZE", "WHAT HAPPENS"}}
	equal, different, missing := "stays, nothing is transferred", "is replaced by the farm's, and preserved", "is fetched"
	if !s.Seeding {
		equal, different, missing = "stayed, nothing was transferred", "was replaced by the farm's, and preserved", "was fetched"
	}
	fate := map[string]string{"wait": "waits for your choice", "quarantine": "is preserved", "push": "becomes the farm's"}
	if choice != farm.ExtraWait {
		s.Choice = choice.String()
	}
	for _, r := range []struct {
		name string
		of   control.SeedTally
		what string
	}{
		{"equal", s.Equal, equal},
		{"different", s.Different, different},
		{"missing", s.Missing, missing},
		{"only here", s.Extra, fate[s.Choice]},
	} {
		t.add(text(r.name), text(grouped(r.of.Paths)), text(size(r.of.Bytes)), text(r.what))
	}
	t.print(u, "  ")
	for _, e := range s.Examples {
		u.line("  only here: %s (%s, %s)", e.Path, e.Type, size(e.Bytes))
	}
	if more := s.Extra.Paths - int64(len(s.Examples)); more > 0 && len(s.Examples) > 0 {
		u.line("  and %s more", grouped(more))
	}
}

// seedState says how far the seeding is.
func seedState(s control.SeedSummary, now time.Time) string {
	switch {
	case s.Since == nil && !s.Seeding:
		return "was never seeded: no other member held it when it began here"
	case s.Since == nil:
		return "is being seeded (" + s.Mode + "), the numbers grow"
	}
	since := s.Since.UTC().Format(time.RFC3339) + ", " + span(now.Sub(*s.Since)) + " ago"
	if s.Seeding {
		return "is being seeded (" + s.Mode + ") since " + since + ", the numbers grow"
	}
	state := "is seeded already, which began " + since
	if s.Extra.Paths == 0 {
		state += "; nothing waits for a choice"
	}
	return state
}

func tallied(t control.SeedTally) string {
	return fmt.Sprintf("%s, %s", plural(int(t.Paths), "path", "paths"), size(t.Bytes))
}

// printProgress says of folders that are behind how far they are, and of files that wait for a choice.
func printProgress(u *ui, indent string, folders []control.Folder) {
	for _, f := range folders {
		if p := f.Progress; p != nil {
			line := fmt.Sprintf("%s: %s, %s", f.ID, p.What, grouped(p.Entries))
			if p.EntriesTotal > 0 {
				line += " of " + grouped(p.EntriesTotal)
			}
			line += " entries"
			if p.BytesTotal > 0 {
				line += fmt.Sprintf(", %s of %s, %s/s", size(p.Bytes), size(p.BytesTotal), size(int64(p.BytesRate)))
			}
			if p.EstimateSec != nil {
				line += ", " + span(time.Duration(*p.EstimateSec*float64(time.Second))) + " to go"
			}
			u.line("%s%s", indent, u.paint(warn, line))
		}
		if f.Extra != nil {
			u.line("%s%s", indent, u.paint(warn, fmt.Sprintf("%s: %s only here, not replicated (tandem folder seed %s --dry-run)",
				f.ID, tallied(*f.Extra), f.ID)))
		}
	}
}
