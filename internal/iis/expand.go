package iis

import (
	"fmt"
	"strings"
)

// expander turns texts with back-references and server variables of URL Rewrite into texts with placeholders.
type expander struct {
	z     *zone
	maps  *mapSet
	match string   // name of the rule's captures
	shift int      // of the rule's groups
	whole []string // groups of the rule that are the whole path
	cond  string   // name of the conditions' captures; "": there are none
	dir   string   // the path that rules are relative to, as handlers see it

	comparing bool // a condition: {HTTPS} is known
}

// What a condition compares that has no placeholder: on and off, 1 and 0.
const (
	subjectHTTPS  = "{https}"
	subjectSecure = "{https_number}"
)

// wholePath stands for the path without its first slash, until it is known what it is a part of.
const wholePath = "\x01"

// expand returns the text with placeholders; an error names what there is no placeholder for.
func (x *expander) expand(s string) (string, error) {
	var b strings.Builder
	for s != "" {
		i := strings.IndexByte(s, '{')
		if i < 0 {
			b.WriteString(s)
			break
		}
		end := closingBrace(s[i:])
		if end < 0 {
			b.WriteString(literal(s))
			break
		}
		b.WriteString(s[:i])
		v, err := x.variable(s[i+1 : i+end])
		if err != nil {
			return "", err
		}
		b.WriteString(v)
		s = s[i+end+1:]
	}
	return b.String(), nil
}

func closingBrace(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// variable is the placeholder for what stands in braces.
func (x *expander) variable(name string) (string, error) {
	kind, arg, colon := strings.Cut(name, ":")
	switch strings.ToLower(kind) {
	case "r":
		for _, w := range x.whole {
			if w == arg {
				return wholePath, nil
			}
		}
		if x.match == "" {
			return "", fmt.Errorf("{%s} is not set by anything", name)
		}
		return x.group(x.match, arg, x.shift)
	case "c":
		if x.cond == "" {
			return "", fmt.Errorf("{%s} is not set by a condition", name)
		}
		return x.group(x.cond, arg, 0)
	case "tolower", "toupper", "urldecode":
		if colon {
			return "", fmt.Errorf("there is nothing like {%s:}", kind)
		}
	case "urlencode":
		if colon {
			return x.expand(arg) // a placeholder in a query is escaped anyway
		}
	}
	if colon {
		return x.maps.lookup(x, kind, arg)
	}
	switch strings.ToUpper(name) {
	case "HTTPS":
		if x.comparing {
			return subjectHTTPS, nil
		}
	case "SERVER_PORT_SECURE":
		if x.comparing {
			return subjectSecure, nil
		}
	}
	if v, ok := x.z.serverVariable(name); ok {
		return v, nil
	}
	return "", fmt.Errorf("there is no counterpart of the server variable {%s}", name)
}

func (x *expander) group(name, n string, shift int) (string, error) {
	if len(n) != 1 || n[0] < '0' || n[0] > '9' {
		return "", fmt.Errorf("{%s} is no back-reference", n)
	}
	return fmt.Sprintf("{re.%s.%d}", name, int(n[0]-'0')+shift), nil
}

// serverVariables are those with a placeholder.
var serverVariables = map[string]string{
	"QUERY_STRING":     "{query}",
	"HTTP_HOST":        "{hostport}",
	"SERVER_NAME":      "{host}",
	"SERVER_PORT":      "{port}",
	"REQUEST_METHOD":   "{method}",
	"REMOTE_ADDR":      "{remote_host}",
	"REMOTE_HOST":      "{remote_host}",
	"REMOTE_PORT":      "{remote_port}",
	"REQUEST_URI":      "{orig_uri}",
	"UNENCODED_URL":    "{orig_uri}",
	"HTTP_URL":         "{orig_uri}",
	"URL":              "{path}",
	"PATH_INFO":        "{path}",
	"SCRIPT_NAME":      "{path}",
	"CACHE_URL":        "{scheme}://{hostport}{uri}",
	"DOCUMENT_ROOT":    "{vars.root}",
	"REQUEST_FILENAME": "{vars.root}{path}",
	"PATH_TRANSLATED":  "{vars.root}{path}",
	"SCRIPT_FILENAME":  "{vars.root}{path}",
	"SERVER_PROTOCOL":  "{http.request.proto}",
	"LOCAL_ADDR":       "{http.request.local.host}",
	"CONTENT_TYPE":     "{header.Content-Type}",
	"CONTENT_LENGTH":   "{header.Content-Length}",
	// An edge tells nodes what the visitor used, and takes such headers off what a visitor sends.
	"HTTP_X_FORWARDED_PROTO": "{scheme}",
	"HTTP_X_FORWARDED_FOR":   "{remote_host}",
	"HTTP_X_FORWARDED_HOST":  "{hostport}",
	"REQUEST_SCHEME":         "{scheme}",
}

func (z *zone) serverVariable(name string) (string, bool) {
	name = strings.ToUpper(name)
	if v, ok := serverVariables[name]; ok {
		if z.stripped() {
			v = strings.ReplaceAll(v, "{path}", "{orig_path}")
		}
		return v, true
	}
	if header, ok := headerOf(name); ok {
		return "{header." + header + "}", true
	}
	return "", false
}

// headerOf is the header that a variable HTTP_X_NAME holds.
func headerOf(name string) (string, bool) {
	rest, ok := strings.CutPrefix(strings.ToUpper(name), "HTTP_")
	if !ok || rest == "" || !isHeaderName(rest) {
		return "", false
	}
	return headerCase(rest), true
}

func headerCase(name string) string {
	parts := strings.FieldsFunc(strings.ReplaceAll(name, "_", "-"), func(r rune) bool { return r == '-' })
	for i, p := range parts {
		parts[i] = strings.ToUpper(p[:1]) + strings.ToLower(p[1:])
	}
	return strings.Join(parts, "-")
}

// settle writes out the whole path: with the slash before it that is there already, or alone.
func settle(s string) (string, bool) {
	s = strings.ReplaceAll(s, "/"+wholePath, "{path}")
	return s, !strings.Contains(s, wholePath)
}
