package config

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"

	"tandem/internal/farm"
)

// MemberFile is member.toml: the only file that is not shared. With the last good revision it is enough to boot and
// serve alone. Its tags are its schema, as in Config.
type MemberFile struct {
	Name      farm.MemberID   `toml:"name,required" doc:"name of this member, as in its certificate and in farm.toml" example:"\"web1\""`
	Listen    string          `toml:"listen" default:"\":7443\"" doc:"address for the other members"`
	Addresses []string        `toml:"addresses,orone" doc:"IP addresses that are this member's own, for the bindings in site files; without this key those of its interfaces" example:"[\"192.0.2.11\"]"`
	State     string          `toml:"state" doc:"directory of the member's state; without this key the system's place for it" example:"\"/var/lib/tandem\""`
	Certs     string          `toml:"certificates" doc:"directory of certificates of this member alone, which win over the farm's; without this key there is none" example:"\"/etc/ssl/tandem\""`
	OwnOnly   bool            `toml:"own_commands_only" default:"false" doc:"run no check and apply commands of the farm's folders but those that stand in this file" example:"true"`
	Folders   map[string]Here `toml:"folder" doc:"a folder that this member keeps at another path than the others"`
}

// Here is a table [folder.NAME] of member.toml.
type Here struct {
	Path  string `toml:"path" doc:"absolute path of the folder on this member" example:"\"/srv/shop\""`
	Check string `toml:"check" doc:"command of this member in place of the folder's check; off: none" example:"\"/usr/local/sbin/nginx -t\""`
	Apply string `toml:"apply" doc:"command of this member in place of the folder's apply; off: none" example:"\"systemctl reload nginx\""`
}

// FolderPath is where the member keeps the folder.
func (m MemberFile) FolderPath(f Folder) string {
	if here := m.Folders[string(f.Name)]; here.Path != "" {
		return here.Path
	}
	return f.Path
}

// Commands are the check and apply commands of a folder on the member.
func (m MemberFile) Commands(f Folder) (check, apply string) {
	here := m.Folders[string(f.Name)]
	pick := func(own, all string) string {
		switch {
		case own == "off" || own == "" && m.OwnOnly:
			return ""
		case own == "":
			return all
		}
		return own
	}
	return pick(here.Check, f.Check), pick(here.Apply, f.Apply)
}

// LoadMember reads member.toml. All faults are returned at once; the MemberFile is of use only if faults.Err is nil.
func LoadMember(src []byte) (MemberFile, Faults) {
	if len(src) > MaxFarmBytes {
		return MemberFile{}, Faults{{File: MemberFileName, Message: fmt.Sprintf("the file has %d bytes; the limit is %d", len(src), MaxFarmBytes)}}
	}
	tree, syntax := readTOML(MemberFileName, src)
	d := newDecoder(MemberFileName, syntax)
	var m MemberFile
	d.struct_(tree, reflect.ValueOf(&m).Elem(), "")
	if !d.torn {
		d.memberFile(m)
	}
	return m, d.faults.sorted()
}

func (d *decoder) memberFile(m MemberFile) {
	if at, ok := d.taken("name"); ok {
		if _, err := farm.ParseMemberID(string(m.Name)); err != nil {
			d.fault(at, "", "%s", err)
		}
	}
	if at, ok := d.taken("listen"); ok && checkHostPort(m.Listen, false) != nil {
		d.fault(at, "write \":7443\" for all addresses, or \"192.0.2.11:7443\"", "%s", checkHostPort(m.Listen, false))
	}
	for i, a := range m.Addresses {
		at, ok := d.taken(fmt.Sprintf("addresses[%d]", i))
		if _, err := netip.ParseAddr(a); ok && err != nil {
			d.fault(at, "", "%q is not an IP address", a)
		}
	}
	for key, dir := range map[string]string{"state": m.State, "certificates": m.Certs} {
		if at, ok := d.taken(key); ok {
			if err := checkFolderPath(dir); err != nil {
				d.fault(at, "", "%s", err)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Folders)) {
		if _, err := farm.ParseFolderID(name); err != nil {
			d.fault(d.places["folder."+name+"#"], "", "%s", err)
		}
		if at, ok := d.taken("folder." + name + ".path"); ok {
			if err := checkFolderPath(m.Folders[name].Path); err != nil {
				d.fault(at, "", "%s", err)
			}
		}
	}
}

// Write is the file's text, with comments for those who edit it. LoadMember gives back the same.
func (m MemberFile) Write() []byte {
	var b bytes.Buffer
	b.WriteString("# This member's own settings. All else is shared and stands in " + FarmFile + ".\n\n")
	line := func(comment, key, value, example string) {
		fmt.Fprintf(&b, "# %s\n", comment)
		if value == "" {
			fmt.Fprintf(&b, "# %s = %s\n\n", key, example)
			return
		}
		fmt.Fprintf(&b, "%s = %s\n\n", key, value)
	}
	values := map[string]string{
		"name":      quote(string(m.Name)),
		"listen":    quote(m.Listen),
		"addresses": quoteList(m.Addresses),
		"state":     quote(m.State),

		"certificates": quote(m.Certs),

		"own_commands_only": "",
	}
	if m.OwnOnly {
		values["own_commands_only"] = "true"
	}
	t := reflect.TypeOf(m)
	for _, f := range fieldsOf(t) {
		if value, ok := values[f.key]; ok {
			line(f.tag.Get("doc"), f.key, value, f.tag.Get("example"))
		}
	}
	fmt.Fprintf(&b, "# [folder.NAME]: %s\n", fieldsOf(t)[len(values)].tag.Get("doc"))
	for _, name := range slices.Sorted(maps.Keys(m.Folders)) {
		fmt.Fprintf(&b, "\n[folder.%s]\n", name)
		here := m.Folders[name]
		for _, v := range []struct{ key, value string }{{"path", here.Path}, {"check", here.Check}, {"apply", here.Apply}} {
			if v.value != "" {
				fmt.Fprintf(&b, "%s = %s\n", v.key, quote(v.value))
			}
		}
	}
	return b.Bytes()
}

// quote is s as a TOML text; empty stays empty.
func quote(s string) string {
	if s == "" {
		return ""
	}
	return tomlString(s)
}

// tomlString is s as a basic string of TOML.
func tomlString(s string) string {
	var b bytes.Buffer
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// quoteList is the list in TOML; an empty one is empty.
func quoteList(all []string) string {
	if len(all) == 0 {
		return ""
	}
	var b bytes.Buffer
	for i, s := range all {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(tomlString(s))
	}
	return "[" + b.String() + "]"
}

// tomlKey is s as a key: bare where TOML allows it.
func tomlKey(s string) string {
	if labelPattern.MatchString(s) {
		return s
	}
	return tomlString(s)
}
