package config

import (
	"bytes"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// This file turns TOML into a tree that knows where each key and value stands. The library's own decoder stops at the
// first value that does not fit and does not say where the values stand that it took; an admin wants every fault at once.

// place is a position in a file; lines and columns count from 1, columns in bytes.
type place struct{ line, column int }

// node is a value.
type node struct {
	at    place
	kind  unstable.Kind // Array, InlineTable (a table however it is written) or a scalar
	text  string        // of a scalar, decoded
	items []*node       // of an array
	table *table        // of a table
}

// entry is a key with its value.
type entry struct {
	name  string
	at    place // of the key
	value *node
}

// table holds entries in the order of the file.
type table struct {
	at      place
	entries []*entry
	byName  map[string]*entry
	header  bool // [it] stands in the file; a second time would be a fault
	closed  bool // written inline: nothing can be added
}

func (t *table) find(name string) *entry { return t.byName[name] }

func (t *table) add(e *entry) {
	if t.byName == nil {
		t.byName = map[string]*entry{}
	}
	t.byName[e.name] = e
	t.entries = append(t.entries, e)
}

// lines finds positions in a text.
type lines []int // offsets at which lines begin

func linesOf(src []byte) lines {
	ls := lines{0}
	for i, c := range src {
		if c == '\n' {
			ls = append(ls, i+1)
		}
	}
	return ls
}

func (ls lines) place(offset int) place {
	i := sort.SearchInts(ls, offset+1) - 1
	return place{i + 1, offset - ls[i] + 1}
}

// tomlReader builds the tree of one file.
type tomlReader struct {
	file   string
	lines  lines
	base   int // offset in the file at which the parser's data begins
	parser unstable.Parser
	root   *table
	now    *table // that key-values belong to; nil: one that could not be understood
	faults Faults
}

// readTOML returns the tree of src and what is wrong with its syntax. After a fault it goes on at the next table.
func readTOML(file string, src []byte) (*table, Faults) {
	r := &tomlReader{file: file, lines: linesOf(src), root: &table{at: place{1, 1}}}
	r.now = r.root
	for {
		r.parser.Reset(src[r.base:])
		for r.parser.NextExpression() {
			r.expression(r.parser.Expression())
		}
		err := r.parser.Error()
		if err == nil {
			break
		}
		at := r.syntaxFault(err)
		next := bytes.Index(src[at:], []byte("\n["))
		if next < 0 {
			break
		}
		r.base = at + next + 1
	}
	if len(r.faults) == 0 {
		r.confirm(src)
	}
	return r.root, r.faults
}

func (r *tomlReader) fault(at place, hint, format string, args ...any) {
	r.faults = append(r.faults, Fault{File: r.file, Line: at.line, Column: at.column, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// syntaxFault reports err and returns its offset in the file.
func (r *tomlReader) syntaxFault(err error) int {
	at := r.base
	var syntax *unstable.ParserError
	if errors.As(err, &syntax) && cap(syntax.Highlight) > 0 {
		at += int(r.parser.Range(syntax.Highlight).Offset)
	}
	r.fault(r.lines.place(at), "", "%s", err.Error())
	return at
}

// confirm asks the library's decoder whether it, too, finds the file well formed: it knows the last corners of TOML.
func (r *tomlReader) confirm(src []byte) {
	var all map[string]any
	err := toml.Unmarshal(src, &all)
	if err == nil {
		return
	}
	at := place{1, 1}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		at.line, at.column = decode.Position()
	}
	r.fault(at, "", "%s", strings.TrimPrefix(err.Error(), "toml: "))
}

func (r *tomlReader) placeOf(n *unstable.Node, otherwise place) place {
	if n.Raw.Length == 0 {
		return otherwise
	}
	return r.lines.place(r.base + int(n.Raw.Offset))
}

func (r *tomlReader) expression(n *unstable.Node) {
	switch n.Kind {
	case unstable.Table:
		r.header(n)
	case unstable.ArrayTable:
		at := r.placeOf(n.Child(), place{})
		r.fault(at, "write it with single brackets", "[[...]] has no meaning here")
		r.now = nil
	case unstable.KeyValue:
		if r.now != nil {
			r.keyValue(r.now, n)
		}
	}
}

// header enters the table that n names.
func (r *tomlReader) header(n *unstable.Node) {
	at := r.root
	var path []string
	for it := n.Key(); it.Next(); {
		name := string(it.Node().Data)
		path = append(path, name)
		if at = r.enter(at, name, r.placeOf(it.Node(), place{})); at == nil {
			r.now = nil
			return
		}
		if !it.IsLast() {
			continue
		}
		if at.header {
			r.fault(r.placeOf(it.Node(), place{}), fmt.Sprintf("the first is in line %d", at.at.line), "table [%s] stands here a second time", strings.Join(path, "."))
			r.now = nil
			return
		}
		at.header, at.at = true, r.placeOf(n.Child(), place{})
	}
	r.now = at
}

// enter returns the table called name in t and makes it if need be; nil: name can't be one.
func (r *tomlReader) enter(t *table, name string, at place) *table {
	e := t.find(name)
	if e == nil {
		e = &entry{name, at, &node{at: at, kind: unstable.InlineTable, table: &table{at: at}}}
		t.add(e)
	}
	if e.value.table == nil || e.value.table.closed {
		r.fault(at, fmt.Sprintf("the first is in line %d", e.at.line), "%q is set a second time", name)
		return nil
	}
	return e.value.table
}

// keyValue puts n into t.
func (r *tomlReader) keyValue(t *table, n *unstable.Node) {
	for it := n.Key(); it.Next(); {
		name, at := string(it.Node().Data), r.placeOf(it.Node(), place{})
		if !it.IsLast() {
			if t = r.enter(t, name, at); t == nil {
				return
			}
			continue
		}
		if first := t.find(name); first != nil {
			r.fault(at, fmt.Sprintf("the first is in line %d", first.at.line), "%q is set a second time", name)
			return
		}
		t.add(&entry{name, at, r.value(n.Value(), at)})
	}
}

func (r *tomlReader) value(n *unstable.Node, key place) *node {
	v := &node{at: r.placeOf(n, key), kind: n.Kind}
	switch n.Kind {
	case unstable.Array:
		for it := n.Children(); it.Next(); {
			v.items = append(v.items, r.value(it.Node(), key))
		}
	case unstable.InlineTable:
		v.table = &table{at: v.at}
		for it := n.Children(); it.Next(); {
			r.keyValue(v.table, it.Node())
		}
		v.table.closed = true
	default:
		v.text = string(n.Data)
	}
	return v
}
