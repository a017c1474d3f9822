package iis

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// This file is how the rest of the package asks a node. Asking marks: what nobody has asked for is reported.

// value is an attribute, "" if it is not there.
func (n *node) value(name string) string {
	v, _ := n.lookup(name)
	return v
}

// lookup is an attribute and whether it is there.
func (n *node) lookup(name string) (string, bool) {
	n.used = true
	for i := range n.attrs {
		if n.attrs[i].name == name {
			n.attrs[i].used = true
			return n.attrs[i].value, true
		}
	}
	return "", false
}

// or is an attribute, or otherwise the value that IIS takes.
func (n *node) or(name, otherwise string) string {
	if v, ok := n.lookup(name); ok {
		return v
	}
	return otherwise
}

// is reads a boolean attribute.
func (n *node) is(name string, otherwise bool) bool {
	v, ok := n.lookup(name)
	if !ok {
		return otherwise
	}
	b, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(v)))
	return err == nil && b
}

// number reads a number; otherwise is for a missing or odd one.
func (n *node) number(name string, otherwise int64) int64 {
	v, ok := n.lookup(name)
	if !ok {
		return otherwise
	}
	i, err := strconv.ParseInt(strings.TrimSpace(v), 0, 64)
	if err != nil {
		return otherwise
	}
	return i
}

// peek is an attribute, without using it.
func (n *node) peek(name string) string {
	for _, a := range n.attrs {
		if a.name == name {
			return a.value
		}
	}
	return ""
}

// child is the first element of that name below n, used; nil if there is none.
func (n *node) child(name string) *node {
	for _, k := range n.kids {
		if k.name == name {
			k.used = true
			return k
		}
	}
	return nil
}

// all are the elements of that name, used.
func (n *node) all(name string) []*node {
	var found []*node
	for _, k := range n.kids {
		if k.name == name {
			k.used = true
			found = append(found, k)
		}
	}
	return found
}

// ignore marks n and all in it as used.
func (n *node) ignore() {
	n.used = true
	for i := range n.attrs {
		n.attrs[i].used = true
	}
	for _, k := range n.kids {
		k.ignore()
	}
}

// at is where n stands, as comments in site files say it.
func (n *node) at() string {
	return fmt.Sprintf("%s:%d", path.Base(strings.ReplaceAll(n.doc.name, `\`, "/")), n.line)
}

// where is the way to n: "system.webServer/rewrite/rules".
func (n *node) where() string {
	if n.parent == nil || n.parent.parent == nil || n.parent.name == "location" {
		return n.name
	}
	return n.parent.where() + "/" + n.name
}

// label is what an admin calls an element among others of its name.
func (n *node) label() string {
	for _, key := range []string{"name", "value", "path", "fileExtension", "statusCode", "bindingInformation", "wildcard", "segment", "ipAddress", "domainName", "input", "url", "key", "sequence", "verb", "string", "logFieldName", "serverVariable"} {
		if v := n.peek(key); v != "" {
			return fmt.Sprintf(`%s %s="%s"`, n.where(), key, v)
		}
	}
	return n.where()
}

// collect is a collection as IIS puts it together from the outer to the inner sections: add, remove and clear. The key
// is the attributes that tell items apart. front tells that inner items come before outer ones.
func collect(sections []*node, front bool, key ...string) []*node {
	live := map[string]*node{} // the item of a key
	lists := make([][]*node, len(sections))
	for i, s := range sections {
		for _, k := range s.kids {
			switch k.name {
			case "clear":
				k.used = true
				for _, list := range lists[:i+1] {
					for _, n := range list {
						n.gone = true
					}
				}
				clear(live)
				clear(lists[:i+1])
			case "remove":
				k.used = true
				id := keyOf(k, key, true)
				take(live, id)
			default:
				id := keyOf(k, key, false)
				take(live, id)
				if id != "" {
					live[id] = k
				}
				lists[i] = append(lists[i], k)
			}
		}
	}
	if front {
		slices.Reverse(lists)
	}
	var items []*node
	for _, n := range slices.Concat(lists...) {
		if id := keyOf(n, key, false); id == "" || live[id] == n {
			items = append(items, n)
		}
	}
	return items
}

// take takes an item out. Elsewhere it may be in: it is gone only if nobody uses it.
func take(live map[string]*node, id string) {
	if n := live[id]; n != nil {
		n.gone = true
		delete(live, id)
	}
}

// keyOf tells items apart; "" for one without a key, which is like no other.
func keyOf(n *node, key []string, use bool) string {
	var id strings.Builder
	empty := true
	for _, k := range key {
		v := n.peek(k)
		if use {
			v = n.value(k)
		}
		empty = empty && v == ""
		if k == "subStatusCode" && v == "" {
			v = "-1"
		}
		id.WriteString(strings.ToLower(v) + "\x00")
	}
	if empty {
		return ""
	}
	return id.String()
}
