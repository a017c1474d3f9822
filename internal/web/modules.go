package web

// The Caddy modules that a site file can use: those of all standard directives but acme_server, metrics (the farm has its own
// of both) and tracing (whose libraries are many). What is not here is refused as an unknown directive.
import (
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"                // basic_auth
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode/brotli"            // file_server's precompressed br
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode/gzip"              // encode
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode/zstd"              // encode
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/fileserver"               // file_server, try_files
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"                  // header, request_header
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/intercept"                // intercept
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/logging"                  // log_append
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/map"                      // map
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/push"                     // push
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/requestbody"              // request_body
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"             // reverse_proxy
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy/fastcgi"     // php_fastcgi
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy/forwardauth" // forward_auth
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"                  // rewrite, uri, method
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/templates"                // templates
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/timeouts"                 // timeouts
	_ "github.com/caddyserver/caddy/v2/modules/logging"                            // log
)

// directives are what a site file may say at its outermost level, for whoever has misspelt one; ours come last.
var directives = []string{
	"abort", "basic_auth", "bind", "encode", "error", "file_server", "forward_auth", "fs", "handle", "handle_errors", "handle_path", "header",
	"intercept", "invoke", "log", "log_append", "log_name", "log_skip", "map", "method", "php_fastcgi", "push", "redir", "request_body",
	"request_header", "respond", "reverse_proxy", "rewrite", "root", "route", "templates", "timeouts", "tls", "try_files", "uri", "vars",
	"read_your_writes", "confirm", "edge",
}
