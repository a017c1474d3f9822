package web

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"tandem/internal/config"
)

// maxBurst bounds what a rate limit lets through at once.
const maxBurst = 1_000_000

// readMaxBody reads: max_body 10MiB, or: max_body off.
func readMaxBody(d *caddyfile.Dispenser, o *config.EdgeSite) error {
	args := d.RemainingArgs()
	if len(args) != 1 {
		return fmt.Errorf("it takes a size, or off")
	}
	if args[0] == "off" {
		o.MaxBody = -1
		return nil
	}
	var err error
	if o.MaxBody, err = config.ParseSize(args[0]); err == nil && o.MaxBody == 0 {
		err = fmt.Errorf("write off for any size")
	}
	return err
}

// readNetworks reads: allow 192.0.2.0/24 2001:db8::7
func readNetworks(d *caddyfile.Dispenser, to *[]netip.Prefix) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return fmt.Errorf("it takes addresses and networks")
	}
	for _, a := range args {
		p, err := config.ParseNetwork(a)
		if err != nil {
			return err
		}
		*to = append(*to, p)
	}
	return nil
}

// readRate reads: rate 10r/s burst 20 path /login*
func readRate(d *caddyfile.Dispenser, o *config.EdgeSite) error {
	args := d.RemainingArgs()
	if len(args)%2 != 1 {
		return fmt.Errorf("it takes a rate, and perhaps a burst and a path: rate 10r/s burst 20 path /login*")
	}
	l, err := parseRate(args[0])
	if err != nil {
		return err
	}
	for i := 1; i < len(args); i += 2 {
		switch word, value := args[i], args[i+1]; word {
		case "burst":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > maxBurst {
				return fmt.Errorf("burst %q is not a number from 1 to %d", value, maxBurst)
			}
			l.Burst = n
		case "path":
			if !strings.HasPrefix(value, "/") && !strings.HasPrefix(value, "*") || strings.Contains(strings.Trim(value, "*"), "*") {
				return fmt.Errorf("path %q must begin with / or *, and may have a * at its beginning and end only", value)
			}
			l.Path = value
		default:
			return fmt.Errorf("there is no %q: it is burst or path", word)
		}
	}
	o.Rates = append(o.Rates, l)
	return nil
}

// parseRate reads 10r/s, 30r/m or 100r/h. As many as that may come at once.
func parseRate(s string) (l config.RateLimit, err error) {
	number, unit, ok := strings.Cut(s, "r/")
	seconds, known := map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
	n, err := strconv.ParseFloat(number, 64)
	if !ok || !known || err != nil || n <= 0 || n > maxBurst || strings.Trim(number, "0123456789.") != "" {
		return l, fmt.Errorf("%q is not a rate: write 10r/s, 30r/m or 100r/h", s)
	}
	return config.RateLimit{PerSecond: n / seconds, Burst: int(math.Ceil(n))}, nil
}
