package iis

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// condition is what a request must fulfil, as a line of a named matcher.
type condition struct {
	node    *node
	words   []string // "host", "www.example.com"; empty: always fulfilled
	negate  bool
	never   bool
	subject string // placeholder that is compared; "" if it is not a comparison with a pattern
	pattern pattern
}

// matcherNames are names of matchers that guards have.
var matcherNames = []string{"hidden", "extensions", "verbs", "sequences", "query_sequences", "long_url", "long_query", "plain_http", "denied", "static", "programs"}

// read translates one condition of a rule.
func (r *rule) read(n *node, kind string) (condition, error) {
	c := condition{node: n, negate: n.is("negate", false)}
	input := strings.TrimSpace(n.value("input"))
	fold := n.is("ignoreCase", true)
	switch strings.ToLower(n.or("matchType", "Pattern")) {
	case "isfile":
		return r.file(c, input, "")
	case "isdirectory":
		return r.file(c, input, "/")
	}
	p, err := readPattern(n.value("pattern"), kind, fold)
	if err != nil {
		return c, err
	}
	r.x.comparing = true
	subject, err := r.x.expand(input)
	r.x.comparing = false
	if err != nil {
		return c, err
	}
	if subject == wholePath {
		p.expr, subject = p.forPath("/", false), "{path}"
	}
	subject, ok := settle(subject)
	if !ok {
		return c, fmt.Errorf("the path without its first slash can't be a part of what is compared")
	}
	c.subject, c.pattern = subject, p
	if _, all := p.everything(); all && !r.usesC {
		c.never = c.negate
		return c, nil
	}
	if p.not != "" && c.negate {
		return c, fmt.Errorf("the pattern looks ahead and is negated")
	}
	if !strings.Contains(subject, "{") { // always the same
		c.never = p.matches(subject) == c.negate
		return c, nil
	}
	r.special(&c)
	return c, nil
}

// special finds the matcher that says a comparison best.
func (r *rule) special(c *condition) {
	p := c.pattern
	truth := func(yes, no string) {
		switch y, n := p.matches(yes), p.matches(no); {
		case y && n:
			c.never = c.negate
		case y:
			c.words = []string{"protocol", "https"}
		case n:
			c.words = []string{"protocol", "http"}
		default:
			c.never = !c.negate
		}
	}
	literal, isLiteral := p.literal()
	switch {
	case p.not != "" || r.usesC && c.node == r.captures && c.subject != serverVariables["CACHE_URL"]:
	case c.subject == subjectHTTPS:
		truth("on", "off")
		return
	case c.subject == subjectSecure:
		truth("1", "0")
		return
	case c.subject == "{scheme}":
		truth("https", "http")
		return
	case c.subject == serverVariables["CACHE_URL"] && strings.HasPrefix(p.expr, "^(http") && strings.HasSuffix(p.expr, "://"):
		truth("https://", "http://")
		return
	case c.subject == "{port}" && (literal == "80" || literal == "443"):
		truth("443", "80")
		return
	case c.subject == "{hostport}" && isLiteral && isHost(literal), c.subject == "{host}" && isLiteral && isHost(literal):
		c.words = []string{"host", strings.ToLower(literal)}
		return
	case c.subject == "{method}":
		if methods := methodsOf(p); len(methods) > 0 {
			c.words = append([]string{"method"}, methods...)
			return
		}
	case c.subject == "{remote_host}" && isLiteral:
		if ipPattern.MatchString(literal) {
			c.words = []string{"remote_ip", literal}
			return
		}
	}
	if c.subject == subjectHTTPS || c.subject == subjectSecure {
		c.subject = "{scheme}"
	}
	if strings.Count(c.subject, "{") != 1 || c.subject[0] != '{' || !strings.HasSuffix(c.subject, "}") {
		// A matcher compares one value: put together what is compared before.
		name := fmt.Sprintf("%s_text%d", r.name, len(r.vars)+1)
		r.vars = append(r.vars, []string{"vars", name, c.subject})
		c.subject = name
	}
	c.words = []string{"vars_regexp", c.subject, p.String()}
}

