package iis

import (
	"fmt"
	"strings"
)

// text is a part of a site file: lines, indented by tabs.
type text struct {
	lines []string
	depth int
}

// put adds a line of words, each quoted where it has to be.
func (t *text) put(words ...string) {
	for i, w := range words {
		words[i] = quote(w)
	}
	t.raw(strings.Join(words, " "))
}

// raw adds a line as it is.
func (t *text) raw(line string) {
	t.lines = append(t.lines, strings.Repeat("\t", t.depth)+line)
}

// comment adds a line for people.
func (t *text) comment(format string, args ...any) {
	t.raw("# " + strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " "))
}

// gap adds an empty line, unless it would be the first one of a block or follow another.
func (t *text) gap() {
	if n := len(t.lines); n > 0 && t.lines[n-1] != "" && !strings.HasSuffix(t.lines[n-1], "{") {
		t.lines = append(t.lines, "")
	}
}

// open begins a block, close ends it.
func (t *text) open(words ...string) {
	t.put(words...)
	t.lines[len(t.lines)-1] += " {"
	t.depth++
}

func (t *text) close() {
	for len(t.lines) > 0 && t.lines[len(t.lines)-1] == "" {
		t.lines = t.lines[:len(t.lines)-1]
	}
	t.depth--
	t.raw("}")
}

// add takes over another text, indented, with a gap before it.
func (t *text) add(o *text) {
	if o.empty() {
		return
	}
	t.gap()
	for _, line := range o.lines {
		if line == "" {
			t.lines = append(t.lines, "")
			continue
		}
		t.raw(line)
	}
}

func (t *text) empty() bool { return t == nil || len(t.lines) == 0 }

func (t *text) String() string {
	if t == nil {
		return ""
	}
	return strings.Join(t.lines, "\n")
}

// matcher writes a named matcher: on one line if it has one condition.
func (t *text) matcher(name string, conditions [][]string) {
	if len(conditions) == 1 {
		t.put(append([]string{"@" + name}, conditions[0]...)...)
		return
	}
	t.open("@" + name)
	for _, c := range conditions {
		t.put(c...)
	}
	t.close()
}

// quote makes a word one token of a Caddyfile.
func quote(w string) string {
	w = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, w)
	plain := w != "" && !strings.ContainsAny(w, " \t\"`") && !strings.HasPrefix(w, "#") && w != "{" && w != "}" &&
		!strings.HasSuffix(w, "{") && !strings.Contains(w, "{$") && !strings.HasPrefix(w, "<<") && !strings.HasSuffix(w, `\`)
	switch {
	case plain:
		return w
	case !strings.Contains(w, "`"):
		if strings.ContainsAny(w, `"\`) || strings.Contains(w, "{$") {
			return "`" + w + "`"
		}
		return `"` + w + `"`
	}
	return `"` + strings.ReplaceAll(w, `"`, `\"`) + `"`
}

// literal keeps the braces of a text from being taken for placeholders.
func literal(s string) string { return strings.ReplaceAll(s, "{", `\{`) }
