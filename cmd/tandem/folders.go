package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

func (a *app) folderCommand() *cobra.Command {
	list := &cobra.Command{
		Use:     "list",
		Short:   "list the replicated folders of this member",
		Example: "tandem folder list\ntandem folder list --json",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			folders, err := a.client().Folders(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(folders, func(u *ui) { printFolders(u, "", folders) })
		},
	}
	return a.group("folder", "list, pause, seed and measure the replicated folders", "tandem folder list",
		list, a.folderShow(), a.steerCommand(control.VerbPause), a.steerCommand(control.VerbResume), a.steerCommand(control.VerbRelease),
		a.steerCommand(control.VerbRefuse), a.steerCommand(control.VerbRetry), a.probeCommand(), a.seedCommand())
}

func printFolders(u *ui, indent string, folders []control.Folder) {
	t := table{head: []string{"FOLDER", "STATE", "IN SYNC", "ENTRIES", "SIZE", "WAITING", "BACKLOG", "WATCH", "PATH"}}
	for _, f := range folders {
		state, sync := cell{string(f.State), good}, cell{"yes", good}
		switch f.State {
		case control.FolderHalted:
			state.tone = bad
		case control.FolderScanning:
			state.tone = warn
		}
		state.text, state.tone = flowState(f, state)
		if !f.InSync {
			sync = cell{"no", bad}
		}
		t.add(text(f.ID), state, sync, text(grouped(f.Entries)), text(size(f.Bytes)), text(grouped(f.Waiting)), text(backlog(f)), text(f.Watch), text(f.Path))
	}
	t.print(u, indent)
	for _, f := range folders {
		for _, s := range flowLines(f) {
			u.line("%s%s: %s", indent, f.ID, u.paint(warn, s))
		}
		if s := unkept(f.Unkept); s != "" {
			u.line("%s%s: %s", indent, f.ID, s)
		}
	}
	printProgress(u, indent, folders)
}

// unkept says what of a folder is not, or not wholly, replicated on this member.
func unkept(counts map[string]int64) string {
	texts := map[string]string{
		"hard link": "with several names, replicated as files of their own", "fifo": "not replicated", "socket": "not replicated",
		"device": "not replicated", "mount": "not replicated",
		"name": "not kept here: the file system refuses it, or takes it for another",
	}
	var s []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		how := texts[kind]
		if how == "" {
			how = "can't be kept here"
		}
		s = append(s, fmt.Sprintf("%s %s (%s)", grouped(counts[kind]), kind, how))
	}
	return strings.Join(s, ", ")
}

// backlog says what the others lack.
func backlog(f control.Folder) string {
	var s []string
	for _, p := range f.Peers {
		switch {
		case p.Evicted:
			s = append(s, string(p.Member)+" evicted")
		case !p.Linked:
			s = append(s, string(p.Member)+" away")
		case p.Backlog > 0:
			s = append(s, fmt.Sprintf("%s %d", p.Member, p.Backlog))
		}
	}
	if len(s) == 0 {
		return "0"
	}
	return strings.Join(s, ", ")
}

func (a *app) probeCommand() *cobra.Command {
	var count int
	var fileSize string
	cmd := &cobra.Command{
		Use:   "probe [NAME]",
		Short: "measure how long a file takes to the other members",
		Long: `Writes files into the folder, one after the other, and removes them again. Prints for each member the time from the
close of a file here to its being visible there: median, 95 %, 99 % and the longest. NAME may be left out if there is one
folder.`,
		Example: `tandem folder probe
tandem folder probe uploads --count 1000 --size 64KiB`,
		Args: takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := config.ParseSize(fileSize)
			if err != nil {
				return misuse(cmd, fmt.Errorf("--size: %w", err))
			}
			name, err := a.folderName(cmd, args)
			if err != nil {
				return err
			}
			r, err := a.client().Probe(cmd.Context(), name, control.ProbeRequest{Count: count, SizeBytes: int(min(n, control.MaxProbeSizeBytes+1))},
				func(done, count int) { a.ui.working(fmt.Sprintf("%d of %d files", done, count)) })
			a.ui.working("")
			if err != nil {
				return err
			}
			if err := a.show(r, func(u *ui) { printProbe(u, r) }); err != nil {
				return err
			}
			if len(r.Targets) == 0 {
				return farm.Errorf("probe", string(name), farm.Unavailable, "no other member holds the folder and is linked")
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&count, "count", 100, "how `many` files")
	cmd.Flags().StringVar(&fileSize, "size", "4KiB", "`size` of each file")
	return cmd
}

// folderName is the argument, or the only folder that is not Tandem's own.
func (a *app) folderName(cmd *cobra.Command, args []string) (farm.FolderID, error) {
	if len(args) == 1 {
		return farm.FolderID(args[0]), nil
	}
	folders, err := a.client().Folders(cmd.Context())
	if err != nil {
		return "", err
	}
	var names []farm.FolderID
	for _, f := range folders {
		if !f.ID.Own() {
			names = append(names, f.ID)
		}
	}
	switch len(names) {
	case 0:
		return "", farm.Errorf("", "", farm.NotFound, "this member holds no folder")
	case 1:
		return names[0], nil
	}
	return "", misuse(cmd, errors.New("which folder? there are: "+joined(names)))
}

func printProbe(u *ui, r control.ProbeResult) {
	u.line("%s: %s of %s, from close to visible", r.Folder, plural(r.Count, "file", "files"), size(int64(r.SizeBytes)))
	t := table{head: []string{"TO", "ARRIVED", "P50", "P95", "P99", "MAX"}}
	for _, m := range r.Targets {
		arrived := text(fmt.Sprintf("%d of %d", m.Arrived, m.Arrived+m.Lost))
		if m.Lost > 0 {
			arrived.tone = bad
		}
		t.add(text(m.Member), arrived, text(millis(m.P50MS)), text(millis(m.P95MS)), text(millis(m.P99MS)), text(millis(m.MaxMS)))
	}
	t.print(u, "")
	for _, m := range r.Targets {
		if m.Problem != "" {
			u.line("%s", u.paint(bad, fmt.Sprintf("%s: %s", m.Member, m.Problem)))
		}
	}
}
