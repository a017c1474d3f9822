package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/commands.md and testdata anew")

// quietApp is an app whose output goes to the buffers.
func quietApp() (a *app, out, err *bytes.Buffer) { return quietAppWith(wired()) }

func quietAppWith(p parts) (a *app, out, err *bytes.Buffer) {
	out, err = &bytes.Buffer{}, &bytes.Buffer{}
	return &app{parts: p, ui: newUI(out, err, func(string) string { return "" }), where: systemPlaces()}, out, err
}

// golden compares got with the file, or with -update makes it so.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != got {
		t.Errorf("%s is stale (write it anew with: go generate ./cmd/tandem); err %v; now it is\n%s", file, err, got)
	}
}

func TestCommandReference(t *testing.T) {
	a, _, _ := quietApp()
	var b strings.Builder
	b.WriteString(`# Commands

<!-- Generated from the commands by: go generate ./cmd/tandem -->

stdout is data, stderr is talk. Every command that reads takes --json, and then prints JSON whose fields are those of
package internal/control.
`)
	root := a.root()
	b.WriteString("\nFlags of all commands:\n\n```\n" + root.PersistentFlags().FlagUsages() + "```\n")
	writeCommands(&b, root)
	b.WriteString("\n## Exit codes\n\n```\n" + exitCodesTopic().Long + "\n```\n")
	golden(t, "../../docs/commands.md", b.String())
}

func writeCommands(b *strings.Builder, cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && !c.HasAvailableSubCommands() {
			fmt.Fprintf(b, "\n## %s\n\n%s.\n\n```\n%s\n```\n", strings.TrimPrefix(c.UseLine(), "tandem "), sentence(c.Short), c.Example)
			if c.Long != "" {
				fmt.Fprintf(b, "\n%s\n", c.Long)
			}
			if usage := c.LocalNonPersistentFlags().FlagUsages(); usage != "" {
				fmt.Fprintf(b, "\n```\n%s```\n", usage)
			}
		}
		writeCommands(b, c)
	}
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// Every command has a line of help and an example that begins with a command.
func TestEveryCommandIsExplained(t *testing.T) {
	a, _, _ := quietApp()
	var check func(*cobra.Command)
	check = func(c *cobra.Command) {
		if c.Runnable() && !c.Hidden {
			if c.Short == "" || strings.HasSuffix(c.Short, ".") || c.Short != strings.ToLower(c.Short[:1])+c.Short[1:] {
				t.Errorf("%s: the short help %q is not a lower-case line without a full stop", c.CommandPath(), c.Short)
			}
			if !strings.HasPrefix(c.Example, "tandem ") {
				t.Errorf("%s has no example", c.CommandPath())
			}
		}
		for _, sub := range c.Commands() {
			check(sub)
		}
	}
	check(a.root())
}
