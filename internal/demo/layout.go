package demo

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"tandem/internal/config"
	"tandem/internal/farm"
)

const (
	siteHost    = "gallery.test"
	folderName  = "gallery"
	frontPort   = "8080"
	securePort  = "8443"
	memberPort  = "7443"
	galleryPort = "9000"
)

// server is one of the demo's servers.
type server struct {
	Name  farm.MemberID
	Roles []farm.Role
	IP    string
	Dir   string
}

func servers(dir string) []server {
	return []server{
		{"web1", []farm.Role{farm.RoleNode}, "127.0.0.11", filepath.Join(dir, "web1")},
		{"web2", []farm.Role{farm.RoleNode}, "127.0.0.12", filepath.Join(dir, "web2")},
		{"edge1", []farm.Role{farm.RoleEdge}, "127.0.0.20", filepath.Join(dir, "edge1")},
	}
}

func (s server) configDir() string { return filepath.Join(s.Dir, "config") }
func (s server) stateDir() string  { return filepath.Join(s.Dir, "state") }
func (s server) socket() string    { return filepath.Join(s.Dir, "control.sock") }
func (s server) folder() string    { return filepath.Join(s.Dir, "www") }
func (s server) node() bool        { return s.Roles[0] == farm.RoleNode }
func (s server) url() string       { return "http://" + net.JoinHostPort(s.IP, frontPort) }

// flags name the server's places to the command.
func (s server) flags() []string {
	return []string{"--config", s.configDir(), "--state", s.stateDir(), "--socket", s.socket()}
}

// checkPorts fails early when the addresses are not to be had.
func checkPorts(all []server) error {
	for _, s := range all {
		for _, port := range []string{frontPort, memberPort, galleryPort} {
			l, err := net.Listen("tcp", net.JoinHostPort(s.IP, port))
			if err != nil {
				return &farm.Error{Op: "demo", Path: net.JoinHostPort(s.IP, port), Kind: farm.Unavailable, Err: err,
					Next: "is another demo running? On macOS make the address first: sudo ifconfig lo0 alias " + s.IP}
			}
			if err := l.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}

// siteFile is the whole configuration of the site: one file for all servers, of which each takes its own addresses.
func siteFile(all []server) string {
	var at, nodes []string
	at = append(at, "http://"+siteHost+":"+frontPort)
	for _, s := range all {
		at = append(at, s.url())
		if s.node() {
			nodes = append(nodes, s.IP)
		}
	}
	return fmt.Sprintf(`# The gallery, on every node. Save a change and it is live on all members.
%s {
	bind %s
	read_your_writes %s
	encode zstd gzip
	reverse_proxy {member.address}:%s
}
`, strings.Join(at, ", "), strings.Join(nodes, " "), folderName, galleryPort)
}

// addToFarmFile completes the farm.toml that init wrote.
func addToFarmFile(s server, edge server) error {
	name := filepath.Join(s.configDir(), config.FarmFile)
	src, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	src = fmt.Appendf(src, `
[folder.%s]
path = %q

[edge]
http = %q
https = %q
`, folderName, s.folder(), net.JoinHostPort(edge.IP, frontPort), net.JoinHostPort(edge.IP, securePort))
	return os.WriteFile(name, src, 0o644)
}

// setMemberFile gives the server its own addresses, and its own place for the folder.
func setMemberFile(s server) error {
	name := filepath.Join(s.configDir(), config.MemberFileName)
	src, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	f, faults := config.LoadMember(src)
	if err := faults.Err(); err != nil {
		return err
	}
	f.Addresses = []string{s.IP}
	f.Folders = map[string]config.Here{folderName: {Path: s.folder()}}
	return os.WriteFile(name, f.Write(), 0o644)
}
