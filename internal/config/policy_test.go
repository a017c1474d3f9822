package config

import (
	"strings"
	"testing"
)

func TestParsePolicy(t *testing.T) {
	for words, want := range map[string]struct {
		policy Policy
		by     By
		name   string
		fault  string
	}{
		"round_robin":         {policy: RoundRobin},
		" two_choices ":       {policy: TwoChoices},
		"hash address":        {policy: "hash address", by: ByAddress},
		"hash uri":            {policy: "hash uri", by: ByURI},
		"hash  header X-Shop": {policy: "hash header X-Shop", by: ByHeader, name: "X-Shop"},
		"hash cookie sid":     {policy: "hash cookie sid", by: ByCookie, name: "sid"},
		"":                    {fault: "it takes one of round_robin"},
		"fastest":             {fault: `"fastest" is not one of round_robin, least_connections, least_time, two_choices, hash`},
		"least_time 3":        {fault: `least_time takes no "3"`},
		"hash":                {fault: "hash takes one of"},
		"hash cookie":         {fault: "hash takes one of"},
		"hash uri x":          {fault: "hash takes one of"},
		"hash cookie a=b":     {fault: `"a=b" is no name of a cookie`},
	} {
		p, err := ParsePolicy(words)
		if by, name := p.Hash(); p != want.policy || by != want.by || name != want.name {
			t.Errorf("%q is %q by %q %q", words, p, by, name)
		}
		if (err == nil) != (want.fault == "") || err != nil && !strings.Contains(err.Error(), want.fault) {
			t.Errorf("%q: %v, want %q", words, err, want.fault)
		}
	}
}
