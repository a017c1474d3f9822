package iis

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits of one file. Real files have some thousand elements, six deep.
const (
	MaxFileBytes = 8 << 20
	maxDepth     = 64
	maxElements  = 100_000
)

// document is a file that elements stand in.
type document struct {
	name string                            // for messages
	read func(name string) ([]byte, error) // files beside it, for configSource; nil: none
	root *node
}

// node is an element.
type node struct {
	doc    *document
	name   string
	line   int
	parent *node
	attrs  []attr
	kids   []*node
	used   bool // it is in a site file, or means nothing there
	gone   bool // an inner section takes it out; where it is not used either, it has no effect
}

type attr struct {
	name, value string
	line        int
	used        bool
}

// parse reads a file. Names of elements and attributes are as they are written; a prefix stays only with attributes.
func parse(name string, data []byte, read func(string) ([]byte, error)) (*document, error) {
	doc := &document{name: name, read: read}
	if len(data) > MaxFileBytes {
		return nil, fmt.Errorf("%s: %d bytes are more than %d", name, len(data), MaxFileBytes)
	}
	text, err := decodeText(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p := &parser{doc: doc, text: text, line: 1}
	if err := p.run(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", name, p.line, err)
	}
	return doc, nil
}

// parser builds the tree of one file.
type parser struct {
	doc   *document
	text  []byte
	at    int // offset in text, in line
	line  int
	count int
}

func (p *parser) run() error {
	d := xml.NewDecoder(bytes.NewReader(p.text))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // decodeText has done it
	var open []*node
	for {
		start := int(d.InputOffset())
		t, err := d.Token()
		p.moveTo(start)
		switch {
		case errors.Is(err, io.EOF):
			if p.doc.root == nil {
				return errors.New("there is no element in this file")
			}
			return nil
		case err != nil:
			p.moveTo(int(d.InputOffset()))
			var syntax *xml.SyntaxError
			if errors.As(err, &syntax) {
				return errors.New(syntax.Msg)
			}
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if p.count++; p.count > maxElements || len(open) >= maxDepth {
				return fmt.Errorf("more than %d elements, or %d within each other", maxElements, maxDepth)
			}
			n := &node{doc: p.doc, name: t.Name.Local, line: p.line}
			n.attrs = attrsOf(t, p.text[start:d.InputOffset()], p.line)
			if len(open) == 0 {
				if p.doc.root != nil {
					return errors.New("a second element after the first")
				}
				p.doc.root = n
			} else {
				n.parent = open[len(open)-1]
				n.parent.kids = append(n.parent.kids, n)
			}
			open = append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
		}
	}
}

// moveTo counts lines up to an offset.
func (p *parser) moveTo(offset int) {
	if offset > p.at {
		p.line += bytes.Count(p.text[p.at:offset], []byte("\n"))
		p.at = offset
	}
}

// attrsOf gives the attributes of a start tag their lines: they come in the order of the text.
func attrsOf(t xml.StartElement, raw []byte, line int) []attr {
	attrs := make([]attr, 0, len(t.Attr))
	rest := raw[min(len(raw), 1+bytes.IndexAny(raw, " \t\r\n/>")):] // behind the name of the element
	line += bytes.Count(raw[:len(raw)-len(rest)], []byte("\n"))
	for _, a := range t.Attr {
		trimmed := bytes.TrimLeft(rest, " \t\r\n")
		line += bytes.Count(rest[:len(rest)-len(trimmed)], []byte("\n"))
		attrs = append(attrs, attr{name: withPrefix(a.Name), value: a.Value, line: line})
		rest, line = skipValue(trimmed, line)
	}
	return attrs
}

func withPrefix(n xml.Name) string {
	switch {
	case n.Space == "":
		return n.Local
	case strings.Contains(n.Space, "XML-Document-Transform"):
		return "xdt:" + n.Local
	}
	return n.Space + ":" + n.Local
}

// skipValue moves behind ="...".
func skipValue(rest []byte, line int) ([]byte, int) {
	open := bytes.IndexAny(rest, `"'`)
	if open < 0 {
		return rest, line
	}
	end := bytes.IndexByte(rest[open+1:], rest[open])
	if end < 0 {
		return rest, line
	}
	end += open + 2
	return rest[end:], line + bytes.Count(rest[:end], []byte("\n"))
}

var declaredEncoding = regexp.MustCompile(`^<\?xml[^>]*encoding=["']([A-Za-z0-9._-]+)["']`)

// decodeText returns UTF-8 without a byte order mark.
func decodeText(data []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(data, []byte{0xEF, 0xBB, 0xBF}):
		data = data[3:]
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		return fromUTF16(data[2:], false)
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		return fromUTF16(data[2:], true)
	case bytes.HasPrefix(data, []byte{'<', 0}):
		return fromUTF16(data, false)
	case bytes.HasPrefix(data, []byte{0, '<'}):
		return fromUTF16(data, true)
	}
	if utf8.Valid(data) {
		return data, nil
	}
	m := declaredEncoding.FindSubmatch(data[:min(len(data), 200)])
	if m == nil {
		return nil, errors.New("the text is not UTF-8; save it as UTF-8")
	}
	switch strings.ToLower(string(m[1])) {
	case "iso-8859-1", "windows-1252", "latin1":
		out := make([]rune, len(data))
		for i, b := range data {
			out[i] = rune(b)
		}
		return []byte(string(out)), nil
	}
	return nil, fmt.Errorf("the encoding %s is not known; save the file as UTF-8", m[1])
}

func fromUTF16(data []byte, bigEndian bool) ([]byte, error) {
	if len(data)%2 != 0 {
		return nil, errors.New("the text is cut: UTF-16 has two bytes a unit")
	}
	units := make([]uint16, len(data)/2)
	for i := range units {
		lo, hi := data[2*i], data[2*i+1]
		if bigEndian {
			lo, hi = hi, lo
		}
		units[i] = uint16(lo) | uint16(hi)<<8
	}
	return []byte(string(utf16.Decode(units))), nil
}
