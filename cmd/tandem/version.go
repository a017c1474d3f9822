package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionInfo is what `tandem version --json` prints.
type versionInfo struct {
	Version string `json:"version"`          // of the module, by its tag; "(devel)" when built outside a checkout
	Commit  string `json:"commit,omitempty"` // when built in a checkout
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

// version is what the go command has stamped into the program.
func version() versionInfo {
	v := versionInfo{Version: "(devel)", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if b, ok := debug.ReadBuildInfo(); ok {
		if b.Main.Version != "" {
			v.Version = b.Main.Version
		}
		for _, s := range b.Settings {
			if s.Key == "vcs.revision" {
				v.Commit = s.Value
			}
		}
	}
	return v
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "print the version",
		Example: "tandem version\ntandem version --json",
		Args:    takes(0, 0),
		RunE: func(*cobra.Command, []string) error {
			v := version()
			return a.show(v, func(u *ui) { u.line("tandem %s %s/%s %s", v.Version, v.OS, v.Arch, v.Go) })
		},
	}
}
