package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// parts are what the commands stand on besides the daemon.
type parts struct {
	Init  func(context.Context, initOptions) error
	Join  func(context.Context, string, joinOptions) error
	Run   func(context.Context, runOptions) error
	Check func(context.Context, map[string][]byte) config.Faults // of a configuration, without a daemon
	Demo  func(context.Context, demoOptions) error
	App   func(context.Context, appOptions) error
}

type paths struct{ Config, State, Socket string }

type initOptions struct {
	Paths   paths
	Farm    string
	Name    farm.MemberID
	Address string // host or host:port at which the other members reach it
	Listen  string // empty: the default
	Roles   []farm.Role
}

type joinOptions struct {
	Paths           paths
	Name            farm.MemberID
	Address, Listen string
}

type runOptions struct {
	Paths   paths
	Version string
	Log     *slog.Logger
	Ready   func() // called once, when the member serves
}

type demoOptions struct {
	Dir       string // empty: a temporary one, removed at the end
	KillAfter time.Duration
	JSON      bool
	Out       io.Writer

	Executable string // this program
}

type appOptions struct {
	Listen, Dir, Node string
}

func wired() parts {
	no := errors.New("not wired")
	return parts{
		Init:  func(context.Context, initOptions) error { return no },
		Join:  func(context.Context, string, joinOptions) error { return no },
		Run:   func(context.Context, runOptions) error { return no },
		Check: func(_ context.Context, files map[string][]byte) config.Faults { _, f := config.Parse(files); return f },
		Demo:  func(context.Context, demoOptions) error { return no },
		App:   func(context.Context, appOptions) error { return no },
	}
}
