package web

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"tandem/internal/config"
)

// maxBlockFaults bounds how often a block is compiled to find what is wrong with it.
const maxBlockFaults = 20

// placeOf looks for the word that the fault is about: Caddy gives lines only, and in a block that of its end.
func placeOf(lines []string, f config.Fault) (line, column int) {
	if f.Line < 1 || f.Line > len(lines) {
		return f.Line, 0
	}
	for n := f.Line; n > 0; n-- {
		if column, named := columnOf(lines[n-1], f.Message); named {
			return n, column
		}
	}
	column, _ = columnOf(lines[f.Line-1], f.Message)
	return f.Line, column
}

// columnOf is where in the line the longest word stands that the message names, or else the first word.
func columnOf(line, message string) (column int, found bool) {
	named := map[string]bool{}
	for _, w := range strings.FieldsFunc(message, func(r rune) bool { return strings.ContainsRune(" :,'\"()", r) }) {
		named[w] = len(w) > 3 // shorter ones are the sentence's own
	}
	best := ""
	for _, w := range strings.Fields(line) {
		if best == "" || named[w] && (!named[best] || len(w) > len(best)) {
			best = w
		}
	}
	return strings.Index(line, best) + 1, named[best]
}

// placedError is an error with a position as faultOf understands it.
type placedError struct {
	err    error
	token  caddyfile.Token
	advice string // what would be right; may be empty
}

func at(t caddyfile.Token, format string, args ...any) *placedError {
	return &placedError{err: fmt.Errorf(format, args...), token: t}
}

func (e *placedError) hint(advice string) *placedError {
	e.advice = advice
	return e
}

// Error is as Caddy's own errors are.
func (e *placedError) Error() string {
	return fmt.Sprintf("%s, at %s:%d", e.err, e.token.File, e.token.Line)
}

func (e *placedError) Unwrap() error { return e.err }

var (
	positionAfter    = regexp.MustCompile(`,? at [^\s:]+:(\d+)(?: import chain:? \[.*\])?`)
	positionBefore   = regexp.MustCompile(`^[^\s:]+:(\d+): `)
	positionLexer    = regexp.MustCompile(` on line #(\d+)`)
	chainOfModules   = regexp.MustCompile(`^(?:server block \d+, key \d+ \([^)]*\): |provision http\.handlers\.subroute: |setting up (?:error )?subroutes: |route \d+: |loading (?:handler|matcher) modules: |position \d+: )+`)
	directiveUnknown = regexp.MustCompile(`^(.*unrecognized directive: (\S+))(?: - .*)?$`)
	moduleLoaded     = regexp.MustCompile(`loading module '([a-z_.]+)': `)
)

// faultOf finds the position in what Caddy says, and takes it out of the message. line is where to point otherwise.
func faultOf(file string, line int, err error) config.Fault {
	message := err.Error()
	for _, p := range []*regexp.Regexp{positionAfter, positionBefore, positionLexer} {
		if m := p.FindStringSubmatch(message); m != nil {
			line, _ = strconv.Atoi(m[1])
			message = strings.Replace(message, m[0], "", 1)
			break
		}
	}
	message = strings.TrimPrefix(message, "parsing caddyfile tokens for ")
	message = chainOfModules.ReplaceAllString(message, "")
	if at := strings.IndexByte(message, '\n'); at > 0 {
		message = message[:at]
	}
	f := config.Fault{File: file, Line: line, Message: message}
	if m := directiveUnknown.FindStringSubmatch(message); m != nil {
		f.Message, f.Hint = m[1], config.DidYouMean(m[2], directives)
	}
	if placed := (*placedError)(nil); errors.As(err, &placed) {
		f.Hint = placed.advice
	}
	return f
}

// faultOfLoad is about a module that does not take its configuration; Caddy gives no position then, but the module's
// name leads to the directive.
func (c *compiled) faultOfLoad(file string, err error) config.Fault {
	message, line := err.Error(), c.line
	if all := moduleLoaded.FindAllStringSubmatchIndex(message, -1); all != nil {
		last := all[len(all)-1]
		for _, s := range c.segments {
			if s.Directive() == message[last[2]:last[3]] {
				line = s[0].Line
			}
		}
		message = message[last[1]:]
	}
	return faultOf(file, line, errors.New(message))
}
