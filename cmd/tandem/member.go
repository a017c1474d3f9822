package main

import (
	"context"

	"tandem/internal/config"
	"tandem/internal/demo"
	"tandem/internal/member"
)

// parts are what the commands stand on besides the daemon. Tests put others in their place.
type parts struct {
	Init  func(context.Context, initOptions) error
	Join  func(context.Context, string, joinOptions) error
	Run   func(context.Context, runOptions) error
	Check func(context.Context, map[string][]byte) config.Faults // of a configuration, without a daemon
	Demo  func(context.Context, demoOptions) error
	App   func(context.Context, appOptions) error
}

type (
	paths       = member.Paths
	initOptions = member.InitOptions
	joinOptions = member.JoinOptions
	runOptions  = member.RunOptions
	demoOptions = demo.Options
	appOptions  = demo.AppOptions
)

func wired() parts {
	return parts{
		Init: member.Init, Join: member.Join, Run: member.Run, Check: member.CheckConfig, Demo: demo.Run, App: demo.RunApp,
	}
}