var (
	ipPattern   = regexp.MustCompile(`^([0-9]+\.){3}[0-9]+$|^[0-9a-fA-F:]+:[0-9a-fA-F:]+$`)
	hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)
)

func isHost(s string) bool { return hostPattern.MatchString(s) }

// methodsOf are the methods that a pattern matches; none if they are all or unknown.
func methodsOf(p pattern) []string {
	var found []string
	all := []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"}
	for _, m := range all {
		if p.matches(m) {
			found = append(found, m)
		}
	}
	if len(found) == len(all) {
		return nil
	}
	return found
}

// file is a condition on what is on the disk. slash is "/" for directories.
func (r *rule) file(c condition, input, slash string) (condition, error) {
	upper := strings.ToUpper(input)
	for _, start := range []struct{ variable, path string }{
		{"{REQUEST_FILENAME}", "{path}"}, {"{SCRIPT_FILENAME}", "{path}"}, {"{PATH_TRANSLATED}", "{path}"},
		{"{DOCUMENT_ROOT}", ""}, {"{APPL_PHYSICAL_PATH}", "/"},
	} {
		if !strings.HasPrefix(upper, start.variable) {
			continue
		}
		rest, err := r.x.expand(strings.ReplaceAll(input[len(start.variable):], `\`, "/"))
		if err != nil {
			return c, err
		}
		rest, ok := settle(rest)
		if !ok {
			break
		}
		name := strings.ReplaceAll(start.path+rest, "//", "/")
		c.words = []string{"file", strings.TrimSuffix(name, "/") + slash}
		if c.words[1] == "{path}" {
			c.words = []string{"file"}
		}
		return c, nil
	}
	return c, fmt.Errorf("%s can't be looked up on the disk: only paths below the site's root can", input)
}

// negated adds "not".
func (c condition) line() []string {
	if c.negate {
		return append([]string{"not"}, c.words...)
	}
	return c.words
}

// kind is what a matcher can have but once.
func (c condition) kind() string {
	if c.negate || len(c.words) == 0 {
		return ""
	}
	return c.words[0]
}

// conjunction is the lines of a matcher that wants all conditions. Of the same kind it takes one; others become
// expressions, without back-references. The one that others refer to comes last.
func conjunction(conds []condition, captures string, keep *node) ([][]string, error) {
	var lines [][]string
	var expressions []string
	taken := map[string]int{}
	for i, c := range conds {
		if c.kind() != "" && (c.node == keep || taken[c.kind()] == 0) {
			taken[c.kind()] = i + 1
		}
	}
	for i, c := range conds {
		switch kind := c.kind(); {
		case len(c.words) == 0:
		case kind == "" || taken[kind] == i+1:
			lines = append(lines, named(c.line(), captures))
		default:
			e, err := c.expression()
			if err != nil {
				return nil, err
			}
			expressions = append(expressions, e)
		}
		if c.pattern.not != "" {
			lines = append(lines, []string{"not", "vars_regexp", c.subject, c.pattern.flag() + c.pattern.not})
		}
	}
	if len(expressions) > 0 {
		lines = append(lines, []string{"expression", strings.Join(expressions, " && ")})
	}
	return lines, nil
}

// named gives the captures of a comparison their name.
func named(words []string, name string) []string {
	i := slices.Index(words, "vars_regexp")
	if i != 0 || name == "" {
		return words // a negated one has none
	}
	return slices.Insert(slices.Clone(words), i+1, name)
}

// expression is the comparison in the language of expressions.
func (c condition) expression() (string, error) {
	p := c.pattern.String()
	if c.subject == "" || strings.Count(c.subject, "{") != 1 || !strings.HasPrefix(c.subject, "{") || strings.Contains(p, "'") || strings.Contains(p, "`") {
		return "", fmt.Errorf("two conditions of one kind can't be combined")
	}
	return fmt.Sprintf("%s.matches(r'%s')", c.subject, p), nil
}
