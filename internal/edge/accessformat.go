package edge

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// formats append a line about a request. Nothing that a visitor sends can make two of it.
var formats = map[string]func(b []byte, a *Access) []byte{"combined": appendCombined, "json": appendJSON, "w3c": appendW3C}

// appendCombined is the format that web servers share, and behind it NAME=VALUE: node, tries, seconds until the answer was through,
// position and the request's id.
func appendCombined(b []byte, a *Access) []byte {
	b = append(b, orDash(a.Client)...)
	b = append(b, " - - ["...)
	b = a.Time.AppendFormat(b, "02/Jan/2006:15:04:05 -0700")
	b = append(b, `] "`...)
	b = appendQuoted(b, a.Method)
	b = append(b, ' ')
	b = appendQuoted(b, a.URI)
	b = append(b, ' ')
	b = append(b, a.Proto...)
	b = append(b, `" `...)
	b = strconv.AppendInt(b, int64(a.Status), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, a.Bytes, 10)
	b = append(b, ` "`...)
	b = appendQuoted(b, orDash(a.Referer))
	b = append(b, `" "`...)
	b = appendQuoted(b, orDash(a.Agent))
	b = append(b, `" host="`...)
	b = appendQuoted(b, a.Host)
	b = append(b, `" node=`...)
	b = append(b, orDash(string(a.Node))...)
	b = append(b, " tries="...)
	b = strconv.AppendInt(b, int64(a.Tries), 10)
	b = append(b, " time="...)
	b = appendSeconds(b, a.Duration)
	b = append(b, ` position="`...)
	b = appendQuoted(b, a.Position)
	b = append(b, `" id=`...)
	b = append(b, a.ID...)
	return append(b, '\n')
}

func appendJSON(b []byte, a *Access) []byte {
	b = append(b, `{"time":"`...)
	b = a.Time.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z07:00")
	b = append(b, '"')
	for _, f := range [...]struct{ name, value string }{
		{"id", a.ID}, {"client", a.Client}, {"method", a.Method}, {"host", a.Host}, {"uri", a.URI}, {"proto", a.Proto}, {"referer", a.Referer},
		{"agent", a.Agent}, {"node", string(a.Node)}, {"position", a.Position},
	} {
		b = append(b, `,"`...)
		b = append(b, f.name...)
		b = append(b, `":"`...)
		b = appendJSONText(b, f.value)
		b = append(b, '"')
	}
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(a.Status), 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, a.Bytes, 10)
	b = append(b, `,"tries":`...)
	b = strconv.AppendInt(b, int64(a.Tries), 10)
	b = append(b, `,"seconds":`...)
	b = appendSeconds(b, a.Duration)
	return append(b, "}\n"...)
}

// w3cHead is how a file in the W3C extended format begins. IIS and its tools know all fields but those that begin with x-.
const w3cHead = "#Software: Tandem\n#Version: 1.0\n" +
	"#Fields: date time c-ip cs-method cs-uri-stem cs-uri-query sc-status sc-bytes time-taken cs-version cs-host cs(User-Agent) cs(Referer) x-node x-tries x-position x-id\n"

func appendW3C(b []byte, a *Access) []byte {
	b = a.Time.UTC().AppendFormat(b, "2006-01-02 15:04:05 ")
	stem, query, _ := strings.Cut(a.URI, "?")
	for _, v := range [...]string{
		a.Client, a.Method, stem, query, strconv.Itoa(a.Status), strconv.FormatInt(a.Bytes, 10), strconv.FormatInt(a.Duration.Milliseconds(), 10),
		a.Proto, a.Host, a.Agent, a.Referer, string(a.Node), strconv.Itoa(a.Tries), a.Position, a.ID,
	} {
		b = appendPlus(b, orDash(v))
		b = append(b, ' ')
	}
	b[len(b)-1] = '\n'
	return b
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// appendSeconds writes a duration to the microsecond.
func appendSeconds(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, d.Seconds(), 'f', 6, 64)
}

const hexDigits = "0123456789abcdef"

// appendQuoted escapes what could end a text in quotes, and bytes beyond ASCII, as nginx does.
func appendQuoted(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
			continue
		}
		b = append(b, s[i])
	}
	return b
}

// appendJSONText escapes as JSON wants; bytes that are no UTF-8 become U+FFFD.
func appendJSONText(b []byte, s string) []byte {
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', byte(c))
		case c < ' ' || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = utf8.AppendRune(b, c)
		}
	}
	return b
}

// appendPlus writes a value of the W3C format, in which blanks divide: they become +, as with IIS.
func appendPlus(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ':
			b = append(b, '+')
		case c < ' ' || c >= 0x7f:
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}
