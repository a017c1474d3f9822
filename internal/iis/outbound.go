package iis

import (
	"fmt"
	"slices"
	"strings"
)

// outbound is the part of outbound rules that headers can say: Strict-Transport-Security, and headers set or taken off.
func (z *zone) outbound(t *text) {
	const name = "system.webServer/rewrite/outboundRules"
	items := collect(z.sections(name), false, "name")
	for _, n := range items {
		if n.name != "rule" {
			continue
		}
		if !n.is("enabled", true) {
			n.ignore()
			continue
		}
		if err := z.outboundRule(t, n); err != nil {
			t.gap()
			t.comment("NOT IMPORTED: outbound rule %q (%s): %s", n.peek("name"), n.at(), err)
			z.im.dropped(n, err.Error())
		}
	}
	for _, s := range z.sections(name) {
		for _, k := range s.kids {
			if k.name == "preConditions" || k.name == "customTags" {
				k.ignore() // the rules that refer to them are said or reported
			}
		}
	}
}

func (z *zone) outboundRule(t *text, n *node) error {
	match, action := n.child("match"), n.child("action")
	if match == nil || action == nil {
		return fmt.Errorf("it has no match and action")
	}
	variable := match.value("serverVariable")
	header, ok := strings.CutPrefix(strings.ToUpper(variable), "RESPONSE_")
	switch {
	case variable == "":
		return fmt.Errorf("bodies of answers are not rewritten: let the application write the right addresses")
	case !ok || !isHeaderName(header):
		return fmt.Errorf("%s is not a header of an answer", variable)
	case match.is("negate", false):
		return fmt.Errorf("the match is negated")
	}
	kind := n.or("patternSyntax", "ECMAScript")
	p, err := readPattern(match.value("pattern"), kind, match.is("ignoreCase", true))
	if err != nil {
		return err
	}
	if p.not != "" {
		return fmt.Errorf("the pattern looks ahead")
	}
	n.skip("stopProcessing")
	matcher, err := z.outboundMatcher(n, kind)
	if err != nil {
		return err
	}
	value := action.value("value")
	action.skip("type")
	words, err := z.outboundAction(headerCase(header), p, value)
	if err != nil {
		return err
	}
	t.gap()
	t.comment("outbound rule %q (%s)", n.peek("name"), n.at())
	if len(matcher) > 0 {
		name := unique(firstOf(slug(n.value("name"), "_", 30), "outbound"), "_", func(s string) bool {
			return slices.ContainsFunc(t.lines, func(l string) bool { return strings.HasPrefix(l, "@"+s) })
		})
		t.matcher(name, matcher)
		words = slices.Insert(words, 1, "@"+name)
	}
	t.put(words...)
	return nil
}

// outboundAction is the directive that does to a header what the rule does.
func (z *zone) outboundAction(header string, p pattern, value string) ([]string, error) {
	refs := refR.MatchString(value)
	if refC.MatchString(value) {
		return nil, fmt.Errorf("the value refers to conditions")
	}
	_, all := p.everything()
	switch {
	case all && value == "", p.expr == ".+" && value == "":
		return []string{"header", "-" + header}, nil
	case all && !refs:
		x := &expander{z: z, maps: &mapSet{z: z}, dir: "/"}
		v, err := x.expand(value)
		return []string{"header", header, v}, err
	}
	for i := range 10 {
		value = strings.ReplaceAll(strings.ReplaceAll(value, fmt.Sprintf("{R:%d}", i), fmt.Sprintf("\x02%d", i)), "", "")
	}
	value = strings.ReplaceAll(strings.ReplaceAll(value, "$", "$$"), "\x02", "$")
	if strings.ContainsAny(value, "{}") {
		return nil, fmt.Errorf("the value refers to server variables")
	}
	for i := range 10 {
		value = strings.ReplaceAll(value, fmt.Sprintf("$%d", i), fmt.Sprintf("${%d}", i))
	}
	// The pattern is replaced where it matches; in IIS the value takes the place of the whole header.
	expr := p.expr
	if !strings.HasPrefix(expr, "^") {
		expr = "^.*?" + group(expr)
	}
	if !strings.HasSuffix(expr, "$") {
		expr += ".*$"
	}
	return []string{"header", ">" + header, p.flag() + expr, value}, nil
}

func group(expr string) string {
	if strings.Contains(expr, "|") {
		return "(?:" + expr + ")"
	}
	return expr
}

// outboundMatcher is the conditions of the rule, which look at the request.
func (z *zone) outboundMatcher(n *node, kind string) ([][]string, error) {
	if pre := n.value("preCondition"); pre != "" {
		return nil, fmt.Errorf("the precondition %s looks at the answer", pre)
	}
	list := n.child("conditions")
	if list == nil {
		return nil, nil
	}
	if strings.EqualFold(list.value("logicalGrouping"), "MatchAny") && len(list.kids) > 1 {
		return nil, fmt.Errorf("one of several conditions suffices")
	}
	list.skip("trackAllCaptures")
	r := &rule{z: z, node: n, x: &expander{z: z, maps: &mapSet{z: z}, dir: "/"}}
	var conds []condition
	for _, c := range list.all("add") {
		read, err := r.read(c, kind)
		if err != nil {
			return nil, err
		}
		if read.never {
			return nil, fmt.Errorf("a condition is never fulfilled")
		}
		conds = append(conds, read)
	}
	if len(r.vars) > 0 || len(r.x.maps.used) > 0 {
		return nil, fmt.Errorf("a condition compares a text of several parts")
	}
	return conjunction(conds, "", nil)
}
