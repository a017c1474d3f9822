package iis

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// pattern is what a rule or condition compares with.
type pattern struct {
	expr     string // a regular expression of Go, without (?i)
	fold     bool   // whatever the case
	not      string // what must not match besides: a lookahead at the beginning, taken apart
	anchored bool   // it matches as a whole
}

// String is the expression with its flag.
func (p pattern) String() string { return p.flag() + p.expr }

func (p pattern) flag() string {
	if p.fold && hasLetter(p.expr) {
		return "(?i)"
	}
	return ""
}

func hasLetter(expr string) bool {
	return strings.ContainsFunc(expr, func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' })
}

// readPattern translates a pattern of URL Rewrite; an error says why it can't be.
func readPattern(text, kind string, fold bool) (pattern, error) {
	p := pattern{fold: fold}
	switch strings.ToLower(kind) {
	case "wildcard":
		parts := strings.Split(text, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		p.expr, p.anchored = "^"+strings.Join(parts, "(.*)")+"$", true
	case "exactmatch":
		p.expr, p.anchored = "^"+regexp.QuoteMeta(text)+"$", true
	default:
		p.expr = text
		p.cutLookahead()
	}
	for _, e := range []string{p.expr, p.not} {
		if _, err := regexp.Compile("(?i)" + e); err != nil {
			return p, fmt.Errorf("the pattern %s has something that patterns of Caddy can't have (%s)", text, reason(err))
		}
	}
	return p, nil
}

func reason(err error) string {
	message := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	if strings.Contains(message, "(?") || strings.Contains(message, "invalid named capture") {
		message = "it looks ahead or behind: " + message
	}
	return message
}

// cutLookahead takes (?!X) off the beginning: it is a condition of its own.
func (p *pattern) cutLookahead() {
	rest, anchored := strings.CutPrefix(p.expr, "^")
	if !anchored || !strings.HasPrefix(rest, "(?!") {
		return
	}
	end := closing(rest, 0)
	if end < 0 {
		return
	}
	p.not = "^(?:" + rest[len("(?!"):end] + ")"
	p.expr = "^" + rest[end+1:]
}

// closing is where the parenthesis closes that is at open.
func closing(expr string, open int) int {
	depth := 0
	for i, step := open, 0; i < len(expr); i += step {
		step = 1
		switch expr[i] {
		case '\\':
			step = 2
		case '[':
			step = max(1, classEnd(expr[i:]))
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// classEnd is the length of the character class at the beginning of expr.
func classEnd(expr string) int {
	for i := 1; i < len(expr); i++ {
		switch {
		case expr[i] == '\\':
			i++
		case expr[i] == ']' && i > 1 && !(i == 2 && expr[1] == '^'):
			return i + 1
		}
	}
	return len(expr)
}

// everything tells whether the pattern matches all texts, and which groups are the whole text then.
func (p pattern) everything() (whole []string, ok bool) {
	if p.not != "" {
		return nil, false
	}
	switch p.expr {
	case "^":
		return nil, true
	case "", ".*", "^.*$", "^.*", ".*$":
		return []string{"0"}, true
	case "(.*)", "^(.*)$", "^(.*)", "(.*)$":
		return []string{"0", "1"}, true
	}
	return nil, false
}

// literal is the text that the pattern is equal to, if it is one.
func (p pattern) literal() (string, bool) {
	re, err := syntax.Parse(p.expr, syntax.Perl)
	if err != nil || p.not != "" || re.Op != syntax.OpConcat {
		return "", false
	}
	subs := re.Simplify().Sub
	if len(subs) != 3 || subs[0].Op != syntax.OpBeginText || subs[1].Op != syntax.OpLiteral || subs[2].Op != syntax.OpEndText {
		return "", false
	}
	return string(subs[1].Rune), true
}

// matches tells whether a text matches.
func (p pattern) matches(text string) bool {
	re, err := regexp.Compile(p.String())
	return err == nil && re.MatchString(text)
}

// forPath makes of a pattern for a path without its first slash, below dir, one for the whole path. Group 0 is a group
// of its own if it is asked for: the others move by one.
func (p pattern) forPath(dir string, zero bool) string {
	prefix := regexp.QuoteMeta(strings.TrimSuffix(dir, "/") + "/")
	expr := p.expr
	if zero {
		return p.flagged(prefix, "^"+prefix+leading(expr)+"("+strings.TrimPrefix(expr, "^")+")")
	}
	alternatives := splitTop(expr)
	for i, a := range alternatives {
		switch first := strings.TrimLeft(a, "("); {
		case strings.HasPrefix(first, "^"), strings.HasPrefix(first, "?:^"):
			alternatives[i] = replaceAnchors(a, "^"+prefix)
		case strings.HasPrefix(first, "."):
			alternatives[i] = "^" + prefix + a
		case dir == "/" && startsPlain(first):
		default:
			alternatives[i] = "^" + prefix + ".*?" + replaceAnchors(a, "")
		}
	}
	return p.flagged(prefix, strings.Join(alternatives, "|"))
}

func (p pattern) flagged(prefix, expr string) string {
	if p.fold && hasLetter(prefix) {
		return "(?i)" + expr
	}
	return p.flag() + expr
}

func leading(expr string) string {
	if first := strings.TrimLeft(expr, "("); strings.HasPrefix(first, "^") || strings.HasPrefix(first, ".") {
		return ""
	}
	return ".*?"
}

// startsPlain tells whether an expression begins with a character that is no slash, so that a first slash can't be a part
// of what it matches.
func startsPlain(expr string) bool {
	expr = strings.TrimPrefix(expr, "?:")
	if len(expr) == 0 {
		return false
	}
	if strings.HasPrefix(expr, `\.`) {
		return len(expr) < 3 || !strings.ContainsAny(expr[2:3], "*?{")
	}
	return hasLetter(expr[:1]) && (len(expr) < 2 || !strings.ContainsAny(expr[1:2], "*?{|"))
}

// splitTop splits an expression at the bars that are in no group.
func splitTop(expr string) []string {
	var parts []string
	start := 0
	for i, step := 0, 0; i < len(expr); i += step {
		step = 1
		switch expr[i] {
		case '\\':
			step = 2
		case '[':
			step = max(1, classEnd(expr[i:]))
		case '(':
			if end := closing(expr, i); end > i {
				step = end - i + 1
			}
		case '|':
			parts, start = append(parts, expr[start:i]), i+1
		}
	}
	return append(parts, expr[start:])
}

// replaceAnchors puts something in place of each ^ that means the beginning.
func replaceAnchors(expr, with string) string {
	var b strings.Builder
	for i, step := 0, 0; i < len(expr); i += step {
		step = 1
		switch expr[i] {
		case '\\':
			step = min(2, len(expr)-i)
		case '[':
			step = max(1, classEnd(expr[i:]))
		case '^':
			b.WriteString(with)
			continue
		}
		b.WriteString(expr[i : i+step])
	}
	return b.String()
}
