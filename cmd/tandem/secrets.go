package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

// secretView is a secret as secret list prints it: never its value.
type secretView struct {
	Name   string   `json:"name"`
	Set    bool     `json:"set"`     // false: it is only used
	UsedIn []string `json:"used_in"` // site files
}

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
		Short:   "list the secrets, and where they are used",
		Example: "tandem secret list\ntandem secret list --json",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			head, err := a.client().ConfigRevision(cmd.Context(), config.HeadName)
			if err != nil {
				return err
			}
			views := secretsOf(head.Files)
			return a.show(views, func(u *ui) {
				t := table{head: []string{"SECRET", "SET", "USED IN"}}
				for _, v := range views {
					is := cell{"yes", good}
					if !v.Set {
						is = cell{"no", bad}
					}
					t.add(text(v.Name), is, text(strings.Join(v.UsedIn, ", ")))
				}
				t.print(u, "")
			})
		},
	}
	return a.group("secret", "set, list and remove secrets of the configuration", "tandem secret list", set, list, a.secretRemove())
}

func (a *app) secretRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "remove NAME",
		Short:   "remove a secret that no site uses",
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
			if in := config.SecretUses(head.Files)[args[0]]; len(in) > 0 {
				return &farm.Error{Op: "remove secret", Path: args[0], Kind: farm.Conflict, Err: fmt.Errorf("it is used in %s", strings.Join(in, ", ")),
					Next: "take it out of there first"}
			}
			head.Files[config.SecretsFile] = src
			return a.applySites(cmd.Context(), head, "secret "+args[0]+" is removed", "secret "+args[0]+" is removed")
		},
	}
}

// secretsOf are the secrets that are set or used in the files of a revision.
func secretsOf(files map[string][]byte) []secretView {
	c, _ := config.Parse(files)
	uses := config.SecretUses(files)
	names := slices.Collect(maps.Keys(uses))
	if c != nil {
		names = slices.AppendSeq(names, maps.Keys(c.Secrets))
	}
	slices.Sort(names)
	views := []secretView{}
	for _, name := range slices.Compact(names) {
		v := secretView{Name: name, UsedIn: append([]string{}, uses[name]...)}
		if c != nil {
			_, v.Set = c.Secrets[name]
		}
		views = append(views, v)
	}
	return views
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
