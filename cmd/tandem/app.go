package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"tandem/internal/control"
	"tandem/internal/farm"
)

// app is what the commands share.
type app struct {
	parts parts
	ui    *ui
	where places
	json  bool
}

// run executes the command line and returns its exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil || errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = a.ui.failed() // an output that could not be written
	}
	if err == nil {
		return 0
	}
	a.ui.fail(err)
	return farm.KindOf(err).ExitCode()
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "tandem",
		Short: "two or more servers, one website",
		Long: `Every member of a farm holds a whole copy of the site's folders and of the configuration. Change a file or a
setting on any member and every member has it a few milliseconds later. An edge in front spreads the visitors.`,
		Example: `tandem demo                    # a farm of two nodes and an edge, on this machine
tandem init --role node,edge   # the first member of a new farm
tandem run                     # serve
tandem invite                  # print the command that joins the next server
tandem status                  # what is wrong, and how all is`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          a.noSuchCommand,
		RunE:          showHelp,
	}
	root.SetOut(a.ui.out)
	root.SetErr(a.ui.err)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { printHelp(a.ui, cmd) })
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return misuse(cmd, err) })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetHelpCommand(a.helpCommand())
	root.SuggestionsMinimumDistance = 2

	f := root.PersistentFlags()
	f.StringVar(&a.where.config, "config", "", "`directory` of the configuration (default "+a.where.doc.config+")")
	f.StringVar(&a.where.state, "state", "", "`directory` of the member's state (default "+a.where.doc.state+")")
	f.StringVar(&a.where.socket, "socket", "", "`path` of the daemon's control socket (default control.sock, in --state if given, else in "+a.where.doc.run+")")
	f.BoolVar(&a.json, "json", false, "print JSON")
	f.SortFlags = false

	root.AddCommand(
		a.initCommand(), a.inviteCommand(), a.joinCommand(), a.runCommand(),
		a.statusCommand(), a.eventsCommand(), a.siteCommand(), a.configCommand(), a.secretCommand(), a.conflictsCommand(), a.folderCommand(), a.whyCommand(), a.certCommand(), a.memberCommand(), a.drainCommand(), a.undrainCommand(), a.maintenanceCommand(),
		a.healthCommand(), a.exportCommand(),
		a.importCommand(), a.demoCommand(), a.demoAppCommand(), a.versionCommand(), exitCodesTopic(),
	)
	return root
}

// group is a command that only has commands.
func (a *app) group(use, short, example string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Example: example, Args: a.noSuchCommand, RunE: showHelp, SuggestionsMinimumDistance: 2}
	cmd.AddCommand(subs...)
	return cmd
}

// noSuchCommand refuses the arguments of a command that only has commands, and says which one may be meant.
func (a *app) noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	e := farm.Errorf("", "", farm.Invalid, "there is no command %q in %q", args[0], cmd.CommandPath())
	e.Next = "see: " + cmd.CommandPath() + " --help"
	if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
		e.Next = "did you mean: " + cmd.CommandPath() + " " + strings.Join(s, ", ") + "?"
	}
	return e
}

// takes checks how many arguments there are.
func takes(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return misuse(cmd, fmt.Errorf("%s were given; usage: %s", plural(len(args), "argument", "arguments"), cmd.UseLine()))
		}
		return nil
	}
}

// misuse is the error of a command line that is wrong.
func misuse(cmd *cobra.Command, err error) error {
	return &farm.Error{Kind: farm.Invalid, Next: "see: " + cmd.CommandPath() + " --help", Err: err}
}

// client talks to the daemon of this machine.
func (a *app) client() *control.Client { return control.NewClient(a.where.socketPath()) }

// show prints v as JSON, or for people.
func (a *app) show(v any, people func(*ui)) error {
	if a.json {
		return a.ui.json(v)
	}
	people(a.ui)
	return nil
}
