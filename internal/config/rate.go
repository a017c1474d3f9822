package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"tandem/internal/farm"
)

// Rate is a speed in bytes a second; 0 is no limit.
type Rate int64

// minRate is the lowest limit, in bytes a second: heartbeats alone take some hundred.
const minRate = 8_000

var rateUnits = []struct {
	name  string
	bytes float64 // a second
}{
	{"Gbit/s", 1e9 / 8}, {"Mbit/s", 1e6 / 8}, {"kbit/s", 1e3 / 8},
	{"GiB/s", 1 << 30}, {"MiB/s", 1 << 20}, {"KiB/s", 1 << 10}, {"GB/s", 1e9}, {"MB/s", 1e6}, {"kB/s", 1e3},
}

// ParseRate reads a speed with its unit, such as "20 Mbit/s" or "1.5 MB/s", or "unlimited".
func ParseRate(s string) (Rate, error) {
	if s == "unlimited" {
		return 0, nil
	}
	for _, u := range rateUnits {
		number, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		number = strings.TrimSpace(number)
		n, err := strconv.ParseFloat(number, 64)
		if err != nil || strings.Trim(number, "0123456789.") != "" {
			break
		}
		if n *= u.bytes; n < minRate || n >= math.MaxInt64/1024 {
			return 0, fmt.Errorf("%q is out of range: a rate is at least %s; write \"unlimited\" for none", s, Rate(minRate))
		}
		return Rate(n), nil
	}
	return 0, fmt.Errorf("%q is not a rate: write a number and one of kbit/s, Mbit/s, Gbit/s, kB/s, MB/s, or \"unlimited\"", s)
}

// String is the rate in bits a second.
func (r Rate) String() string {
	if r == 0 {
		return "unlimited"
	}
	bits, unit := float64(r)*8/1e3, "kbit/s"
	if bits >= 1e3 {
		bits, unit = bits/1e3, "Mbit/s"
	}
	return strconv.FormatFloat(bits, 'f', -1, 64) + " " + unit
}

// Hours is a part of the week in which another rate counts.
type Hours struct {
	Days     [7]bool       // by time.Weekday: on which it begins
	From, To time.Duration // since midnight; To before From ends on the next day
	Rate     Rate
}

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseHours reads "mon-fri 08:00-18:00 5 Mbit/s": days, times of the day, rate. Days may be "daily", one, a range, or
// several with commas.
func ParseHours(s string) (Hours, error) {
	var h Hours
	fail := func(what string, part string) (Hours, error) {
		return Hours{}, fmt.Errorf("%q: %q is no %s; write such as \"mon-fri 08:00-18:00 5 Mbit/s\"", s, part, what)
	}
	days, rest, _ := strings.Cut(s, " ")
	times, rate, _ := strings.Cut(strings.TrimSpace(rest), " ")
	if !h.days(days) {
		return fail("day, range of days or list of them", days)
	}
	from, to, ok := strings.Cut(times, "-")
	var okFrom, okTo bool
	h.From, okFrom = clockTime(from)
	h.To, okTo = clockTime(to)
	if !ok || !okFrom || !okTo || h.From == h.To {
		return fail("time from and to", times)
	}
	var err error
	h.Rate, err = ParseRate(strings.TrimSpace(rate))
	return h, err
}

func (h *Hours) days(s string) bool {
	if s == "daily" {
		h.Days = [7]bool{true, true, true, true, true, true, true}
		return true
	}
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, b := dayOf(first), dayOf(last)
		if a < 0 || b < 0 {
			return false
		}
		for d := a; ; d = (d + 1) % 7 {
			h.Days[d] = true
			if d == b {
				break
			}
		}
	}
	return true
}

func dayOf(name string) int {
	for i, n := range dayNames {
		if n == strings.ToLower(name) {
			return i
		}
	}
	return -1
}

// clockTime reads "08:00"; "24:00" is the end of the day.
func clockTime(s string) (time.Duration, bool) {
	hour, minute, ok := strings.Cut(s, ":")
	h, errH := strconv.ParseUint(hour, 10, 8)
	m, errM := strconv.ParseUint(minute, 10, 8)
	if !ok || len(minute) != 2 || errH != nil || errM != nil || m > 59 || h > 24 || h == 24 && m > 0 {
		return 0, false
	}
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute, true
}

// At tells whether the hours include a moment, in the moment's own time zone.
func (h Hours) At(t time.Time) bool {
	clock := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second
	today, yesterday := h.Days[t.Weekday()], h.Days[(t.Weekday()+6)%7]
	if h.From < h.To {
		return today && clock >= h.From && clock < h.To
	}
	return today && clock >= h.From || yesterday && clock < h.To
}

// rateAt is the member's own limit at a moment: that of the first hours that include it, else the usual one.
func (m Member) rateAt(t time.Time) Rate {
	for _, h := range m.BandwidthAt {
		if h.At(t) {
			return h.Rate
		}
	}
	return m.Bandwidth
}

// RateAt is how fast one of two members may send to the other at a moment: the lower of both's limits; 0: no limit.
func (c *Config) RateAt(a, b farm.MemberID, t time.Time) Rate {
	one, _ := c.Member(a)
	other, _ := c.Member(b)
	x, y := one.rateAt(t), other.rateAt(t)
	if x == 0 || y == 0 {
		return max(x, y)
	}
	return min(x, y)
}
