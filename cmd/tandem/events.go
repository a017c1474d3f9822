package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tandem/internal/control"
	"tandem/internal/farm"
)

func (a *app) eventsCommand() *cobra.Command {
	var follow bool
	var since, folder string
	q := control.Query{}
	cmd := &cobra.Command{
		Use:   "events",
		Short: "show what happened",
		Long: `Shows this member's journal, oldest event first. With --json it prints one JSON object a line. Event ids are stable:
see docs/events.md.`,
		Example: `tandem events                        # the latest 100
tandem events --follow               # and what comes
tandem events --since 2h --id file   # files of the last two hours
tandem events --id file.conflict --json`,
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			q.Folder = farm.FolderID(folder)
			if since != "" {
				at, err := sinceTime(since, time.Now())
				if err != nil {
					return misuse(cmd, err)
				}
				if q.Since = at; !cmd.Flags().Changed("limit") {
					q.Limit = control.MaxPageEvents
				}
			}
			if follow {
				for e, err := range a.client().Follow(cmd.Context(), q) {
					if err == nil {
						err = a.printEvent(e)
					}
					if err != nil {
						return err
					}
				}
				return nil
			}
			page, err := a.client().Events(cmd.Context(), q)
			for _, e := range page.Events {
				if err == nil {
					err = a.printEvent(e)
				}
			}
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&follow, "follow", "f", false, "go on with events as they come")
	f.StringVar(&since, "since", "", "only events of the last `time` (2h, 30m) or since a moment (2006-01-02T15:04:05Z)")
	f.StringVar(&folder, "folder", "", "only events about the `folder`")
	f.StringVar(&q.ID, "id", "", "only events with the `id` (config.refused) or of the group (config)")
	f.IntVar(&q.Limit, "limit", 100, "at most so `many` events of the past; with --since all, if not given")
	return cmd
}

func sinceTime(s string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.Add(-time.Duration(n) * 24 * time.Hour), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d.Abs()), nil
	}
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return at, nil
	}
	if at, err := time.ParseInLocation("2006-01-02", s, time.Local); err == nil {
		return at, nil
	}
	return time.Time{}, farm.Errorf("", "", farm.Invalid, "--since %q is neither a time such as 2h or 30m nor a moment such as 2006-01-02T15:04:05Z", s).Err
}

func (a *app) printEvent(e control.Recorded) error {
	if a.json {
		return a.ui.jsonLine(e)
	}
	u := a.ui
	line := u.paint(quiet, e.Time.Local().Format("2006-01-02 15:04:05.000")) + "  " +
		u.paint(severityTone(e.Severity), pad(string(e.Severity), 7)) + "  " + pad(string(e.ID), 15) + "  " + subjectOf(e.Event) + ": " + e.Message
	if e.Next != "" {
		line += " (" + e.Next + ")"
	}
	u.line("%s", line)
	return nil
}

// subjectOf is what the event is about, with its folder.
func subjectOf(e farm.Event) string {
	if e.Folder == "" || e.Subject == string(e.Folder) {
		return e.Subject
	}
	return string(e.Folder) + "/" + e.Subject
}

func severityTone(s farm.Severity) tone {
	switch s {
	case farm.Fault:
		return bad
	case farm.Warning:
		return warn
	case farm.Healed:
		return good
	}
	return quiet
}
