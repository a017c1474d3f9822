package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"tandem/internal/farm"
)

var (
	keyPattern   = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	labelPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,63}$`)
)

// check reports what is wrong with a decoded farm.toml beyond the form of its values, and returns it as a Config.
func (d *decoder) check(file *farmFile) *Config {
	c := &Config{Farm: file.Farm, Edge: file.Edge, Events: file.Events, Certificates: file.Certificates, ACME: file.ACME, secretAt: d.secrets}
	for _, name := range slices.Sorted(maps.Keys(file.Member)) {
		m := file.Member[name]
		id, err := farm.ParseMemberID(name)
		if err != nil {
			d.fault(d.places["member."+name+"#"], "", "%s", err)
			continue
		}
		m.Name = id
		d.member(m)
		c.Members = append(c.Members, m)
	}
	for _, name := range slices.Sorted(maps.Keys(file.Folder)) {
		f := file.Folder[name]
		id, err := farm.ParseFolderID(name)
		if err != nil {
			hint := ""
			if strings.HasPrefix(name, ".") {
				hint = "names that begin with a dot are Tandem's own"
			}
			d.fault(d.places["folder."+name+"#"], hint, "%s", err)
			continue
		}
		f.Name = id
		f.Lines = map[string]int{}
		d.folder(f)
		c.Folders = append(c.Folders, f)
	}
	for _, site := range slices.Sorted(maps.Keys(file.Maintenance)) {
		m := file.Maintenance[site]
		m.Site = site
		c.Maintenance = append(c.Maintenance, d.maintenance(m))
	}
	d.duplicates(c)
	d.nested(c)
	d.readers(c)
	d.edge(c)
	d.acme(c)
	d.links(c)
	d.roles(c)
	return c
}

// roles looks at what the members are together. What seems to be missing may be what could not be understood, so it
// says nothing when there is another fault.
func (d *decoder) roles(c *Config) {
	if d.faults.Err() != nil {
		return
	}
	switch {
	case len(c.Members) == 0:
		d.fault(place{}, "tandem init writes the first one", "there is no member")
	case len(c.With(farm.RoleNode)) == 0:
		d.fault(place{}, "give at least one member roles = [\"node\"]", "no member has the role node")
	}
	if at, ok := d.places["edge"]; ok && len(c.With(farm.RoleEdge)) == 0 {
		d.fault(at, "give a member roles = [\"edge\"]", "[edge] has no effect: no member has the role edge")
		d.faults[len(d.faults)-1].Warning = true
	}
}

func (d *decoder) member(m Member) {
	path := "member." + string(m.Name)
	if at, ok := d.taken(path + ".address"); ok {
		if err := checkHostPort(m.Address, true); err != nil {
			d.fault(at, "", "%s", err)
		}
	}
	if at, ok := d.taken(path + ".key"); ok && !keyPattern.MatchString(m.Key) {
		d.fault(at, "tandem status on that member shows it", "%q is not a key fingerprint: it must be sha256: and 64 digits 0-9, a-f", m.Key)
	}
	if at, ok := d.taken(path + ".roles"); ok {
		switch {
		case len(m.Roles) == 0:
			d.fault(at, "write [\"node\"], [\"edge\"] or both", "member %s has no role", m.Name)
		case len(m.Roles) == 2 && m.Roles[0] == m.Roles[1]:
			d.fault(at, "", "role %s stands here twice", m.Roles[0])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Labels)) {
		if !labelPattern.MatchString(name) {
			d.fault(d.places[path+".labels."+name+"#"], "", "%q is not a label name: use 1 to 63 of a-z, A-Z, 0-9, - and _", name)
		}
		if hasControl(m.Labels[name]) {
			d.fault(d.places[path+".labels."+name], "", "label %s holds a control character", name)
		}
	}
}

func (d *decoder) folder(f Folder) {
	key := "folder." + string(f.Name)
	if at, ok := d.taken(key + ".path"); ok {
		if err := checkFolderPath(f.Path); err != nil {
			d.fault(at, "", "%s", err)
		}
	}
	d.patterns(f, "exclude", f.Exclude)
	d.patterns(f, "include", f.Include)
}

// duplicates reports members that would be mistaken for one another.
func (d *decoder) duplicates(c *Config) {
	address, key := map[string]farm.MemberID{}, map[string]farm.MemberID{}
	for _, m := range c.Members {
		path := "member." + string(m.Name)
		if first, ok := address[m.Address]; ok && m.Address != "" {
			d.fault(d.places[path+".address"], "", "members %s and %s have the same address", first, m.Name)
		}
		if first, ok := key[m.Key]; ok && m.Key != "" {
			d.fault(d.places[path+".key"], "a member that is copied needs a new identity: let it join", "members %s and %s have the same key", first, m.Name)
		}
		address[m.Address], key[m.Key] = m.Name, m.Name
	}
}

// nested reports folders that hold one another: a change would travel twice, and each copy would undo the other.
func (d *decoder) nested(c *Config) {
	for _, inner := range c.Folders {
		for _, outer := range c.Folders {
			at := d.places["folder."+string(inner.Name)+".path"]
			switch in, out := asDir(inner.Path), asDir(outer.Path); {
			case inner.Path == "" || outer.Path == "":
			case in == out && outer.Name < inner.Name:
				d.fault(at, "", "folders %s and %s have the same path", outer.Name, inner.Name)
			case in != out && strings.HasPrefix(in, out):
				d.fault(at, "", "folder %s lies in folder %s (%s)", inner.Name, outer.Name, outer.Path)
			}
		}
	}
}

func (d *decoder) edge(c *Config) {
	used := map[string]bool{}
	listen := func(key string, addresses []string) {
		for i, a := range addresses {
			at, ok := d.taken(fmt.Sprintf("%s[%d]", key, i))
			if !ok {
				continue
			}
			if err := checkHostPort(a, false); err != nil {
				d.fault(at, "write \":80\" for all addresses, or \"192.0.2.10:80\"", "%s", err)
			}
			if used[a] {
				d.fault(at, "", "address %s stands here twice", a)
			}
			used[a] = true
		}
	}
	listen("edge.http", c.Edge.HTTP)
	listen("edge.https", c.Edge.HTTPS)
	if at, ok := d.taken("edge.keep_body"); ok && c.Edge.KeepBody > MaxKeepBody {
		d.fault(at, "", "%q is more than %s", "edge.keep_body", Size(MaxKeepBody))
	}
	if at, ok := d.taken("edge.access_log"); ok && !path.IsAbs(c.Edge.AccessLog) && !windowsRoot.MatchString(c.Edge.AccessLog) {
		d.fault(at, "", "%q is not an absolute path", c.Edge.AccessLog)
	}
	if at, ok := d.taken("edge.max_header"); ok && (c.Edge.MaxHeader < 4<<10 || c.Edge.MaxHeader > 1<<20) {
		d.fault(at, "", "%s is not a size from 4KiB to 1MiB", c.Edge.MaxHeader)
	}
	if at, ok := d.taken("edge.policy"); ok {
		policy, err := ParsePolicy(string(c.Edge.Policy))
		if err != nil {
			d.fault(at, "", "%q: %s", "edge.policy", err)
		}
		c.Edge.Policy = policy
	}
	for i, a := range c.Edge.VirtualAddress {
		if at, ok := d.taken(fmt.Sprintf("edge.virtual_address[%d]", i)); ok {
			if _, err := netip.ParsePrefix(a); err != nil {
				d.fault(at, "write \"192.0.2.10/24\"", "%q is no address with the length of its prefix", a)
			}
		}
	}
}

// checkHostPort reports what is wrong with an address. A host is needed to dial, not to listen.
func checkHostPort(s string, needHost bool) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not an address: write host:port, an IPv6 address in brackets", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q is not an address: the port must be a number from 1 to 65535", s)
	}
	if host == "" && needHost {
		return fmt.Errorf("%q is not an address: the host is missing", s)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !hostPattern.MatchString(host) {
		return fmt.Errorf("%q is not an address: %q is no IP address and no host name", s, host)
	}
	return nil
}

var hostPattern = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?$`)

