package web

import (
	"bytes"
	"encoding/json"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"tandem/internal/farm"
)

// facts are what the rest of the package wants to know of a block's handlers.
type facts struct {
	roots   []string // of root directives and file servers
	proxies bool     // has a reverse proxy, FastCGI included
	etags   bool     // file servers are to make ETags of digests
}

// harden hides Tandem's private directories from every file server in the routes, and collects the facts.
func (f *facts) harden(routes caddyhttp.RouteList) error {
	for _, r := range routes {
		for i, raw := range r.HandlersRaw {
			d := json.NewDecoder(bytes.NewReader(raw))
			d.UseNumber() // numbers stay as they are written
			var v any
			if err := d.Decode(&v); err != nil {
				return err
			}
			f.walk(v)
			raw, err := json.Marshal(v)
			if err != nil {
				return err
			}
			r.HandlersRaw[i] = raw
		}
	}
	return nil
}

func (f *facts) walk(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			f.walk(e)
		}
	case map[string]any:
		f.note(v)
		for _, e := range v {
			f.walk(e)
		}
	}
}

func (f *facts) note(m map[string]any) {
	handler, _ := m["handler"].(string)
	switch handler {
	case "file_server":
		hidden, _ := m["hide"].([]any)
		m["hide"] = append(hidden, farm.PrivateDir)
		if f.etags && m["fs"] == nil && m["etag_file_extensions"] == nil {
			m["fs"], m["etag_file_extensions"] = etagsFS, []any{etagFile}
		}
	case "reverse_proxy":
		f.proxies = true
	case "vars":
	default:
		return
	}
	if root, ok := m["root"].(string); ok && root != "" {
		f.roots = append(f.roots, root)
	}
}
