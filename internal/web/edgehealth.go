package web

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"tandem/internal/config"
)

// This file reads the options of edge about nodes that can't serve a site, and about what is tried then.

// oneArg is an option's only argument; what says what it is.
func oneArg(d *caddyfile.Dispenser, what string) (string, error) {
	args := d.RemainingArgs()
	if len(args) != 1 {
		return "", errors.New("it takes " + what)
	}
	return args[0], nil
}

// readTime reads a time of at least a millisecond.
func readTime(d *caddyfile.Dispenser, to *time.Duration) error {
	arg, err := oneArg(d, "a time, such as 30s")
	if err != nil {
		return err
	}
	got, err := config.ParseDuration(arg)
	if err == nil && got < time.Millisecond {
		err = fmt.Errorf("%s is less than 1ms", arg)
	}
	*to = got
	return err
}

// timeOption is an option that is a time.
func timeOption(field func(*config.EdgeSite) *time.Duration) edgeOption {
	return edgeOption{read: func(d *caddyfile.Dispenser, o *config.EdgeSite) error { return readTime(d, field(o)) }}
}

func readKeepBody(d *caddyfile.Dispenser, o *config.EdgeSite) error {
	arg, err := oneArg(d, "a size, such as 1MiB")
	if err != nil {
		return err
	}
	o.KeepBody, err = config.ParseSize(arg)
	if err == nil && (o.KeepBody < 1 || o.KeepBody > config.MaxKeepBody) {
		err = fmt.Errorf("%s is not a size from 1B to %s", arg, config.Size(config.MaxKeepBody))
	}
	return err
}

func readSorry(d *caddyfile.Dispenser, o *config.EdgeSite) (err error) {
	o.Sorry, err = oneArg(d, "a text in quotes, or a page as a heredoc: sorry_page <<HTML")
	return err
}

// readProbe reads: probe PATH { ... }, probe tcp PORT { ... }.
func readProbe(d *caddyfile.Dispenser, o *config.EdgeSite) error {
	p, args := config.NewProbe(), d.RemainingArgs()
	switch {
	case len(args) == 1 && strings.HasPrefix(args[0], "/"):
		p.Path = args[0]
		if strings.ContainsFunc(p.Path, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return fmt.Errorf("%q is no path of a request", p.Path)
		}
	case len(args) == 2 && args[0] == "tcp":
		port, err := strconv.ParseUint(args[1], 10, 16)
		if err != nil || port == 0 {
			return fmt.Errorf("%q is no port", args[1])
		}
		p.Port = int(port)
	default:
		return errors.New("it takes a path such as /health, or: tcp PORT")
	}
	for d.NextBlock(1) {
		word := d.Token()
		if err := readProbeOption(d, &p); err != nil {
			return at(word, "probe: %s: %w", word.Text, err)
		}
	}
	o.Probe = &p
	return nil
}

func readProbeOption(d *caddyfile.Dispenser, p *config.Probe) (err error) {
	switch word := d.Val(); word {
	case "interval":
		return readTime(d, &p.Interval)
	case "timeout":
		return readTime(d, &p.Timeout)
	case "fails":
		p.Fails, err = readCount(d)
	case "passes":
		p.Passes, err = readCount(d)
	case "status", "contains", "host":
		if p.Port != 0 {
			return errors.New("a TCP probe sees none")
		}
		return readAnswerOption(d, word, p)
	default:
		return errors.New("there is no such option; known are interval, timeout, fails, passes, status, contains, host")
	}
	return err
}

func readAnswerOption(d *caddyfile.Dispenser, word string, p *config.Probe) (err error) {
	switch word {
	case "status":
		var arg string
		if arg, err = oneArg(d, "a status such as 200, or a range such as 200-399"); err == nil {
			p.Low, p.High, err = parseStatus(arg)
		}
	case "contains":
		p.Contains, err = oneArg(d, "a text")
	case "host":
		if p.Host, err = oneArg(d, "a host name"); err == nil && !isHostName(p.Host) {
			err = fmt.Errorf("%q is no host name", p.Host)
		}
	}
	return err
}

func isHostName(s string) bool {
	return s != "" && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789.-_:") == ""
}

func parseStatus(s string) (low, high int, err error) {
	first, last, ranged := strings.Cut(s, "-")
	if !ranged {
		last = first
	}
	low, errLow := strconv.Atoi(first)
	high, errHigh := strconv.Atoi(last)
	if errLow != nil || errHigh != nil || low < 200 || high > 599 || low > high {
		return 0, 0, fmt.Errorf("%q is neither a status from 200 to 599 nor a range such as 200-399", s)
	}
	return low, high, nil
}

func readCount(d *caddyfile.Dispenser) (int, error) {
	arg, err := oneArg(d, "a number")
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(arg, 10, 31)
	if err != nil || n < 1 || n > 100 {
		return 0, fmt.Errorf("%q is not a number from 1 to 100", arg)
	}
	return int(n), nil
}

// settleProbe gives a probe what the block says of itself: the host name, and whether it has HTTPS.
func settleProbe(o *config.EdgeSite, bindings []binding) error {
	if o == nil || o.Probe == nil || o.Probe.Port != 0 {
		return nil
	}
	for _, b := range bindings {
		_, err := netip.ParseAddr(b.host)
		usable := b.host != "" && !strings.HasPrefix(b.host, "*.") && err != nil
		switch {
		case o.Probe.Host == "" && usable:
			o.Probe.Host, o.Probe.TLS = b.host, b.tls
			return nil
		case o.Probe.Host != "" && b.tls:
			o.Probe.TLS = true
		}
	}
	if o.Probe.Host == "" {
		return errors.New("probe needs to know for which host name to ask: probe PATH { host NAME }")
	}
	return nil
}

// readEject reads: eject SHARE [of N] [within TIME] [for TIME].
func readEject(d *caddyfile.Dispenser, o *config.EdgeSite) (err error) {
	usage := errors.New("it takes: 50% [of 20] [within 10s] [for 30s]")
	e, args := config.NewEject(), d.RemainingArgs()
	if len(args)%2 != 1 {
		return usage
	}
	if e.Share, err = config.ParseShare(args[0]); err != nil || e.Share == 0 {
		return fmt.Errorf("%q is not a share from 1%% to 100%%", args[0])
	}
	for i := 1; i < len(args) && err == nil; i += 2 {
		switch args[i] {
		case "of":
			e.Of, err = strconv.Atoi(args[i+1])
			if err != nil || e.Of < 1 || e.Of > 1_000_000 {
				return fmt.Errorf("%q is no number of answers", args[i+1])
			}
		case "within":
			e.Within, err = config.ParseDuration(args[i+1])
		case "for":
			e.For, err = config.ParseDuration(args[i+1])
		default:
			return usage
		}
	}
	o.Eject = &e
	return err
}
