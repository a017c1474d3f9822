package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

func (a *app) configEditCommand() *cobra.Command {
	var e control.ConfigEdit
	cmd := &cobra.Command{
		Use:   "edit [FILE]",
		Short: "edit a file of the configuration, and have it checked",
		Long: `Opens a copy of FILE, farm.toml if none is named, in $VISUAL or $EDITOR. What you have typed becomes a revision if it checks;
otherwise its faults are shown and you can go on typing. What is not taken is kept, and you are told where. A site that does
not exist is made.`,
		Example: "tandem config edit\ntandem config edit sites/shop.caddy -m \"longer time-out\"",
		Args:    takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := config.FarmFile
			if len(args) == 1 {
				name = sharedName(args[0])
				if !strings.ContainsAny(name, "./") {
					name = config.SitesDir + "/" + name + config.SiteSuffix
				}
			}
			if !config.IsShared(name) {
				return farm.Errorf("edit", name, farm.Invalid, "a configuration has %s and %s/NAME%s", config.FarmFile, config.SitesDir, config.SiteSuffix)
			}
			return a.edit(cmd, name, e)
		},
	}
	cmd.Flags().StringVarP(&e.Message, "message", "m", "", "`why`, kept with the revision")
	return cmd
}

// edit has a file typed, until it checks or whoever types gives up.
func (a *app) edit(cmd *cobra.Command, name string, e control.ConfigEdit) error {
	head, err := a.client().ConfigRevision(cmd.Context(), config.HeadName)
	if err != nil {
		return err
	}
	working, err := a.client().ConfigRevision(cmd.Context(), control.WorkingRevision)
	if err != nil {
		return err
	}
	before := working.Files[name]
	if !bytes.Equal(before, head.Files[name]) {
		a.ui.say("%s goes on from the text in the configuration directory, which is not live", name)
	}
	dir, err := os.MkdirTemp("", "tandem-edit-")
	if err != nil {
		return &farm.Error{Op: "edit", Path: name, Kind: kindOfFile(err), Err: err}
	}
	s := &session{app: a, cmd: cmd, name: name, path: filepath.Join(dir, filepath.Base(name)), before: before, in: bufio.NewReader(cmd.InOrStdin()), head: head}
	if err := os.WriteFile(s.path, before, 0o600); err != nil {
		return &farm.Error{Op: "edit", Path: s.path, Kind: kindOfFile(err), Err: err}
	}
	err = s.run(e)
	if s.done {
		_ = os.RemoveAll(dir) // a copy of what is live
		return err
	}
	return errors.Join(err, farm.Errorf("", "", farm.Other, "what you typed is kept in %s", s.path))
}

// session is one call of config edit.
type session struct {
	*app
	cmd    *cobra.Command
	name   string
	path   string // of the copy
	before []byte
	in     *bufio.Reader
	head   control.ConfigRevision
	done   bool // nothing that was typed would be lost with the copy
}

func (s *session) run(e control.ConfigEdit) error {
	for {
		if err := openEditor(s.cmd, s.path); err != nil {
			s.done = s.unchanged()
			return err
		}
		if s.unchanged() {
			s.done = true
			s.ui.say("nothing was changed")
			return nil
		}
		text, err := os.ReadFile(s.path)
		if err != nil {
			return &farm.Error{Op: "edit", Path: s.path, Kind: kindOfFile(err), Err: err}
		}
		e.Files, e.Patch = control.Files{s.name: text}, true
		applied, err := s.submit(e)
		if err == nil && applied.Check.OK {
			s.done = true
			return s.applied(s.cmd.Context(), e, applied)
		}
		if err == nil {
			printFaults(s.ui, applied.Check.Faults)
		} else {
			s.ui.fail(err)
		}
		if !s.asks(s.in, "edit again? [Y/n]", true) {
			return farm.Errorf("edit", s.name, farm.Invalid, "it was not taken; nothing has changed")
		}
	}
}

func (s *session) unchanged() bool {
	text, err := os.ReadFile(s.path)
	return err == nil && bytes.Equal(text, s.before)
}

// submit applies the edit to the head that whoever types has seen, or to a later one with the same file.
func (s *session) submit(e control.ConfigEdit) (control.ConfigApplied, error) {
	for {
		e.IfRevision = s.head.Revision
		applied, err := s.client().ApplyConfig(s.cmd.Context(), e)
		if farm.KindOf(err) != farm.Conflict || !s.rebase() {
			return applied, err
		}
	}
}

// rebase goes on from a head that came meanwhile, and tells whether the file is the same there. If not, whoever types is
// told, and sees what the other has changed.
func (s *session) rebase() bool {
	head, err := s.client().ConfigRevision(s.cmd.Context(), config.HeadName)
	if err != nil || head.Revision == s.head.Revision {
		return false
	}
	was := s.head
	s.head = head
	if bytes.Equal(was.Files[s.name], head.Files[s.name]) {
		return true
	}
	s.ui.say("%s was changed by %s while you were typing; your text would undo this:", s.name, head.Author)
	printDiff(s.ui, config.Diff(map[string][]byte{s.name: was.Files[s.name]}, map[string][]byte{s.name: head.Files[s.name]}))
	return false
}

// openEditor runs the user's editor on the file and waits for it.
func openEditor(cmd *cobra.Command, path string) error {
	fallback := "vi"
	if runtime.GOOS == "windows" {
		fallback = "notepad"
	}
	command := strings.Fields(cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"), fallback))
	editor := exec.CommandContext(cmd.Context(), command[0], append(command[1:], path)...)
	editor.Stdin, editor.Stdout, editor.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := editor.Run(); err != nil {
		return &farm.Error{Op: "run editor", Path: strings.Join(command, " "), Kind: farm.Other, Err: err, Next: "set VISUAL or EDITOR"}
	}
	return nil
}

// asks asks a question that is answered with yes or no. Who only presses the return key, gets what is usual; if there is
// nobody to answer it is no.
func (a *app) asks(in io.Reader, question string, usual bool) bool {
	fmt.Fprintf(a.ui.err, "tandem: %s ", question)
	buffered, ok := in.(*bufio.Reader)
	if !ok {
		buffered = bufio.NewReader(in)
	}
	line, err := buffered.ReadString('\n')
	if err != nil && line == "" {
		fmt.Fprintln(a.ui.err)
		return false
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return true
	case "":
		return usual
	}
	return false
}
