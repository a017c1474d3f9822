package guard

import "strings"

// rawCase is what one visitor sends on a new connection. After it comes a request of another visitor's, as it were:
// that for /end.
type rawCase struct {
	name    string
	raw     string
	differs string // why the edge passes something else on than nginx
}

const (
	hidden    = "GET /hidden HTTP/1.1\r\nHost: shop.test\r\n\r\n" // 41 bytes
	hiddenLen = "41"
	hiddenHex = "29"
)

// post is a request with a body in which another request is hidden. The header needs line ends of its own.
func post(header, body string) string {
	return "POST /outer HTTP/1.1\r\nHost: shop.test\r\n" + header + "\r\n" + body
}

func get(header string) string { return "GET /outer HTTP/1.1\r\nHost: shop.test\r\n" + header + "\r\n" }

const (
	ownFields = "a field that a CGI program would take for another is not passed on"
	closes    = "after chunks the connection is closed"
	escapes   = "what must not stand in a target is escaped"
	hop       = "what Connection lists is for this hop only (RFC 9110, 7.6.1)"
)

// chunkedHidden is the hidden request as one chunk; chunkedEmpty ends at once, and what follows is another request.
var (
	chunkedHidden = hiddenHex + "\r\n" + hidden + "\r\n0\r\n\r\n"
	chunkedEmpty  = "0\r\n\r\n" + hidden
)

