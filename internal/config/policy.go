package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Policy says how an edge chooses among nodes that are equally fit, in the words of farm.toml and of site files. Empty: it
// is not said.
type Policy string

const (
	RoundRobin       Policy = "round_robin"       // in turn, by weight
	LeastConnections Policy = "least_connections" // the one with the fewest requests in flight, by weight
	LeastTime        Policy = "least_time"        // the one that is likely to answer first, by weight
	TwoChoices       Policy = "two_choices"       // of two that chance picks by weight, the one with fewer requests in flight
)

// hash is the first word of the policies that send equal requests to the same node.
const hash = "hash"

// By is a property of a request that visitors are told apart by.
type By string

const (
	ByAddress By = "address" // of the visitor
	ByHeader  By = "header"  // a header of the request
	ByCookie  By = "cookie"  // one of its cookies
	ByURI     By = "uri"     // its path and query
)

var policies = []string{string(RoundRobin), string(LeastConnections), string(LeastTime), string(TwoChoices), hash}

// ParsePolicy reads a policy; words that are separated by more than one space are taken, too.
func ParsePolicy(words string) (Policy, error) {
	f := strings.Fields(words)
	switch {
	case len(f) == 0:
		return "", fmt.Errorf("it takes one of %s", strings.Join(policies, ", "))
	case f[0] == hash:
		return parseHash(f[1:])
	case !slices.Contains(policies, f[0]):
		return "", fmt.Errorf("%q is not one of %s", f[0], strings.Join(policies, ", "))
	case len(f) > 1:
		return "", fmt.Errorf("%s takes no %q", f[0], f[1])
	}
	return Policy(f[0]), nil
}

func parseHash(of []string) (Policy, error) {
	switch {
	case len(of) == 1 && (By(of[0]) == ByAddress || By(of[0]) == ByURI):
	case len(of) == 2 && (By(of[0]) == ByHeader || By(of[0]) == ByCookie):
		if !IsToken(of[1]) {
			return "", fmt.Errorf("%q is no name of a %s", of[1], of[0])
		}
	default:
		return "", errors.New("hash takes one of: address, uri, header NAME, cookie NAME")
	}
	return Policy(hash + " " + strings.Join(of, " ")), nil
}

// Hash is what the policy hashes, and the name of the header or cookie; empty: it is another policy.
func (p Policy) Hash() (by By, name string) {
	if f := strings.Fields(string(p)); len(f) > 1 && f[0] == hash {
		return By(f[1]), strings.Join(f[2:], "")
	}
	return "", ""
}

// IsToken tells whether s can be the name of a header or of a cookie.
//
// RFC 9110, section 5.6.2.
func IsToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}
