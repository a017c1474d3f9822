package web

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"tandem/internal/config"
)

// This file reads the options of edge that say which node gets a request.

func readPolicy(d *caddyfile.Dispenser, o *config.EdgeSite) (err error) {
	o.Policy, err = config.ParsePolicy(strings.Join(d.RemainingArgs(), " "))
	return err
}

// maxMaxPerNode is more than a node can have at once.
const maxMaxPerNode = 1_000_000

// readMaxPerNode reads: max_per_node 20.
func readMaxPerNode(d *caddyfile.Dispenser, o *config.EdgeSite) error {
	arg, err := oneArg(d, "a number, such as 20")
	if err != nil {
		return err
	}
	o.MaxPerNode, err = strconv.Atoi(arg)
	if err != nil || o.MaxPerNode < 1 || o.MaxPerNode > maxMaxPerNode {
		return fmt.Errorf("%q is not a number from 1 to %d", arg, maxMaxPerNode)
	}
	return nil
}

// readAffinity reads: affinity cookie [NAME] [drain TIME], affinity address [drain TIME].
func readAffinity(d *caddyfile.Dispenser, o *config.EdgeSite) (err error) {
	args := d.RemainingArgs()
	a := config.Affinity{Drain: config.DefaultAffinityDrain}
	if i := slices.Index(args, "drain"); i >= 0 {
		if len(args) != i+2 {
			return errors.New("drain takes a time, such as 30s")
		}
		if a.Drain, err = config.ParseDuration(args[i+1]); err != nil {
			return err
		}
		args = args[:i]
	}
	switch {
	case len(args) == 1 && config.By(args[0]) == config.ByAddress:
		a.By = config.ByAddress
	case len(args) > 0 && len(args) <= 2 && config.By(args[0]) == config.ByCookie:
		a.By, a.Cookie = config.ByCookie, config.DefaultAffinityCookie
		if len(args) == 2 {
			a.Cookie = args[1]
		}
		if !config.IsToken(a.Cookie) {
			return fmt.Errorf("%q is no name of a cookie", a.Cookie)
		}
	default:
		return errors.New("it takes: cookie [NAME] or address, and then: drain TIME")
	}
	o.Affinity = a
	return nil
}
