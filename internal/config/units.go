package config

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes.
type Size int64

var units = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"kB", 1e3}, {"B", 1},
}

// ParseSize reads a size with its unit, such as "1GiB", "1.5 MB" or "0".
func ParseSize(s string) (Size, error) {
	bad := fmt.Errorf("%q is not a size: write a number and one of B, KiB, MiB, GiB, TiB (powers of 1024) or KB, MB, GB, TB", s)
	if s == "0" {
		return 0, nil
	}
	for _, u := range units {
		number, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		// Float syntax beyond digits and a point ("1e3", "0x1p3", "inf") would only be a surprise.
		number = strings.TrimSpace(number)
		if number == "" || strings.Trim(number, "0123456789.") != "" {
			return 0, bad
		}
		n, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return 0, bad
		}
		if n *= float64(u.bytes); n >= math.MaxInt64 {
			return 0, fmt.Errorf("%q is too large", s)
		}
		return Size(n), nil
	}
	return 0, bad
}

// String is the size in the largest binary unit that divides it.
func (s Size) String() string {
	for _, u := range units[:4] {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// ParseNetwork reads an address, which is a network of one, or a network such as "192.0.2.0/24".
func ParseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a network: write \"192.0.2.7\", \"192.0.2.0/24\" or \"2001:db8::/32\"", s)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q is an address in a network: write %q for the network, or the address alone", s, p.Masked())
	}
	return p, nil
}

// Share is a part of a whole in percent; 0 is "off".
type Share int

// ParseShare reads "10%" or "off".
func ParseShare(s string) (Share, error) {
	if s == "off" {
		return 0, nil
	}
	number, ok := strings.CutSuffix(s, "%")
	n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 8)
	if !ok || err != nil || n < 1 || n > 100 {
		return 0, fmt.Errorf("%q is not a share: write 1%% to 100%%, or off", s)
	}
	return Share(n), nil
}

func (s Share) String() string {
	if s == 0 {
		return "off"
	}
	return strconv.Itoa(int(s)) + "%"
}

// ParseDuration is time.ParseDuration, and "d" for days of 24 hours. Negative durations are refused.
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a duration: write numbers with ms, s, m, h or d, such as \"500ms\" or \"1h30m\"", s)
	days, rest, ok := strings.Cut(s, "d")
	if !ok {
		days, rest = "0", s
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, bad
	}
	var d time.Duration
	if rest != "" {
		if d, err = time.ParseDuration(rest); err != nil || d < 0 {
			return 0, bad
		}
	} else if !ok {
		return 0, bad
	}
	if d += time.Duration(n) * 24 * time.Hour; d < 0 {
		return 0, fmt.Errorf("%q is too long", s)
	}
	return d, nil
}
