package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"tandem/internal/farm"
)

func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// printHelp puts an example first, since that is what most look for.
func printHelp(u *ui, cmd *cobra.Command) {
	u.line("%s: %s", cmd.CommandPath(), cmd.Short)
	if cmd.Example != "" {
		u.line("\n  %s", strings.ReplaceAll(cmd.Example, "\n", "\n  "))
	}
	if cmd.Long != "" {
		u.line("\n%s", cmd.Long)
	}
	switch {
	case cmd.HasAvailableSubCommands():
		u.line("\nusage: %s COMMAND\n\ncommands:", cmd.CommandPath())
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				u.line("  %s %s", pad(c.Name(), cmd.NamePadding()), c.Short)
			}
		}
	case cmd.Runnable():
		u.line("\nusage: %s", cmd.UseLine())
	}
	if !cmd.Runnable() {
		return // a topic
	}
	if f := cmd.LocalFlags().FlagUsages(); f != "" {
		u.line("\nflags:\n%s", strings.TrimRight(f, "\n"))
	}
	if f := cmd.InheritedFlags().FlagUsages(); f != "" {
		u.line("\nflags of all commands:\n%s", strings.TrimRight(f, "\n"))
	}
	if cmd.HasAvailableSubCommands() {
		u.line("\nmore: %s COMMAND --help", cmd.CommandPath())
	}
	if !cmd.HasParent() {
		u.line("      tandem help exit-codes")
	}
}

// helpCommand explains a command or a topic.
func (a *app) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "explain a command",
		Example: "tandem help folder probe\ntandem help exit-codes",
		RunE: func(cmd *cobra.Command, args []string) error {
			target, rest, err := cmd.Root().Find(args)
			if err != nil {
				return misuse(cmd, err)
			}
			if err := a.noSuchCommand(target, rest); err != nil {
				return err
			}
			return target.Help()
		},
	}
}

// exitCodesTopic is not a command but something to read: tandem help exit-codes.
func exitCodesTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("  0   success\n")
	for k := farm.Other; k <= farm.Internal; k++ {
		fmt.Fprintf(&b, "  %-3d %s\n", k.ExitCode(), exitMeaning(k))
	}
	return &cobra.Command{Use: "exit-codes", Short: "what the exit codes mean", Long: strings.TrimRight(b.String(), "\n")}
}

func exitMeaning(k farm.Kind) string {
	return [...]string{
		farm.Other:       "error: something else went wrong",
		farm.Invalid:     "invalid: the command line, a file or a value does not have the form it must have",
		farm.NotFound:    "not found: the thing named does not exist",
		farm.Exists:      "exists: the thing exists already",
		farm.Denied:      "denied: credentials or permissions forbid it",
		farm.Unavailable: "unavailable: the daemon, another member or content can't be reached now",
		farm.Conflict:    "conflict: the state is not the one expected; look and try again",
		farm.Unstable:    "being written: a file is changing just now",
		farm.Unsupported: "unsupported: this system or file system can't do it",
		farm.Full:        "full: no space or quota left",
		farm.Corrupt:     "corrupt: stored or received bytes are not what they should be",
		farm.Internal:    "internal: a bug in tandem",
	}[k]
}
