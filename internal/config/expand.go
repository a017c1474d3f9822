package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"tandem/internal/farm"
)

// placeholder matches what begins like one of ours. A backslash before it makes it plain text, as in Caddy. All other
// braces are Caddy's own and stay as they are.
var placeholder = regexp.MustCompile(`\\?\{(?:member|folder|secret)\.[^{}\s]*\}`)

var placeholders = []string{"{member.name}", "{member.address}", "{member.label.NAME}", "{folder.NAME}", "{secret.NAME}"}

// Vars are the values of the placeholders on one member.
type Vars struct {
	Member  Member
	Folders map[farm.FolderID]string // to the path on this member
	Secrets map[string]string        // to the value; empty: it is not known here, and the placeholder stands for itself
	Closed  map[string]string        // secrets that are set and can't be opened here, to why
}

// Vars are the placeholders' values on the member called self, whose own file is here.
func (c *Config) Vars(self farm.MemberID, here MemberFile) Vars {
	v := Vars{Folders: map[farm.FolderID]string{}, Secrets: map[string]string{}, Closed: map[string]string{}}
	v.Member, _ = c.Member(self)
	v.Member.Name = self
	for _, f := range c.Folders {
		v.Folders[f.Name] = here.FolderPath(f)
	}
	for name := range c.Secrets {
		v.Secrets[name] = ""
	}
	return v
}

// Expand is the site's source with Tandem's placeholders filled in. The number of lines stays the same. Placeholders
// that have no value on the member are faults and stay as they are. Those of secrets stay too: see Fill.
func (s Site) Expand(v Vars) (string, Faults) {
	text, faults := Expand(s.Source, v)
	for i := range faults {
		faults[i].File = s.File
	}
	return text, faults
}

// Expand is Site.Expand for a source without a file; the faults name none.
func Expand(source string, v Vars) (string, Faults) {
	var faults Faults
	var b strings.Builder
	end := 0
	for _, p := range findPlaceholders(source) {
		value, ok := v.lookup(p.name)
		if !ok {
			faults = append(faults, v.fault(p))
			continue
		}
		if strings.HasPrefix(p.name, secretPrefix) {
			continue
		}
		b.WriteString(source[end:p.offset])
		b.WriteString(value)
		end = p.offset + len(p.name) + len("{}")
	}
	b.WriteString(source[end:])
	return b.String(), faults
}

// fault says why a placeholder has no value.
func (v Vars) fault(p found) Fault {
	if why, closed := v.Closed[strings.TrimPrefix(p.name, secretPrefix)]; closed && strings.HasPrefix(p.name, secretPrefix) {
		f := p.fault(nil, "can't be opened on member %s: %s", v.Member.Name, why)
		f.Hint = "if it comes from another farm, import it with --passphrase, or set it: tandem secret set " + strings.TrimPrefix(p.name, secretPrefix)
		return f
	}
	return p.fault(v.known(), "has no value on member %s", v.Member.Name)
}

func (v Vars) lookup(name string) (string, bool) {
	switch name {
	case "member.name":
		return string(v.Member.Name), true
	case "member.address":
		return v.Member.Host(), v.Member.Address != ""
	}
	if label, ok := strings.CutPrefix(name, "member.label."); ok {
		value, ok := v.Member.Labels[label]
		return value, ok
	}
	if secret, ok := strings.CutPrefix(name, secretPrefix); ok {
		value, ok := v.Secrets[secret]
		return value, ok
	}
	value, ok := v.Folders[farm.FolderID(strings.TrimPrefix(name, "folder."))]
	return value, ok && strings.HasPrefix(name, "folder.")
}

// known lists the placeholders that have a value.
func (v Vars) known() []string {
	known := []string{"member.name", "member.address"}
	for _, label := range slices.Sorted(maps.Keys(v.Member.Labels)) {
		known = append(known, "member.label."+label)
	}
	for _, f := range slices.Sorted(maps.Keys(v.Folders)) {
		known = append(known, "folder."+string(f))
	}
	for _, name := range slices.Sorted(maps.Keys(v.Secrets)) {
		known = append(known, secretPrefix+name)
	}
	return known
}

// found is a placeholder in a source.
type found struct {
	name   string // without braces
	offset int
	at     place
}

func findPlaceholders(source string) []found {
	var all []found
	var ls lines
	for _, m := range placeholder.FindAllStringIndex(source, -1) {
		if source[m[0]] == '\\' {
			continue
		}
		if ls == nil {
			ls = linesOf([]byte(source))
		}
		all = append(all, found{source[m[0]+1 : m[1]-1], m[0], ls.place(m[0])})
	}
	return all
}

func (p found) fault(known []string, format string, args ...any) Fault {
	return Fault{
		Line: p.at.line, Column: p.at.column,
		Message: fmt.Sprintf("placeholder {%s} ", p.name) + fmt.Sprintf(format, args...),
		Hint:    DidYouMean(p.name, known),
	}
}

// checkPlaceholders reports the placeholders that no node can fill, and warns of those that some can't.
func (c *Config) checkPlaceholders(s Site) Faults {
	var faults Faults
	for _, p := range findPlaceholders(s.Source) {
		var lacking []string
		var known []string
		nodes := c.With(farm.RoleNode)
		for _, n := range nodes {
			v := c.Vars(n.Name, MemberFile{})
			if _, ok := v.lookup(p.name); !ok {
				lacking = append(lacking, string(n.Name))
				known = v.known()
			}
		}
		if len(lacking) == 0 {
			continue
		}
		f := p.fault(known, "has no value on %s", strings.Join(lacking, ", "))
		f.File = s.File
		f.Warning = len(lacking) < len(nodes)
		if label, ok := strings.CutPrefix(p.name, "member.label."); ok {
			f.Hint = fmt.Sprintf("set %s in the labels of every node in %s", label, FarmFile)
		} else if name, ok := strings.CutPrefix(p.name, secretPrefix); ok {
			if nearest(p.name, known) == "" {
				f.Hint = "set it: tandem secret set " + name
			}
		} else if !strings.HasPrefix(p.name, "folder.") && nearest(p.name, known) == "" {
			f.Hint = "there are " + strings.Join(placeholders, ", ")
		}
		faults = append(faults, f)
	}
	return faults
}
