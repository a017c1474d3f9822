package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

func (a *app) configCommand() *cobra.Command {
	return a.group("config", "check, apply and follow the farm's configuration, and bring back an earlier one", "tandem config status",
		a.configStatusCommand(), a.configLogCommand(), a.configShowCommand(), a.configDiffCommand(), a.configCheckCommand(),
		a.configApplyCommand(), a.configEditCommand(), a.configRollbackCommand(), a.configExportCommand(), a.configImportCommand())
}

func (a *app) configCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [DIR]",
		Short: "say what is wrong with a configuration",
		Long: `Checks farm.toml and sites/*.caddy in DIR, or in the configuration directory, and changes nothing. Each fault is a line
"file:line:column: message". The daemon is asked if one runs; otherwise the files are checked as far as they say by
themselves.`,
		Example: `tandem config check
tandem config check ./new && tandem config apply ./new`,
		Args: takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := a.where.configDir()
			if len(args) == 1 {
				dir = args[0]
			}
			files, err := readFiles(dir)
			if err != nil {
				return err
			}
			check, err := a.client().CheckConfig(cmd.Context(), files)
			if farm.KindOf(err) == farm.Unavailable {
				faults := a.parts.Check(cmd.Context(), files)
				check, err = control.ConfigCheck{OK: faults.Err() == nil, Faults: append(config.Faults{}, faults...)}, nil
			}
			if err != nil {
				return err
			}
			return a.verdict(check, func(u *ui) {
				u.say("%s in %s: no fault", plural(len(files), "file", "files"), dir)
			})
		},
	}
}

// verdict prints what is wrong, and is an error if that is more than warnings.
func (a *app) verdict(check control.ConfigCheck, fine func(*ui)) error {
	if err := a.show(check, func(u *ui) { printFaults(u, check.Faults) }); err != nil {
		return err
	}
	if n := len(check.Faults.Errors()); !check.OK {
		return farm.Errorf("", "", farm.Invalid, "%s; nothing has changed", plural(n, "fault", "faults"))
	}
	if !a.json {
		fine(a.ui)
	}
	return nil
}

func printFaults(u *ui, faults config.Faults) {
	for _, f := range faults {
		t := bad
		if f.Warning {
			t = warn
		}
		u.line("%s", u.paint(t, f.String()))
	}
}

// readFiles reads the shared files of a configuration directory.
func readFiles(dir string) (control.Files, error) {
	files := control.Files{}
	if _, err := os.ReadDir(dir); err != nil {
		return nil, &farm.Error{Op: "read configuration", Path: dir, Kind: kindOfFile(err), Err: errors.Unwrap(err)}
	}
	for _, pattern := range []string{config.FarmFile, config.SecretsFile, config.SitesDir + "/*"} {
		names, err := fs.Glob(os.DirFS(dir), pattern)
		if err != nil {
			return nil, &farm.Error{Op: "read configuration", Path: dir, Kind: farm.Internal, Err: err}
		}
		for _, name := range names {
			if !config.IsShared(name) {
				continue
			}
			path := filepath.Join(dir, filepath.FromSlash(name))
			if st, err := os.Stat(path); err == nil && st.Size() > config.MaxFileBytes {
				return nil, farm.Errorf("read configuration", path, farm.Invalid, "%d bytes are more than %d", st.Size(), config.MaxFileBytes)
			}
			if files[name], err = os.ReadFile(path); err != nil {
				return nil, &farm.Error{Op: "read configuration", Path: path, Kind: kindOfFile(err), Err: errors.Unwrap(err)}
			}
		}
	}
	if len(files) == 0 {
		return nil, &farm.Error{Op: "read configuration", Path: dir, Kind: farm.NotFound, Next: "name the directory that holds it",
			Err: errors.New("there is no " + config.FarmFile)}
	}
	return files, nil
}

func kindOfFile(err error) farm.Kind {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return farm.Denied
	case errors.Is(err, fs.ErrNotExist):
		return farm.NotFound
	}
	return farm.Other
}

func (a *app) configStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "say which revision is live where, and why not",
		Example: "tandem config status\ntandem config status --json",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := a.client().ConfigStatus(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(st, func(u *ui) {
				printFaults(u, st.Faults)
				u.line("%s", revisionLine(st, time.Now()))
				printEdits(u, "", st)
				printVerdicts(u, "", st.Members, time.Now())
			})
		},
	}
}

// printEdits says what waits in the configuration directory here.
func printEdits(u *ui, indent string, st control.ConfigStatus) {
	if t := st.Trial; t != nil {
		u.line("%s%s", indent, u.paint(warn, fmt.Sprintf("revision %s is tried on %s for %v; edits wait until that is decided (end it with: tandem config rollback)",
			short(t.Revision), t.Canary, time.Duration(t.ForMS)*time.Millisecond)))
	}
	if len(st.Edits) > 0 {
		u.line("%s%s", indent, u.paint(warn, "edited here and not applied: "+fileList(st.Edits)+" (see it with: tandem config diff; make it live with: tandem config apply)"))
	}
}

// revisionLine says what is live here, who wrote it and how long ago.
func revisionLine(st control.ConfigStatus, now time.Time) string {
	line := "revision " + short(st.Revision)
	if st.Author != "" {
		line += " by " + string(st.Author)
	}
	if st.Time != nil {
		line += ", " + span(now.Sub(*st.Time)) + " ago"
	}
	if st.Message != "" {
		line += ": " + st.Message
	}
	if st.Wanted != st.Revision {
		line += "; wanted is " + short(st.Wanted)
	}
	return line
}

func printVerdicts(u *ui, indent string, members []control.ConfigVerdict, now time.Time) {
	t := table{head: []string{"MEMBER", "REVISION", "LIVE", "SINCE", "WHY NOT"}}
	for _, m := range members {
		live, why := cell{"yes", good}, append([]string{}, m.Faults...)
		for _, file := range sortedKeys(m.Sites) {
			why = append(why, file+": "+m.Sites[file])
		}
		if m.Edits > 0 {
			why = append(why, plural(m.Edits, "file", "files")+" edited there and not applied")
		}
		switch {
		case m.Away:
			away := "not linked"
			if m.Revision != "" {
				away += "; it said this last"
			}
			live, why = cell{"away", bad}, append([]string{away}, why...)
		case !m.Live:
			live = cell{"no", bad}
		case len(m.Sites) > 0:
			live = cell{"partly", warn}
		}
		since := ""
		if m.Since != nil {
			since = span(now.Sub(*m.Since)) + " ago"
		}
		t.add(text(m.Member), text(short(m.Revision)), live, text(since), text(strings.Join(why, "; ")))
	}
	t.print(u, indent)
}

// short is enough of a digest to tell revisions apart.
func short(digest string) string { return digest[:min(12, len(digest))] }
