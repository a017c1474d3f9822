package archtest

import (
	"strings"
	"testing"
)

// ours says who may import whom inside the module: "a, b < c, d" lets c and d import a and b, directly; nothing else
// follows from it. What is not said is forbidden. Relax a line only with a decision record that says why.
const ours = `
	# Level 0: the nouns, and the port to the file system.
	farm < vfs;
	client < shell, web, edge;

	# Level 1: each knows one thing, and none knows another.
	farm < chunk, wire, reconcile, config, watch, identity, shell, certs;
	farm, vfs < index;
	wire/pb < wire;

	# Level 2: the parts of a member. They never import each other: member connects them.
	farm, vfs, chunk < scan, install;
	farm, wire, wire/pb, identity < peer;
	farm, reconcile < replica;
	farm, index < trial;
	farm, config < reload, control, edge;
	farm, config, shell < web;
	farm, certs < acme;

	# Another server's configuration turned into ours: a function of files.
	farm, config < iis;

	# Other balancers' configurations: a function of what the control API says.
	farm, control < balancer;

	# Level 3: the composition root.
	farm, vfs, chunk, wire, reconcile, config, watch, index, identity, shell, certs,
	scan, install, peer, replica, trial, reload, web, edge, control, acme < member;

	# A farm of its own to look at. It uses the program and the control API, as an admin would.
	farm < gallery;
	farm, config, control, gallery < demo;

	# Level 4: commands, flags, output.
	farm, config, control, balancer, member, demo, gallery, iis < cmd/tandem;

	# Tests only: the simulator drives the real engine over virtual disks.
	farm, vfs, reconcile, scan, install, replica < sim;
	farm, config, control < test/e2e, test/acme;
	farm, config, shell, web, member, iis < test/iis;
	farm, config, shell, edge, web, member < test/guard;
	config, member < docs;
`

// theirs says the same of libraries, by prefix of their import paths. TESTS are all test files.
const theirs = `
	github.com/spf13/cobra < cmd/tandem;
	github.com/prometheus/client_golang < control;
	github.com/pelletier/go-toml, github.com/rogpeppe/go-internal/diff, golang.org/x/tools/txtar < config;
	golang.org/x/tools/txtar < iis, iis/iistest;
	github.com/rogpeppe/go-internal/diff < member;
	github.com/bmatcuk/doublestar < config, scan, member;
	filippo.io/age < identity;
	software.sslmate.com/src/go-pkcs12, golang.org/x/crypto/ocsp < certs;
	github.com/mholt/acmez < acme;
	github.com/zeebo/blake3 < chunk, config, scan, install, peer, web, sim, member;
	github.com/PlakarKorp/go-cdc-chunkers < chunk;
	github.com/klauspost/compress < wire, peer;
	google.golang.org/grpc, google.golang.org/protobuf < wire, wire/pb, peer;
	github.com/ncruces/go-sqlite3 < index;
	golang.org/x/sys < vfs, watch, index, scan, install, shell, peer, demo, member;
	golang.org/x/sync < member, peer, edge;
	golang.org/x/time/rate, github.com/DeRuina/timberjack < edge;
	golang.org/x/term < cmd/tandem;
	golang.org/x/net/idna < web;

	# The web server stays behind these two; edge is a plain http.Handler.
	github.com/caddyserver, go.uber.org/zap, github.com/quic-go/quic-go < shell, web;
	github.com/pires/go-proxyproto < shell;

	github.com/letsencrypt/pebble, github.com/letsencrypt/challtestsrv, go.uber.org/goleak, pgregory.net/rapid, github.com/rogpeppe/go-internal/testscript, github.com/zeebo/blake3, golang.org/x/sys, github.com/pires/go-proxyproto, golang.org/x/crypto/ocsp, google.golang.org/grpc, github.com/quic-go/quic-go, golang.org/x/net/websocket < TESTS;
`

const tests = "TESTS"

// pure lists packages that decide without doing, and what none of their files may import.
const pure = `
	os, os/exec, os/signal, io/fs, syscall, net/http, log, log/slog, math/rand, math/rand/v2, sync, sync/atomic, context < NONE;
`

var purePackages = []string{"farm", "reconcile", "config", "chunk", "iis", "balancer"}

// allowed maps an importer to what it may import.
type allowed map[string]map[string]bool

func parseRules(t *testing.T, text string) allowed {
	t.Helper()
	rules := allowed{}
	var clean strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		clean.WriteString(line)
	}
	for rule := range strings.SplitSeq(clean.String(), ";") {
		if strings.TrimSpace(rule) == "" {
			continue
		}
		imported, importers, ok := strings.Cut(rule, "<")
		if !ok {
			t.Fatalf("rule %q has no <", rule)
		}
		for _, who := range names(importers) {
			if rules[who] == nil {
				rules[who] = map[string]bool{}
			}
			for _, what := range names(imported) {
				rules[who][what] = true
			}
		}
	}
	return rules
}

func names(list string) []string {
	var all []string
	for n := range strings.SplitSeq(list, ",") {
		all = append(all, strings.TrimSpace(n))
	}
	return all
}

// testOnly tells whether only tests may import the package.
func testOnly(name string) bool {
	return name == "sim" || strings.HasSuffix(name, "test") || strings.HasPrefix(name, "test/")
}

func TestImportsOfOurs(t *testing.T) {
	rules := parseRules(t, ours)
	for _, p := range load(t) {
		for _, f := range p.files {
			for path, at := range f.imports(t) {
				name := ruleName(path)
				if name == "" || rules[p.name][name] {
					continue
				}
				// A contract suite imports the package whose contract it is. Tests use suites, and their own package.
				suite := testOnly(p.name) && (name == "farm" || strings.HasPrefix(p.name, name+"/") || rules[parent(p.name)][name])
				test := f.test && (testOnly(name) || name == p.name)
				if !suite && !test {
					t.Errorf("%v: %s must not import %s (see the table of imports)", at, p.name, name)
				}
			}
		}
	}
}

// parent is the package in whose directory the package lies.
func parent(name string) string {
	i := strings.LastIndexByte(name, '/')
	return name[:max(i, 0)]
}

func TestImportsOfTheirs(t *testing.T) {
	rules := parseRules(t, theirs)
	may := func(who, path string) bool {
		for prefix := range rules[who] {
			if path == prefix || strings.HasPrefix(path, prefix+"/") {
				return true
			}
		}
		return false
	}
	for _, p := range load(t) {
		for _, f := range p.files {
			for path, at := range f.imports(t) {
				if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") || may(p.name, path) {
					continue // the standard library and ours have no dot in the first element
				}
				if !may(tests, path) || !f.test && !testOnly(p.name) && !testOnly(parent(p.name)) {
					t.Errorf("%v: %s must not import %s (see the table of libraries)", at, p.name, path)
				}
			}
		}
	}
}

func TestPurePackagesDoNothing(t *testing.T) {
	forbidden := parseRules(t, pure)["NONE"]
	for _, p := range load(t) {
		for _, name := range purePackages {
			if p.name != name {
				continue
			}
			for _, f := range p.files {
				for path, at := range f.imports(t) {
					if forbidden[path] && !f.test {
						t.Errorf("%v: %s decides and does nothing, so it must not import %s", at, p.name, path)
					}
				}
			}
		}
	}
}
