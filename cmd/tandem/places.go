package main

import (
	"cmp"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"

	"tandem/internal/farm"
)

const socketName = "control.sock"

// places are where things are: what the flags say, and otherwise what the system has for it.
type places struct {
	config, state, socket string // flags
	system                struct{ config, state, run string }
	doc                   struct{ config, state, run string } // the same for help, on whatever system
}

// systemPlaces are those of the whole machine for root, otherwise those of the user.
func systemPlaces() places {
	var p places
	p.doc.config = "/etc/tandem as root, otherwise $XDG_CONFIG_HOME/tandem"
	p.doc.state = "/var/lib/tandem as root, otherwise $XDG_STATE_HOME/tandem"
	p.doc.run = "/run/tandem as root, otherwise $XDG_RUNTIME_DIR/tandem"
	if os.Geteuid() == 0 {
		p.system.config, p.system.state, p.system.run = "/etc/tandem", "/var/lib/tandem", "/run/tandem"
		return p
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = "." // nobody's home, as in some containers: the directory that the user is in
	}
	p.system.config = filepath.Join(cmp.Or(os.Getenv("XDG_CONFIG_HOME"), filepath.Join(home, ".config")), "tandem")
	p.system.state = filepath.Join(cmp.Or(os.Getenv("XDG_STATE_HOME"), filepath.Join(home, ".local", "state")), "tandem")
	// Without a runtime directory the state directory has to do: it is the user's own, unlike anything in /tmp.
	p.system.run = filepath.Join(p.system.state, "run")
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		p.system.run = filepath.Join(dir, "tandem")
	}
	return p
}

func (p places) configDir() string { return absolute(cmp.Or(p.config, p.system.config)) }

func (p places) stateDir() string { return absolute(cmp.Or(p.state, p.system.state)) }

func (p places) socketPath() string {
	switch {
	case p.socket != "":
		return absolute(p.socket)
	case p.state != "":
		return filepath.Join(p.stateDir(), socketName)
	}
	return absolute(filepath.Join(p.system.run, socketName))
}

// usual tells whether no flag says otherwise, so that a service's daemon has the same places.
func (p places) usual() bool { return p.config == "" && p.state == "" && p.socket == "" }

func absolute(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path // the working directory is gone; the path may do without
	}
	return abs
}

// memberName is what the flag says, otherwise the host's name up to its first dot.
func memberName(flag string) (farm.MemberID, error) {
	name, next := flag, ""
	if name == "" {
		host, err := os.Hostname()
		if err != nil {
			return "", &farm.Error{Op: "find a name", Kind: farm.Invalid, Next: "give one with --name", Err: err}
		}
		name, _, _ = strings.Cut(strings.ToLower(host), ".")
		next = "give one with --name"
	}
	id, err := farm.ParseMemberID(name)
	if err != nil {
		return "", &farm.Error{Op: "name the member", Kind: farm.Invalid, Next: next, Err: err}
	}
	return id, nil
}

// memberAddress is what the flag says, otherwise the address from which this host would talk to the world. A missing
// port is left out: the member adds the one it listens on.
func memberAddress(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	// Connecting a datagram socket sends nothing: it asks the system for a route. 192.0.2.1 is nobody (RFC 5737).
	c, err := net.Dial("udp", "192.0.2.1:9")
	if err != nil {
		return "", &farm.Error{Op: "find this host's address", Kind: farm.Invalid, Next: "give one with --address", Err: err}
	}
	defer c.Close()
	host, _, err := net.SplitHostPort(c.LocalAddr().String())
	if err != nil {
		return "", &farm.Error{Op: "find this host's address", Kind: farm.Internal, Err: err}
	}
	return host, nil
}

// memberRoles are the roles named.
func memberRoles(names []string) ([]farm.Role, error) {
	var roles []farm.Role
	for _, n := range names {
		r := farm.Role(n)
		if r != farm.RoleNode && r != farm.RoleEdge {
			return nil, farm.Errorf("", "", farm.Invalid, "%q is not a role: use node, edge or node,edge", n)
		}
		roles = append(roles, r)
	}
	if len(roles) == 0 {
		return nil, &farm.Error{Kind: farm.Invalid, Err: errors.New("a member needs a role: node, edge or node,edge")}
	}
	return roles, nil
}