// windowsRoot is the beginning of an absolute path on Windows. A path must be fit for the farm, not for the member that
// happens to check it, so both forms are known everywhere.
var windowsRoot = regexp.MustCompile(`^[A-Za-z]:[\\/]`)

func checkFolderPath(p string) error {
	slashed := strings.ReplaceAll(p, `\`, "/")
	switch {
	case hasControl(p):
		return fmt.Errorf("%q holds a control character", p)
	case windowsRoot.MatchString(p):
		if path.Clean(slashed) != strings.TrimRight(slashed, "/") || len(slashed) <= len("C:/") {
			return fmt.Errorf("%q is not a clean path of a directory", p)
		}
	case !strings.HasPrefix(p, "/"):
		return fmt.Errorf("%q is not an absolute path", p)
	case path.Clean(p) == "/":
		return fmt.Errorf("%q can't be a folder: it is the whole file system", p)
	case path.Clean(p) != strings.TrimRight(p, "/"):
		return fmt.Errorf("%q is not a clean path: write %q", p, path.Clean(p))
	}
	return nil
}

// asDir is the path with slashes, and one at the end, so that a directory is a prefix of what it holds.
func asDir(p string) string {
	return strings.TrimRight(strings.ReplaceAll(p, `\`, "/"), "/") + "/"
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }
