package iis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// variables translates <serverVariables>: headers for those that come after, or for the visitor.
func (r *rule) variables() error {
	list := r.node.child("serverVariables")
	if list == nil {
		return nil
	}
	for _, n := range list.all("set") {
		name := n.value("name")
		value, err := r.x.expand(n.value("value"))
		if err != nil {
			return err
		}
		value, ok := settle(value)
		header, isRequest := headerOf(name)
		answer, isAnswer := strings.CutPrefix(strings.ToUpper(name), "RESPONSE_")
		switch {
		case !ok, !isRequest && !isAnswer:
			n.used = true
			r.z.im.lost(n, "<"+n.label()+">", "only headers of requests (HTTP_NAME) and answers (RESPONSE_NAME) can be set")
		case isAnswer && isHeaderName(answer):
			r.before = append(r.before, setHeader("header", headerCase(answer), value))
		default:
			r.before = append(r.before, setHeader("request_header", header, value))
		}
		n.skip("replace")
	}
	return nil
}

func setHeader(directive, name, value string) []string {
	if value == "" {
		return []string{directive, "-" + name}
	}
	return []string{directive, name, value}
}

// act translates <action>.
func (r *rule) act() error {
	n := r.node.child("action")
	if n == nil {
		return nil
	}
	n.skip("logRewrittenUrl")
	appends := n.is("appendQueryString", true)
	switch strings.ToLower(n.or("type", "None")) {
	case "none":
		n.skip("url")
		return nil
	case "rewrite":
		return r.rewrite(n.value("url"), appends)
	case "redirect":
		r.ends = true
		to, err := r.redirectTo(n.value("url"), appends)
		status := map[string]string{"found": "302", "seeother": "303", "temporary": "307", "permanentredirect": "308"}[strings.ToLower(n.value("redirectType"))]
		r.action = []string{"redir", to, firstOf(status, "301")}
		return err
	case "abortrequest":
		r.ends = true
		r.action = []string{"abort"}
		return nil
	case "customresponse":
		r.ends = true
		status := n.number("statusCode", 0)
		if status < 200 || status > 599 {
			return fmt.Errorf("%q is not a status", n.peek("statusCode"))
		}
		n.skip("subStatusCode")
		n.skip("statusReason") // HTTP/2 has none
		r.action = []string{"error", strconv.FormatInt(status, 10)}
		if d := n.value("statusDescription"); d != "" {
			r.action = []string{"respond", literal(d), strconv.FormatInt(status, 10)}
		}
		return nil
	}
	return fmt.Errorf("there is no action %q", n.peek("type"))
}

// redirectTo is where a redirect leads.
func (r *rule) redirectTo(url string, appends bool) (string, error) {
	to, err := r.x.expand(url)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(to, "/") && !strings.Contains(to, "://") && !r.complete(to) && !isPath(to) {
		to = strings.TrimSuffix(r.z.ruleDir(r.node), "/") + "/" + to
	}
	to, ok := settle(to)
	switch {
	case !ok:
		return "", fmt.Errorf("the path without its first slash can't be a part of the redirect")
	case !appends:
	case strings.HasSuffix(to, "{path}"):
		to = strings.TrimSuffix(to, "{path}") + "{uri}"
	case strings.Contains(to, "?"):
		to += "&{query}"
	case !strings.HasSuffix(to, "uri}"):
		to += "{?query}"
	}
	return to, nil
}

// rewrite translates an action that goes on with another URL: of the site, or of another server.
func (r *rule) rewrite(url string, appends bool) error {
	to, err := r.x.expand(url)
	if err != nil {
		return err
	}
	if scheme, rest, ok := strings.Cut(to, "://"); ok {
		return r.proxyTo(scheme, rest, appends)
	}
	if r.z.node {
		return fmt.Errorf("it led requests to iisnode; now the application gets every path as it came")
	}
	to, err = r.local(to)
	if err != nil {
		return err
	}
	to, ok := settle(to)
	if !ok {
		return fmt.Errorf("the path without its first slash can't be a part of the URL")
	}
	if to = withQuery(to, appends); to == "{path}" {
		return nil // to itself
	}
	r.action = []string{"rewrite", to}
	return nil
}

// complete tells whether a URL is what a map or a condition has found, and nothing else: with its slash.
func (r *rule) complete(to string) bool {
	return (strings.HasPrefix(to, "{map_") || strings.HasPrefix(to, "{re."+r.name+"_c.")) && strings.IndexByte(to, '}') == len(to)-1
}

// isPath tells whether a URL begins with the path of the request.
func isPath(to string) bool {
	return strings.HasPrefix(to, "{path}") || strings.HasPrefix(to, "{uri}") || strings.HasPrefix(to, "{orig_")
}

// local is a URL of the site as handlers see it: relative ones are below the directory of the rule.
func (r *rule) local(to string) (string, error) {
	switch {
	case r.complete(to), isPath(to):
		return to, nil
	case strings.HasPrefix(to, "~/"):
		return strings.TrimSuffix(r.z.inside(r.z.dir.app), "/") + to[1:], nil
	case strings.HasPrefix(to, "?"):
		return to, nil
	case !strings.HasPrefix(to, "/"):
		return strings.TrimSuffix(r.x.dir, "/") + "/" + to, nil
	case !r.z.stripped():
		return to, nil
	}
	path, query, _ := strings.Cut(to, "?")
	rest, in := below(r.z.dir.root.url, path)
	if !in {
		return "", fmt.Errorf("%s is not in %s: a rewrite does not lead out of a virtual directory", to, r.z.dir.root.url)
	}
	if strings.Contains(to, "?") {
		query = "?" + query
	}
	return firstOf(rest, "/") + query, nil
}

// withQuery makes the query of the request follow, or not.
func withQuery(to string, appends bool) string {
	switch has := strings.Contains(to, "?"); {
	case appends && has:
		return to + "&{query}"
	case !appends && !has:
		return to + "?"
	}
	return to
}

// proxyTo passes the request to another server, as Application Request Routing does.
func (r *rule) proxyTo(scheme, rest string, appends bool) error {
	r.ends = true
	if strings.HasPrefix(scheme, "{re."+r.x.cond) && r.x.cond != "" || scheme == "{scheme}" {
		scheme = "http" // as the visitor came; between servers of one network
	}
	if scheme != "http" && scheme != "https" {
		return fmt.Errorf("%s:// is not a protocol to pass requests on with", scheme)
	}
	host, path := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	if strings.ContainsAny(host, "{"+wholePath) || host == "" {
		return fmt.Errorf("the server is only known with the request (%s)", host)
	}
	path, ok := settle(path)
	if !ok {
		return fmt.Errorf("the path without its first slash can't be a part of the URL")
	}
	if path == "" {
		path = "/"
	}
	t := &text{}
	if path = withQuery(path, appends); path != "{path}" {
		t.put("rewrite", "*", path)
	}
	r.z.proxy(t, scheme, []string{host})
	r.proxy = t
	return nil
}

// proxy writes reverse_proxy for a server, or for the servers of a farm of that name.
func (z *zone) proxy(t *text, scheme string, hosts []string) {
	keep, _ := z.on("system.webServer/proxy", "preserveHostHeader", false)
	farm := z.im.serverFarm(hosts[0])
	to := []string{}
	for _, h := range hosts {
		to = append(to, scheme+"://"+h)
	}
	if farm != nil {
		to, keep = farm.upstreams(scheme), true
	}
	words := append([]string{"reverse_proxy"}, to...)
	if keep && (farm == nil || farm.policy == "") {
		t.put(words...)
		return
	}
	t.open(words...)
	if !keep {
		t.put("header_up", "Host", "{upstream_hostport}")
	}
	if farm != nil {
		t.put("lb_policy", farm.policy)
	}
	t.close()
}

// putRules writes rules in their order. Caddy's handle blocks exclude each other, which is what stopProcessing means; what
// comes after a rule that goes on stands in a block of its own then.
func putRules(t *text, rules []*rule) {
	for i, r := range rules {
		switch {
		case r.ends, onlyRewrites(rules[i:]):
			r.put(t, "")
		case r.stop && active(rules[i+1:]):
			putExclusive(t, rules[i:])
			return
		default:
			r.put(t, "route")
		}
	}
}

// onlyRewrites tells whether all that is left are rewrites of which the first one that matches counts: so it is with
// rewrite directives that stand together.
func onlyRewrites(rules []*rule) bool {
	for i, r := range rules {
		if r.remark == "" && (!r.isRewrite() || !r.single() || !r.stop && active(rules[i+1:])) {
			return false
		}
	}
	return true
}

// active tells whether there is a rule that does something.
func active(rules []*rule) bool {
	return slices.ContainsFunc(rules, func(r *rule) bool { return r.remark == "" })
}

// putExclusive writes rules of which one at most is followed, and then the rest.
func putExclusive(t *text, rules []*rule) {
	n := 0
	for n < len(rules) && (rules[n].stop || rules[n].ends || rules[n].remark != "") {
		rules[n].put(t, "handle")
		n++
	}
	if !active(rules[n:]) {
		return
	}
	t.gap()
	t.comment("where none of the above has matched:")
	t.open("handle")
	putRules(t, rules[n:])
	t.close()
}

func (r *rule) isRewrite() bool { return len(r.action) > 0 && r.action[0] == "rewrite" }

// single tells whether a directive with a matcher is all that the rule is.
func (r *rule) single() bool { return len(r.before) == 0 && r.proxy == nil && len(r.matchers) == 1 }

// put writes one rule: as a directive, or within blocks of the kind given.
func (r *rule) put(t *text, block string) {
	t.gap()
	if r.remark != "" {
		t.comment("%s", r.remark)
		return
	}
	t.comment("rule %q (%s)", r.node.peek("name"), r.node.at())
	if len(r.action) == 0 && r.proxy == nil && len(r.before) == 0 && block != "handle" {
		t.comment("does nothing here")
		return
	}
	if r.first != "" {
		t.comment("first what the conditions refer to")
		t.put("@"+r.name+"_path", "path_regexp", r.name, r.first)
		t.put("vars", "@"+r.name+"_path", r.name, "{re."+r.name+".0}")
	}
	for _, v := range r.vars {
		t.put(v...)
	}
	if len(r.matchers) > 1 && block == "route" {
		// One of several ways to match: the first one counts.
		t.open("route")
		defer t.close()
		block = "handle"
	}
	for i, lines := range r.matchers {
		name := ""
		if len(lines) > 0 {
			name = r.name
			if i > 0 {
				name += "_or" + strconv.Itoa(i+1)
			}
			t.matcher(name, lines)
			name = "@" + name
		}
		r.putAction(t, block, name)
	}
}

func (r *rule) putAction(t *text, block, matcher string) {
	if block == "" && (len(r.before) > 0 || r.proxy != nil) {
		block = "handle"
		if r.ends {
			block = "route"
		}
	}
	if block == "" || block == "route" && len(r.before) == 0 && r.proxy == nil && !r.isRewrite() {
		t.put(withMatcher(r.action, matcher)...)
		return
	}
	all := r.before
	if len(r.action) > 0 {
		all = append(slices.Clip(all), withMatcher(r.action, ""))
	}
	if matcher == "" && block == "route" && r.ends {
		t.take(all, r.proxy) // nothing comes after it
		return
	}
	head := []string{block}
	if matcher != "" {
		head = append(head, matcher)
	}
	t.open(head...)
	if len(all) == 0 && r.proxy == nil {
		t.comment("no other rule")
	}
	t.take(all, r.proxy)
	t.close()
}

// take adds directives, and then the lines of a text.
func (t *text) take(directives [][]string, then *text) {
	for _, d := range directives {
		t.put(d...)
	}
	if then != nil {
		for _, line := range then.lines {
			t.raw(line)
		}
	}
}

// withMatcher puts a matcher after the name of a directive; what else could be taken for one gets "*".
func withMatcher(directive []string, matcher string) []string {
	if matcher == "" {
		if directive[0] == "abort" || directive[0] == "error" {
			return directive
		}
		matcher = "*"
	}
	return append([]string{directive[0], matcher}, directive[1:]...)
}
