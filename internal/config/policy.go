package config

import (
	"fmt"
	"slices"
	"strings"
)

// Policy names how an edge chooses among nodes that are equally fit. Empty: it is not said.
type Policy string

const (
	RoundRobin       Policy = "round_robin"       // in turn, by weight
	LeastConnections Policy = "least_connections" // the one with the fewest requests in flight, by weight
)

var policies = []string{string(RoundRobin), string(LeastConnections)}

// ParsePolicy reads a policy as it is written in farm.toml and in site files.
func ParsePolicy(words string) (Policy, error) {
	if !slices.Contains(policies, words) {
		return "", fmt.Errorf("%q is not one of %s", words, strings.Join(policies, ", "))
	}
	return Policy(words), nil
}
