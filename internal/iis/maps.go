package iis

import (
	"fmt"
	"regexp"
	"strings"
)

// mapSet is the rewrite maps that rules of a zone use.
type mapSet struct {
	z    *zone
	used []usedMap
}

type usedMap struct {
	node        *node
	source      string // placeholders
	prefix      string // of all keys
	placeholder string // without braces
}

// lookup is the placeholder for {Map:text}.
func (m *mapSet) lookup(x *expander, name, arg string) (string, error) {
	var found *node
	for _, n := range collect(m.z.sections("system.webServer/rewrite/rewriteMaps"), false, "name") {
		if strings.EqualFold(n.value("name"), name) {
			found = n
		}
	}
	if found == nil {
		return "", fmt.Errorf("there is no rewrite map called %s", name)
	}
	source, err := x.expand(arg)
	if err != nil {
		return "", err
	}
	prefix := ""
	if source == wholePath {
		source, prefix = "{path}", "/" // the keys get a slash instead
	}
	if source, ok := settle(source); !ok {
		return "", fmt.Errorf("{%s:%s} is a part of a text", name, source)
	}
	source, _ = settle(source)
	for _, u := range m.used {
		if u.node == found && u.source == source {
			return "{" + u.placeholder + "}", nil
		}
	}
	placeholder := unique("map_"+slug(name, "_", 30), "_", func(n string) bool {
		for _, u := range m.used {
			if u.placeholder == n {
				return true
			}
		}
		return false
	})
	m.used = append(m.used, usedMap{found, source, prefix, placeholder})
	return "{" + placeholder + "}", nil
}

// write puts the map directives.
func (m *mapSet) write(t *text) {
	for _, u := range m.used {
		fold := u.node.is("ignoreCase", true)
		t.gap()
		t.comment("rewrite map %q (%s)", u.node.value("name"), u.node.at())
		t.open("map", u.source, "{"+u.placeholder+"}")
		for _, n := range collect([]*node{u.node}, false, "key") {
			key, value := u.prefix+n.value("key"), n.value("value")
			if fold && hasLetter(key) {
				t.put("~(?i)^"+regexp.QuoteMeta(key)+"$", strings.ReplaceAll(value, "$", "$$"))
				continue
			}
			t.put(literal(key), literal(value))
		}
		if v := u.node.value("defaultValue"); v != "" {
			t.put("default", literal(v))
		}
		t.close()
	}
}
