package iis

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// rule is a rule of URL Rewrite, translated.
type rule struct {
	z        *zone
	node     *node
	name     string // of its matcher
	x        *expander
	stop     bool
	usesR    bool
	usesR0   bool
	usesC    bool
	captures *node // condition that {C:n} refers to

	matchers [][][]string // lines of matchers, one of which suffices
	first    string       // pattern that has to be matched before, since the conditions refer to its captures
	never    bool
	vars     [][]string // directives before the matchers: texts that they compare
	before   [][]string // directives before the action: headers
	action   []string   // one directive; for a rewrite "rewrite", URL
	proxy    *text      // in place of an action: what passes the request on
	pathExpr string     // of the path, if it has captures
	ends     bool       // no other rule is looked at, nor anything else
	remark   string     // instead of all that: why there is nothing
}

// rules are the zone's rules, those for all sites first.
func (z *zone) rules() *text {
	maps := &mapSet{z: z}
	t, body := &text{}, &text{}
	for _, s := range z.sections("system.webServer/rewrite/allowedServerVariables") {
		s.ignore()
	}
	for _, section := range []string{"globalRules", "rules"} {
		var rules []*rule
		names := map[string]bool{}
		for _, n := range matcherNames {
			names[n] = true
		}
		for _, n := range collect(z.sections("system.webServer/rewrite/"+section), false, "name") {
			if !n.is("enabled", true) {
				n.ignore()
				rules = append(rules, &rule{node: n, remark: fmt.Sprintf("rule %q (%s) is disabled", n.peek("name"), n.at())})
				continue
			}
			r, err := z.rule(n, maps, names)
			if err != nil {
				rules = append(rules, &rule{node: n, remark: fmt.Sprintf("NOT IMPORTED: rule %q (%s): %s", n.peek("name"), n.at(), err)})
				z.im.dropped(n, err.Error())
				continue
			}
			names[r.name] = true
			if r.never {
				r.remark = fmt.Sprintf("rule %q (%s) never matches", n.peek("name"), n.at())
			}
			rules = append(rules, r)
		}
		if section == "globalRules" && len(rules) > 0 {
			// What these stop are these alone.
			body.gap()
			body.open("route")
			putRules(body, rules)
			body.close()
			continue
		}
		putRules(body, rules)
	}
	maps.write(t)
	t.add(body)
	return t
}

var (
	refR  = regexp.MustCompile(`(?i)\{R:\d\}`)
	refR0 = regexp.MustCompile(`(?i)\{R:0\}`)
	refC  = regexp.MustCompile(`(?i)\{C:\d\}`)
)

// rule translates one rule.
func (z *zone) rule(n *node, maps *mapSet, names map[string]bool) (*rule, error) {
	r := &rule{z: z, node: n, stop: n.is("stopProcessing", false)}
	r.name = unique(firstOf(slug(n.value("name"), "_", 30), "rule"), "_", func(s string) bool { return names[s] })
	kind := n.or("patternSyntax", "ECMAScript")
	text := n.allText()
	r.usesR, r.usesR0, r.usesC = refR.MatchString(text), refR0.MatchString(text), refC.MatchString(text)
	r.x = &expander{z: z, maps: maps, dir: z.inside(z.ruleDir(n))}
	url, err := r.path(kind)
	if err != nil {
		return nil, err
	}
	if err := r.conditions(kind, url); err != nil {
		return nil, err
	}
	if r.refersToPath() {
		r.first = r.pathExpr
	}
	if err := r.variables(); err != nil {
		return nil, err
	}
	return r, r.act()
}

