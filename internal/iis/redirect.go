package iis

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

const redirecting = "system.webServer/httpRedirect"

// redirect is HTTP Redirect.
func (z *zone) redirect() *text {
	t := &text{}
	on, _ := z.on(redirecting, "enabled", false)
	status, _ := z.setting(redirecting, "httpResponseStatus", "Found")
	code := map[string]string{"permanent": "301", "found": "302", "temporary": "307", "permredirect": "308"}[strings.ToLower(status)]
	code = firstOf(code, "302")
	exact, _ := z.on(redirecting, "exactDestination", false)
	childOnly, _ := z.on(redirecting, "childOnly", false)
	destination, from := z.setting(redirecting, "destination", "")
	if !on {
		return t
	}
	for i, n := range collect(z.sections(redirecting), false, "wildcard") {
		to, err := redirectVariables(n.value("destination"))
		if err != nil {
			z.im.dropped(n, err.Error())
			continue
		}
		p, _ := readPattern(n.value("wildcard"), "Wildcard", true)
		name := fmt.Sprintf("redirect%d", i+1)
		for g := 9; g >= 0; g-- {
			to = strings.ReplaceAll(to, fmt.Sprintf("$%d", g), fmt.Sprintf("{re.%s.%d}", name, g))
		}
		t.gap()
		t.comment("httpRedirect %s (%s)", n.peek("wildcard"), n.at())
		t.put("@"+name, "path_regexp", p.String())
		t.put("redir", "@"+name, to, code)
	}
	if strings.TrimSpace(destination) == "" {
		return t
	}
	t.gap()
	t.comment("httpRedirect (%s)", from.at())
	to, err := redirectVariables(destination)
	if err != nil {
		z.im.lost(from, "destination of <httpRedirect>", err.Error())
		return t
	}
	z.redirectAll(t, to, code, exact || strings.Contains(destination, "$"), childOnly)
	return t
}

// redirectAll puts the redirect of a zone. Unless it is exact, the rest of the path and the query follow.
func (z *zone) redirectAll(t *text, to, code string, exact, childOnly bool) {
	dir := strings.TrimSuffix(z.inside(z.path), "/")
	matcher := "*"
	file := strings.Contains(path.Base(dir), ".")
	switch {
	case file:
	case childOnly:
		matcher = "@child"
		t.put(matcher, "path_regexp", "^"+regexp.QuoteMeta(dir)+"/([^/]*)$")
	case !exact && dir != "":
		matcher = "@below"
		t.put(matcher, "path_regexp", "(?i)^"+regexp.QuoteMeta(dir)+"/?(.*)$")
	}
	switch {
	case exact:
	case file:
		to += "{?query}"
	case childOnly:
		to = strings.TrimSuffix(to, "/") + "/{re.child.1}{?query}"
	case dir != "":
		to = strings.TrimSuffix(to, "/") + "/{re.below.1}{?query}"
	default:
		to = strings.TrimSuffix(to, "/") + "{uri}"
	}
	t.put("redir", matcher, to, code)
}

// redirectVariables fills in $S, $P, $Q and $V; what is $0 to $9 stays.
func redirectVariables(to string) (string, error) {
	to = literal(strings.TrimSpace(to))
	if strings.ContainsAny(to, "!") && strings.Contains(to, "$") {
		return "", fmt.Errorf("the flag ! of a destination has no counterpart")
	}
	return strings.NewReplacer(
		"$S", "{path}", "$P", "{query}", "$Q", "{?query}", "$V", "{path}",
		"$s", "{path}", "$p", "{query}", "$q", "{?query}", "$v", "{path}",
	).Replace(to), nil
}
