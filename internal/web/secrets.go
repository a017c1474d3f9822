package web

import (
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"tandem/internal/config"
)

// blind are the directives that are read, here or on edges, before the values of secrets are put in.
var blind = []string{"bind", "tls", "log", edgeDirective}

// secretsOutOfPlace refuses the secrets that would not be filled in.
func secretsOutOfPlace(b caddyfile.ServerBlock) error {
	for _, s := range b.Segments {
		if !slices.Contains(blind, s.Directive()) {
			continue
		}
		for _, t := range s {
			if names := config.SecretsIn(t.Text); len(names) > 0 {
				return at(t, "a secret can't be used in %s: {secret.%s}", s.Directive(), names[0])
			}
		}
	}
	return nil
}
