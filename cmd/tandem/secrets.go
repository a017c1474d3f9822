package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

func (a *app) secretCommand() *cobra.Command {
	set := &cobra.Command{
		Use:   "set NAME",
		Short: "set a secret of the configuration",
		Long: `Reads the value from stdin; on a terminal it is asked for and not shown. {secret.NAME} in a site file stands for it, on all nodes,
at once. The value is encrypted to the farm's nodes; nothing prints it again.`,
		Example: "tandem secret set db-password\ntandem secret set api-key < key.txt",
		Args:    takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			value, err := readSecret(cmd.InOrStdin(), a.ui)
			if err != nil {
				return err
			}
			if err := config.CheckSecret(args[0], value); err != nil {
				return misuse(cmd, err)
			}
			done, err := a.client().SetSecret(cmd.Context(), args[0], value)
			if err != nil {
				return err
			}
			if err := a.applied(cmd.Context(), control.ConfigEdit{}, done); err != nil {
				return err
			}
			a.ui.say("secret %s is set; use it in site files as {secret.%s}", args[0], args[0])
			return nil
		},
	}
	list := &cobra.Command{
		Use:     "list",
		Short:   "list the secrets: when each was set, on which member, and where it is used",
		Example: "tandem secret list\ntandem secret list --json",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.client().Secrets(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(list, func(u *ui) { printSecrets(u, list, time.Now()) })
		},
	}
	return a.group("secret", "set, list and remove secrets of the configuration", "tandem secret list", set, list, a.secretRemove())
}

func printSecrets(u *ui, list []control.Secret, now time.Time) {
	t := table{head: []string{"SECRET", "SET", "ON", "USED IN"}}
	for _, s := range list {
		is := cell{"no", bad}
		if s.Set {
			is = cell{"yes", good}
		}
		if s.Since != nil {
			is.text = span(now.Sub(*s.Since)) + " ago"
		}
		t.add(text(s.Name), is, text(s.By), text(strings.Join(s.UsedIn, ", ")))
	}
	t.print(u, "")
}

func (a *app) secretRemove() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "remove a secret that nothing uses",
		Long: `A secret that farm.toml or a site uses can't be removed: the site would be refused. One that only a disabled site uses can,
with --force; that site can't be enabled then before the secret is set again.`,
		Example: "tandem secret remove api-key",
		Args:    takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			head, err := a.client().ConfigRevision(cmd.Context(), config.HeadName)
			if err != nil {
				return err
			}
			src, err := config.PutSecret(head.Files[config.SecretsFile], args[0], "")
			if err != nil {
				return err
			}
			if err := inUse(args[0], config.SecretUses(head.Files)[args[0]], force); err != nil {
				return err
			}
			head.Files[config.SecretsFile] = src
			return a.applySites(cmd.Context(), head, "secret "+args[0]+" is removed", "secret "+args[0]+" is removed")
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "although a disabled site uses it")
	return cmd
}

// inUse is the error that a secret is used in files, of which those of disabled sites don't count with force.
func inUse(name string, files []string, force bool) error {
	disabled := func(file string) bool { return strings.HasSuffix(file, config.DisabledSuffix) }
	next := "take it out of there first"
	if !slices.ContainsFunc(files, func(f string) bool { return !disabled(f) }) {
		next = "add --force to remove it all the same"
	}
	if force {
		files = slices.DeleteFunc(files, disabled)
	}
	if len(files) == 0 {
		return nil
	}
	return &farm.Error{Op: "remove secret", Path: name, Kind: farm.Conflict, Err: fmt.Errorf("it is used in %s", strings.Join(files, ", ")), Next: next}
}

// readSecret reads one line without showing it, or all that is not a terminal gives, without the newline at its end.
func readSecret(in io.Reader, u *ui) (string, error) {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(u.err, "value: ")
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(u.err)
		return string(b), err
	}
	b, err := io.ReadAll(io.LimitReader(bufio.NewReader(in), 1<<16))
	return strings.TrimRight(string(b), "\r\n"), err
}