var corpus = []rawCase{
	// The sound ones, to see that the corpus is not refused for another reason.
	{name: "sound: length", raw: post("Content-Length: 5\r\n", "hello")},
	{name: "sound: chunks", raw: post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), differs: closes},
	{name: "sound: two requests", raw: get("") + strings.Replace(get(""), "/outer", "/second", 1)},
	{name: "sound: a request as a body", raw: post("Content-Length: "+hiddenLen+"\r\n", hidden)},

	// Content-Length against Transfer-Encoding.
	{name: "CL.TE", raw: post("Content-Length: 46\r\nTransfer-Encoding: chunked\r\n", chunkedEmpty)},
	{name: "TE.CL", raw: post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", chunkedHidden)},
	{name: "CL.TE, length 0", raw: post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", chunkedHidden)},
	{name: "CL.TE in a GET", raw: get("Content-Length: 46\r\nTransfer-Encoding: chunked\r\n") + chunkedEmpty},
	{name: "CL.TE in HTTP/1.0", raw: strings.Replace(post("Content-Length: 46\r\nTransfer-Encoding: chunked\r\n", chunkedEmpty), "1.1", "1.0", 1)},
	{name: "TE in HTTP/1.0", raw: strings.Replace(post("Transfer-Encoding: chunked\r\n", chunkedEmpty), "1.1", "1.0", 1)},

	// Transfer-Encoding against itself.
	{name: "TE.TE cow", raw: post("Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\nContent-Length: 4\r\n", chunkedHidden)},
	{name: "TE.TE identity", raw: post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", chunkedEmpty)},
	{name: "TE.TE chunked twice", raw: post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunkedEmpty)},
	{name: "TE: chunked, chunked", raw: post("Transfer-Encoding: chunked, chunked\r\n", chunkedEmpty)},
	{name: "TE: identity, chunked", raw: post("Transfer-Encoding: identity, chunked\r\n", chunkedEmpty)},
	{name: "TE: chunked, identity", raw: post("Transfer-Encoding: chunked, identity\r\n", chunkedEmpty)},
	{name: "TE: gzip, chunked", raw: post("Transfer-Encoding: gzip, chunked\r\n", chunkedEmpty)},
	{name: "TE: identity", raw: post("Transfer-Encoding: identity\r\nContent-Length: 0\r\n", hidden)},
	{name: "TE: xchunked", raw: post("Transfer-Encoding: xchunked\r\nContent-Length: 46\r\n", chunkedEmpty)},
	{name: "TE: chunked with a quote", raw: post("Transfer-Encoding: \"chunked\"\r\nContent-Length: 46\r\n", chunkedEmpty)},
	{name: "TE: chunked with a parameter", raw: post("Transfer-Encoding: chunked;a=b\r\nContent-Length: 46\r\n", chunkedEmpty)},
	{name: "TE: chunked with a comma", raw: post("Transfer-Encoding: chunked,\r\n", chunkedEmpty)},
	{name: "TE: empty", raw: post("Transfer-Encoding:\r\nContent-Length: 46\r\n", chunkedEmpty)},
	{name: "TE: in capitals", raw: post("TRANSFER-ENCODING: CHUNKED\r\n", "5\r\nhello\r\n0\r\n\r\n"), differs: closes},
	{name: "TE: with a tab", raw: post("Transfer-Encoding:\tchunked\r\nContent-Length: 4\r\n", chunkedHidden)},
	{name: "TE: with a vertical tab", raw: post("Transfer-Encoding: \x0bchunked\r\nContent-Length: 4\r\n", chunkedHidden)},
	{name: "TE: with a form feed", raw: post("Transfer-Encoding: chunked\x0c\r\nContent-Length: 4\r\n", chunkedHidden)},
	{name: "TE: with a NUL", raw: post("Transfer-Encoding: chunked\x00\r\nContent-Length: 4\r\n", chunkedHidden)},
	{name: "TE: with a no-break space", raw: post("Transfer-Encoding: \xa0chunked\r\nContent-Length: 4\r\n", chunkedHidden)},
	{name: "TE with a blank before the colon", raw: post("Transfer-Encoding : chunked\r\nContent-Length: 4\r\n", chunkedHidden)},
	{name: "TE with a tab before the colon", raw: post("Transfer-Encoding\t: chunked\r\nContent-Length: 4\r\n", chunkedHidden)},
	{name: "TE with a blank before the name", raw: post(" Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", chunkedHidden)},
	{name: "TE with an underscore", raw: post("Transfer_Encoding: chunked\r\nContent-Length: "+hiddenLen+"\r\n", hidden)},
	{name: "TE with a long s", raw: post("Tran\xc5\xbffer-Encoding: chunked\r\nContent-Length: "+hiddenLen+"\r\n", hidden)},
	{name: "TE after a bare carriage return", raw: post("X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: 4\r\n", chunkedHidden)},
	{name: "TE after a bare line feed", raw: post("X-A: b\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n", chunkedHidden)},
	{name: "TE listed in Connection", raw: post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", chunkedHidden), differs: closes},

	// Content-Length against itself.
	{name: "CL twice, different", raw: post("Content-Length: 0\r\nContent-Length: "+hiddenLen+"\r\n", hidden)},
	{name: "CL twice, equal", raw: post("Content-Length: "+hiddenLen+"\r\nContent-Length: "+hiddenLen+"\r\n", hidden)},
	{name: "CL: 0, 41", raw: post("Content-Length: 0, "+hiddenLen+"\r\n", hidden)},
	{name: "CL: 41, 41", raw: post("Content-Length: "+hiddenLen+", "+hiddenLen+"\r\n", hidden)},
	{name: "CL: +0", raw: post("Content-Length: +0\r\n", hidden)},
	{name: "CL: -1", raw: post("Content-Length: -1\r\n", hidden)},
	{name: "CL: 0x29", raw: post("Content-Length: 0x29\r\n", hidden)},
	{name: "CL: 4_1", raw: post("Content-Length: 4_1\r\n", hidden)},
	{name: "CL: 41.0", raw: post("Content-Length: 41.0\r\n", hidden)},
	{name: "CL: 041", raw: post("Content-Length: 041\r\n", hidden)},
	{name: "CL: beyond 64 bits", raw: post("Content-Length: 18446744073709551657\r\n", hidden)},
	{name: "CL: empty", raw: post("Content-Length:\r\n", hidden)},
	{name: "CL: with a blank inside", raw: post("Content-Length: 4 1\r\n", hidden)},
	{name: "CL with a blank before the colon", raw: post("Content-Length : "+hiddenLen+"\r\n", hidden)},
	{name: "CL with an underscore", raw: post("Content_Length: 0\r\nContent-Length: "+hiddenLen+"\r\n", hidden)},
	{name: "CL listed in Connection", raw: post("Connection: Content-Length\r\nContent-Length: "+hiddenLen+"\r\n", hidden)},
	{name: "CL after a bare line feed", raw: post("X-A: b\nContent-Length: "+hiddenLen+"\r\n", hidden)},
	{name: "CL after a bare carriage return", raw: post("X-A: b\rContent-Length: "+hiddenLen+"\r\n", hidden)},
	{name: "CL in a GET", raw: get("Content-Length: "+hiddenLen+"\r\n") + hidden},
	{name: "no length in a POST", raw: post("", hidden)},

	// Chunks.
	{name: "chunk extension", raw: post("Transfer-Encoding: chunked\r\n", "5;a=b\r\nhello\r\n0\r\n\r\n"), differs: closes},
	{name: "chunk extension with a line end in quotes", raw: post("Transfer-Encoding: chunked\r\n", "2;a=\"\r\n29\r\n"+hidden+"\"\r\nab\r\n0\r\n\r\n")},
	{name: "chunk extension with a bare line feed", raw: post("Transfer-Encoding: chunked\r\n", "2;\nxx\r\n"+hiddenHex+"\r\n0\r\n\r\n"+hidden+"0\r\n\r\n")},
	{name: "chunk extension with a bare carriage return", raw: post("Transfer-Encoding: chunked\r\n", "5;\ra\r\nhello\r\n0\r\n\r\n")},
	{name: "chunk size ended by a line feed", raw: post("Transfer-Encoding: chunked\r\n", "5\nhello\r\n0\r\n\r\n")},
	{name: "chunk ended by a line feed", raw: post("Transfer-Encoding: chunked\r\n", "5\r\nhello\n0\r\n\r\n")},
	{name: "chunk ended by other bytes", raw: post("Transfer-Encoding: chunked\r\n", "5\r\nhelloXX0\r\n\r\n")},
	{name: "chunk size with a sign", raw: post("Transfer-Encoding: chunked\r\n", "+5\r\nhello\r\n0\r\n\r\n")},
	{name: "chunk size with 0x", raw: post("Transfer-Encoding: chunked\r\n", "0x5\r\nhello\r\n0\r\n\r\n")},
	{name: "chunk size with a blank before", raw: post("Transfer-Encoding: chunked\r\n", " 5\r\nhello\r\n0\r\n\r\n")},
	{name: "chunk size with a blank behind", raw: post("Transfer-Encoding: chunked\r\n", "5 \r\nhello\r\n0\r\n\r\n"), differs: closes},
	{name: "chunk size beyond 64 bits", raw: post("Transfer-Encoding: chunked\r\n", "10000000000000005\r\nhello\r\n0\r\n\r\n")},
	{name: "chunk size with an underscore", raw: post("Transfer-Encoding: chunked\r\n", "1_0\r\nhello\r\n0\r\n\r\n")},
	{name: "chunk size empty", raw: post("Transfer-Encoding: chunked\r\n", "\r\nhello\r\n0\r\n\r\n")},
	{name: "chunk size with zeros before", raw: post("Transfer-Encoding: chunked\r\n", "0005\r\nhello\r\n0\r\n\r\n"), differs: closes},
	{name: "last chunk with several zeros", raw: post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n000\r\n\r\n"), differs: closes},
	{name: "trailer", raw: post("Transfer-Encoding: chunked\r\nTrailer: X-T\r\n", "5\r\nhello\r\n0\r\nX-T: v\r\n\r\n"), differs: closes + "; trailers of requests are dropped"},
	{name: "trailer with a length", raw: post("Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n", "0\r\nContent-Length: "+hiddenLen+"\r\n\r\n")},
	{name: "trailer without a colon", raw: post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\njunk\r\n\r\n")},
	{name: "trailer with a bare line feed", raw: post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\nX-T: v\n\r\n"), differs: closes},

	// Lines and the request line.
	{name: "folded line", raw: post("X-A: b\r\n c\r\nContent-Length: 5\r\n", "hello")},
	{name: "folded line with TE", raw: post("X-A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: "+hiddenLen+"\r\n", hidden)},
	{name: "folded line of CL", raw: post("Content-Length:\r\n "+hiddenLen+"\r\n", hidden)},
	{name: "folded first line", raw: "GET /outer HTTP/1.1\r\n Host: evil.test\r\nHost: shop.test\r\n\r\n"},
	{name: "all lines end in line feeds", raw: "GET /outer HTTP/1.1\nHost: shop.test\n\n"},
	{name: "header ended by LF LF", raw: "GET /outer HTTP/1.1\r\nHost: shop.test\n\n" + hidden},
	{name: "header ended by CR CR LF", raw: "GET /outer HTTP/1.1\r\nHost: shop.test\r\n\r\r\n"},
	{name: "empty lines before", raw: "\r\n\r\n" + get("")},
	{name: "two blanks in the request line", raw: "GET  /outer HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "a tab in the request line", raw: "GET\t/outer HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "a blank in the target", raw: "GET /outer HTTP/1.1 HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "a bare carriage return in the target", raw: "GET /outer\rx HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "a NUL in the target", raw: "GET /outer\x00x HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "an escaped line end in the target", raw: "GET /outer%0d%0aX:%20y HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "an escaped NUL in the target", raw: "GET /outer%00 HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "a fragment in the target", raw: "GET /outer#x HTTP/1.1\r\nHost: shop.test\r\n\r\n", differs: escapes},
	{name: "bytes beyond ASCII in the target", raw: "GET /\xc3\xa9\xff HTTP/1.1\r\nHost: shop.test\r\n\r\n", differs: escapes},
	{name: "dots in the target", raw: "GET /a/../outer HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "a backslash in the target", raw: "GET /a\\..\\outer HTTP/1.1\r\nHost: shop.test\r\n\r\n", differs: escapes},
	{name: "two slashes at first", raw: "GET //outer HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "no slash at first", raw: "GET outer HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "an empty target", raw: "GET  HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "star", raw: "OPTIONS * HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "star in a GET", raw: "GET * HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "authority form", raw: "CONNECT shop.test:80 HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "TRACE", raw: "TRACE /outer HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "lower-case method", raw: "get /outer HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "a method of its own", raw: "PURGE /outer HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "a method with a colon", raw: "GET: /outer HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "HTTP/0.9", raw: "GET /outer\r\n"},
	{name: "HTTP/1.0 without a host", raw: "GET /outer HTTP/1.0\r\n\r\n"},
	{name: "HTTP/1.2", raw: "GET /outer HTTP/1.2\r\nHost: shop.test\r\n\r\n"},
	{name: "HTTP/2.0 as text", raw: "GET /outer HTTP/2.0\r\nHost: shop.test\r\n\r\n"},
	{name: "http/1.1 in small letters", raw: "GET /outer http/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "HTTP/1.1 with a blank behind", raw: "GET /outer HTTP/1.1 \r\nHost: shop.test\r\n\r\n"},
	{name: "preface of HTTP/2", raw: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},

	// Which site.
	{name: "no host", raw: "GET /outer HTTP/1.1\r\n\r\n"},
	{name: "an empty host", raw: "GET /outer HTTP/1.1\r\nHost:\r\n\r\n"},
	{name: "two hosts", raw: "GET /outer HTTP/1.1\r\nHost: shop.test\r\nHost: other.test\r\n\r\n"},
	{name: "one host twice", raw: "GET /outer HTTP/1.1\r\nHost: shop.test\r\nHost: shop.test\r\n\r\n"},
	{name: "a list of hosts", raw: "GET /outer HTTP/1.1\r\nHost: shop.test, other.test\r\n\r\n"},
	{name: "a blank in the host", raw: "GET /outer HTTP/1.1\r\nHost: shop.test other.test\r\n\r\n"},
	{name: "a path in the host", raw: "GET /outer HTTP/1.1\r\nHost: shop.test/x\r\n\r\n"},
	{name: "a user in the host", raw: "GET /outer HTTP/1.1\r\nHost: shop.test@other.test\r\n\r\n"},
	{name: "a port that is none", raw: "GET /outer HTTP/1.1\r\nHost: shop.test:x\r\n\r\n", differs: "the host is malformed"},
	{name: "a host in capitals", raw: "GET /outer HTTP/1.1\r\nHost: SHOP.test\r\n\r\n", differs: "the site decides on how a host is written"},
	{name: "a host with an underscore", raw: "GET /outer HTTP/1.1\r\nHost: my_shop.test\r\n\r\n"},
	{name: "absolute form", raw: "GET http://shop.test/outer HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "absolute form of another host", raw: "GET http://shop.test/outer HTTP/1.1\r\nHost: other.test\r\n\r\n"},
	{name: "absolute form with a user", raw: "GET http://user@shop.test/outer HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "absolute form with https", raw: "GET https://shop.test/outer HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "absolute form with another scheme", raw: "GET ftp://shop.test/outer HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "absolute form without a host", raw: "GET http:///outer HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "absolute form with an empty path", raw: "GET http://shop.test HTTP/1.1\r\nHost: shop.test\r\n\r\n"},
	{name: "absolute form with only a query", raw: "GET http://shop.test?a=b HTTP/1.1\r\nHost: shop.test\r\n\r\n"},

	// Names and values of fields.
	{name: "a field with an underscore", raw: get("X_A: b\r\n")},
	{name: "a field with a dot", raw: get("X.A: b\r\n")},
	{name: "the edge's own with underscores", raw: get("X_Forwarded_For: 6.6.6.6\r\nX_Real_IP: 6.6.6.6\r\n")},
	{name: "Proxy", raw: get("Proxy: http://evil.test\r\n"), differs: ownFields},
	{name: "a field without a colon", raw: get("junk\r\n")},
	{name: "a field without a name", raw: get(": b\r\n")},
	{name: "a field without a value", raw: get("X-A:\r\n")},
	{name: "a field name with a blank", raw: get("X A: b\r\n")},
	{name: "a field name beyond ASCII", raw: get("X-\xc3\xa9: b\r\n")},
	{name: "a field name with a control", raw: get("X-\x01: b\r\n")},
	{name: "a field value beyond ASCII", raw: get("X-A: \xc3\xa9\xff\r\n")},
	{name: "a field value with a NUL", raw: get("X-A: b\x00c\r\n")},
	{name: "a field value with a control", raw: get("X-A: b\x01c\r\n")},
	{name: "a field value with DEL", raw: get("X-A: b\x7fc\r\n")},
	{name: "a field value with a tab", raw: get("X-A: b\tc\r\n")},
	{name: "a field value with a bare carriage return", raw: get("X-A: b\rX-B: c\r\n")},
	{name: "blanks around a value", raw: get("X-A: \t b \t \r\n")},
	{name: "a field listed in Connection", raw: get("Connection: close, X-A\r\nX-A: b\r\n"), differs: hop},
	{name: "Host listed in Connection", raw: get("Connection: Host\r\n")},
	{name: "header larger than 64 KiB", raw: get("X-A: " + strings.Repeat("v", 80<<10) + "\r\n")},
	{name: "upgrade to h2c", raw: get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n") + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", differs: hop},
	{name: "websocket with a body", raw: get("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: "+hiddenLen+"\r\n") + hidden},
	{name: "websocket that is not switched to", raw: get("Connection: Upgrade\r\nUpgrade: websocket\r\n") + hidden, differs: "nginx, as it is set up here, does not pass an upgrade on"},
	{name: "expect what there is not", raw: post("Expect: 200-maybe\r\nContent-Length: 5\r\n", "hello")},
}
