// Command tandem turns two or more servers into one website.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

//go:generate go test . -run TestCommandReference -update

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an ordered stop, the second one gets its way.
	context.AfterFunc(ctx, stop)
	a := &app{parts: wired(), ui: newUI(os.Stdout, os.Stderr, os.Getenv), where: systemPlaces()}
	os.Exit(a.run(ctx, os.Args[1:]))
}
