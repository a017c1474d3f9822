package web

// The Caddy modules that a site file can use. The list is short on purpose: what is not here is refused as an unknown
// directive, and does not weigh on the binary.
import (
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"            // basic_auth
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode/gzip"          // encode
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode/zstd"          // encode
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/fileserver"           // file_server, try_files
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"              // header, request_header
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/intercept"            // intercept
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/map"                  // map
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/requestbody"          // request_body
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"         // reverse_proxy
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy/fastcgi" // php_fastcgi
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"              // rewrite, uri, method
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/timeouts"             // timeouts
	_ "github.com/caddyserver/caddy/v2/modules/logging"                        // log
)