// refersToPath tells whether a condition needs the captures of the path. Caddy looks at the conditions of a matcher in
// no order, so these have to be there before.
func (r *rule) refersToPath() bool {
	ref := "{re." + r.name + "."
	for _, m := range r.x.maps.used {
		if strings.Contains(m.source, ref) {
			return true
		}
	}
	for _, lines := range append(r.matchers, r.vars) {
		for _, line := range lines {
			if strings.Contains(strings.Join(line, " "), ref) {
				return true
			}
		}
	}
	return false
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// allText is all values in an element, to search for references.
func (n *node) allText() string {
	var b strings.Builder
	for _, a := range n.attrs {
		b.WriteString(a.value + "\n")
	}
	for _, k := range n.kids {
		b.WriteString(k.allText())
	}
	return b.String()
}

// ruleDir is the path that a rule is relative to: that of its web.config, or of the application.
func (z *zone) ruleDir(n *node) string {
	for _, src := range z.chain {
		if inside(n, src.node) && src.path != "" {
			if _, in := below(z.dir.app, src.path); in {
				return src.path
			}
		}
	}
	return z.dir.app
}

func inside(n, outer *node) bool {
	for ; n != nil; n = n.parent {
		if n == outer {
			return true
		}
	}
	return false
}

// path translates <match>: lines of a matcher, none if all paths match.
func (r *rule) path(kind string) ([][]string, error) {
	m := r.node.child("match")
	if m == nil {
		return nil, nil
	}
	p, err := readPattern(m.value("url"), kind, m.is("ignoreCase", true))
	if err != nil {
		return nil, err
	}
	negate := m.is("negate", false)
	whole, all := p.everything()
	if kind == "Wildcard" && m.value("url") == "*" {
		whole, all = []string{"0", "1"}, true
	}
	if all && negate {
		r.never = true
	}
	if all && !r.usesR {
		return nil, nil
	}
	if all && r.x.dir == "/" {
		r.x.whole = whole
		if r.wholeWillDo() {
			return nil, nil
		}
		r.x.whole = nil
	}
	if all {
		p.expr = "^(.*)$"
	}
	zero := r.usesR0 && !negate && len(splitTop(p.expr)) == 1
	if zero {
		r.x.shift = 1
	}
	expr := p.forPath(r.x.dir, zero)
	if _, err := regexp.Compile(expr); err != nil {
		return nil, fmt.Errorf("the pattern %s can't be said for a path: %w", m.value("url"), err)
	}
	var lines [][]string
	if negate {
		lines = append(lines, []string{"not", "path_regexp", expr})
	} else {
		r.pathExpr = expr
		lines = append(lines, []string{"path_regexp", expr})
		r.x.match = r.name
	}
	if p.not != "" {
		lines = append(lines, []string{"not", "path_regexp", pattern{expr: p.not, fold: p.fold}.forPath(r.x.dir, false)})
	}
	return lines, nil
}

// wholeWillDo tells whether everything that refers to the whole path puts a slash before it, compares it alone, or is a
// path itself: then no capture is needed.
func (r *rule) wholeWillDo() bool {
	will := func(a attr) bool {
		probe := &expander{z: r.z, maps: &mapSet{z: r.z}, whole: r.x.whole, cond: "c", dir: "/", comparing: true}
		v, err := probe.expand(a.value)
		if err != nil {
			return false
		}
		if a.name == "url" && strings.HasPrefix(v, wholePath) {
			v = "/" + v
		}
		_, ok := settle(v)
		return ok || v == wholePath && a.name == "input"
	}
	for _, k := range r.node.kids {
		for _, n := range append([]*node{k}, k.kids...) {
			for _, a := range n.attrs {
				if refR.MatchString(a.value) && !will(a) {
					return false
				}
			}
		}
	}
	return true
}

// conditions translates <conditions> and puts them together with the path.
func (r *rule) conditions(kind string, url [][]string) error {
	list := r.node.child("conditions")
	if list == nil {
		r.matchers = [][][]string{url}
		return nil
	}
	any := strings.EqualFold(list.value("logicalGrouping"), "MatchAny")
	items := list.all("add")
	if list.is("trackAllCaptures", false) && r.usesC && len(items) > 1 {
		return fmt.Errorf("back-references to the captures of several conditions (trackAllCaptures)")
	}
	for _, n := range items {
		if !any && !strings.EqualFold(n.peek("negate"), "true") && !strings.HasPrefix(strings.ToLower(n.peek("matchType")), "is") {
			r.captures = n
		}
	}
	var conds []condition
	for _, n := range items {
		if any {
			r.captures = n
		}
		c, err := r.read(n, kind)
		if err != nil {
			return err
		}
		conds = append(conds, c)
	}
	if r.usesC && (r.captures != nil) {
		r.x.cond = r.name + "_c"
	}
	if any && len(conds) > 1 {
		return r.anyOf(url, conds)
	}
	for _, c := range conds {
		r.never = r.never || c.never
	}
	lines, err := conjunction(conds, r.captureName(), r.captures)
	r.matchers = [][][]string{append(slices.Clip(url), lines...)}
	return err
}

// captureName keeps the captures of conditions from replacing those of the path.
func (r *rule) captureName() string {
	if r.usesC || r.usesR && r.x.match != "" {
		return r.name + "_c"
	}
	return ""
}

// anyOf makes one matcher for each condition that suffices, or one for all where a matcher can say it.
func (r *rule) anyOf(url [][]string, conds []condition) error {
	hosts := []string{"host"}
	for _, c := range conds {
		if c.never {
			continue
		}
		if len(c.words) == 0 {
			r.matchers = [][][]string{url} // one is always fulfilled
			return nil
		}
		if c.kind() == "host" {
			hosts = append(hosts, c.words[1])
		}
		lines, err := conjunction([]condition{c}, r.captureName(), c.node)
		if err != nil {
			return err
		}
		r.matchers = append(r.matchers, append(slices.Clip(url), lines...))
	}
	switch {
	case len(r.matchers) == 0:
		r.never = true
	case len(hosts) == len(conds)+1:
		r.matchers = [][][]string{append(slices.Clip(url), hosts)}
	case !r.usesC:
		r.joinPatterns(url, conds)
	}
	return nil
}

// joinPatterns makes one comparison of several with the same subject.
func (r *rule) joinPatterns(url [][]string, conds []condition) {
	var exprs []string
	for _, c := range conds {
		if c.negate || c.never || c.pattern.not != "" || c.kind() != "vars_regexp" || c.subject != conds[0].subject || c.pattern.flag() != conds[0].pattern.flag() {
			return
		}
		exprs = append(exprs, c.pattern.expr)
	}
	line := []string{"vars_regexp", conds[0].subject, conds[0].pattern.flag() + strings.Join(exprs, "|")}
	r.matchers = [][][]string{append(slices.Clip(url), named(line, r.captureName()))}
}
